"""RvS: the action that the data took in a state from which it went on to earn a return, by an MLP.

Source: "RvS: What is Essential for Offline RL via Supervised Learning?" (Emmons et al. 2022),
https://arxiv.org/abs/2112.10751, RvS-R; sizes and optimiser by default as the output policy of MBRCSL (Zhou et al.
2023), https://arxiv.org/abs/2310.19308. Where RvS-R is told the mean return of the steps that are left, here it is told
their sum, which needs no known horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from genrl.data.ranges import require_at_least
from genrl.data.return_windows import ReturnWindows
from genrl.learners.return_conditioned import ReturnConditioned
from genrl.nets.mlp import MLP
from genrl.training.spec import DataSpec


class RvS(ReturnConditioned):
    """Return-conditioned cloning of a = pi(s, R), R being the return to go; a desired goal is a part of s.

    Args:
        net: network from observation columns and one return to action outputs.
        lr: learning rate of AdamW, constant.
        weight_decay: of AdamW.
        seed: of the initial weights.

    Raises:
        ConfigurationError: a number is out of range.
    """

    context = 1

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = partial(MLP, width=1024, layers=2),  # noqa: B008 (never changed)
        lr: float = 5e-5,
        weight_decay: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(0, lr=lr, weight_decay=weight_decay)
        self.net, self.lr, self.weight_decay, self.seed = net, lr, weight_decay, seed

    def build(self, spec: DataSpec) -> None:
        """Observer, action head, scale of the returns and network."""
        super().build(spec)
        self.actor = self.net(self.observer.dim + 1, self.head.dim)

    def forward(self, window: ReturnWindows) -> Tensor:
        """(B, K, O) outputs for the action of every step, from that step alone."""
        return self.actor(torch.cat((window.observations, window.returns[..., None]), dim=-1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.actor.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
