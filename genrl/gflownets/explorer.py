"""An unconditional GFlowNet that is paid for what is new, so that it comes to objects of all kinds.

Sources: "Generative Augmented Flow Networks" (Pan et al. 2023), https://arxiv.org/abs/2210.03308, with novelty paid for
the finished object; random network distillation (Burda et al. 2019), https://arxiv.org/abs/1810.12894: a network learns
to predict another one that is random and stays so, and errs on what it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from gfn.containers import Trajectories
from gfn.gflownet import TBGFlowNet
from torch import Tensor, nn

from genrl.data.construction import Game
from genrl.data.errors import ConfigurationError
from genrl.data.setting import Setting
from genrl.gflownets.estimators import Net, backward, columns, policy
from genrl.gflownets.sampler import sample, terminal
from genrl.nets.mlp import MLP

LEAST = 1e-6
"""Novelty of what is known by heart: its logarithm must be finite."""


@dataclass(frozen=True)
class Explorer(Setting):
    """How objects are explored.

    Attributes:
        epsilon: share of actions that are drawn evenly.
        sharpness: novelty enters the reward to this power.
        lr: of policy and predictor.
        lr_log_Z: of the logarithm of the total flow.
        features: numbers that the random network makes of an object.

    Raises:
        ConfigurationError: a number is out of range.
    """

    epsilon: float = 0.05
    sharpness: float = 1.0
    lr: float = 1e-3
    lr_log_Z: float = 0.1  # noqa: N815 (the paper's symbol)
    features: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1 or self.sharpness <= 0 or self.features < 1:
            raise ConfigurationError(
                "An explorer has an epsilon from 0 to 1, a sharpness above 0 and at least one feature, not"
                f" {self.epsilon}, {self.sharpness} and {self.features}."
            )


class Exploration(nn.Module):
    """The explorer's networks.

    Args:
        game: to explore.
        net: maker of all networks.
        settings: see ``Explorer``.
    """

    def __init__(self, game: Game, net: Net, settings: Explorer) -> None:
        super().__init__()
        self.game, self.settings = game, settings
        self.balance = TBGFlowNet(policy(game, net), backward(game), init_logZ=0.0)
        self.target = net(columns(game), settings.features).requires_grad_(False)
        self.predictor = net(columns(game), settings.features)

    def propose(self, n: int) -> Trajectories:
        """N trajectories."""
        return sample(self.game.env, self.balance.pf, n, epsilon=self.settings.epsilon)  # type: ignore[arg-type]

    def novelty(self, objects: Tensor) -> Tensor:
        """(N,) how far the prediction is from the random features, a mean of squares."""
        shown = self.game.encode(objects)
        return (self.predictor(shown) - self.target(shown).detach()).square().mean(-1)

    def losses(self, made: Trajectories) -> dict[str, Tensor]:
        """Trajectory balance under the novelty of objects, and the predictor's error."""
        novelty = self.novelty(terminal(made))
        log_rewards = self.settings.sharpness * (novelty.detach() + LEAST).log()
        balance = self.balance.loss(self.game.env, made, log_rewards=log_rewards)
        return {"explorer": balance, "novelty": novelty.mean()}

    def rates(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates."""
        settings = self.settings
        log_Z = self.balance.logz_parameters()  # noqa: N806 (the paper's symbol)
        others = [p for p in self.balance.parameters() if all(p is not other for other in log_Z)]
        return [
            {"params": [*others, *self.predictor.parameters()], "lr": settings.lr},
            {"params": log_Z, "lr": settings.lr_log_Z},
        ]


NET: Net = partial(MLP, width=256, layers=2)
