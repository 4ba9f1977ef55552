"""Torchgfn's own balance losses with networks for a game, as makers that a method takes.

Sources: "Trajectory Balance" (Malkin et al. 2022), https://arxiv.org/abs/2201.13259; "GFlowNet Foundations" (Bengio et
al. 2023), https://arxiv.org/abs/2111.09266, section 3.2, for detailed balance; "Learning GFlowNets from Partial
Episodes" (Madan et al. 2023), https://arxiv.org/abs/2209.12782, for sub-trajectory balance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gfn.gflownet import DBGFlowNet, SubTBGFlowNet, TBGFlowNet

from genrl.data.construction import Game
from genrl.gflownets.estimators import Net, backward, flow, policy

Balance = Callable[[Game, Net], Any]
"""(game, maker of networks) -> a GFlowNet of torchgfn, with its loss."""


class TB(TBGFlowNet):
    """Trajectory balance."""

    def __init__(self, game: Game, net: Net) -> None:
        super().__init__(policy(game, net), backward(game), init_logZ=0.0)


class DB(DBGFlowNet):
    """Detailed balance."""

    def __init__(self, game: Game, net: Net) -> None:
        super().__init__(policy(game, net), backward(game), flow(game, net))


class SubTB(SubTBGFlowNet):
    """Sub-trajectory balance.

    Args:
        game: that it is for.
        net: maker of its networks.
        lamda: weight of a sub-trajectory that is longer by one action.
    """

    def __init__(self, game: Game, net: Net, lamda: float = 0.9) -> None:
        super().__init__(policy(game, net), backward(game), flow(game, net), lamda=lamda)
