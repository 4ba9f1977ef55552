"""What GFlowNets that are fitted to a reward share: they try objects, ask for their rewards, and draw by a policy."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
from gfn.containers import Trajectories
from gfn.estimators import DiscretePolicyEstimator
from torch import Tensor

from genrl.data.construction import Game, Reward
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.gflownets.paths import Paths, PathSampler
from genrl.gflownets.queries import Queries
from genrl.gflownets.randomness import drawing_from
from genrl.gflownets.replay import Replay, actions_of
from genrl.gflownets.rewarded import rewarded
from genrl.gflownets.sampler import replayed, sample
from genrl.methods.drawn_objects import DrawnObjects
from genrl.methods.ocgfn import padded
from genrl.training.module import Trainable
from genrl.training.schedule import warmup_cosine
from genrl.training.space_support import SpaceSupport
from genrl.training.spec import DataSpec

KEPT = 10_000
"""Trajectories that replay looks back on."""


class RewardedGFN(DrawnObjects, Trainable):
    """A GFlowNet fitted to a reward by trajectories of its own.

    The data say which environment it is, and held-out ones are what the loss is validated on; it does not learn from
    them. Subclasses keep the arguments below as attributes.

    Attributes:
        reward: (N, S) objects to (N,) rewards, a frozen dataclass; None for the environment's own.
        queries: rewards that are kept, so that none is asked for twice.
        epsilon: share of its own actions that are drawn evenly while it learns.
        replay: share of every batch that was made, and paid, before.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        lr_log_Z: the same for the logarithm of the total flow.
        asked: the reward, and what it said so far.
    """

    takes = SpaceSupport(observations=frozenset({"MultiDiscrete"}), actions=frozenset({"Discrete"}))
    reward: Reward | None
    queries: int
    epsilon: float
    replay: float
    lr: float
    lr_log_Z: float  # noqa: N815 (the paper's symbol)

    @property
    @abstractmethod
    def policy(self) -> DiscretePolicyEstimator:
        """P_F(s'|s), an estimator of torchgfn."""

    @abstractmethod
    def losses(self, made: Trajectories) -> dict[str, Tensor]:
        """What is minimised under ``loss``, and its parts."""

    @abstractmethod
    def rates(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates."""

    def require_shares(self) -> None:
        """Check the arguments that all share.

        Raises:
            ConfigurationError: one is out of range.
        """
        if not (0 <= self.epsilon <= 1 and 0 <= self.replay < 1 and self.queries >= 1):
            raise ConfigurationError(
                "epsilon is a share from 0 to 1, replay one below 1, and at least one reward is kept; not"
                f" {self.epsilon}, {self.replay} and {self.queries}."
            )

    def assemble(self, spec: DataSpec) -> None:
        """Build for the environment of the data under the reward.

        Raises:
            ConfigurationError: see ``rewarded``.
        """
        super().assemble(rewarded(spec, self.reward))

    def build(self, spec: DataSpec) -> None:
        """The environment, its reward, and room for trajectories."""
        self.asked = Queries(Game.of(spec.card), self.queries)
        self.game = replace(self.asked.game, reward=self.asked)
        self.past = Replay(self.game, KEPT)

    def statistics(self, episodes: Episodes) -> None:
        """Nothing is learned from the data."""

    def sampler(self, episodes: Episodes) -> PathSampler:
        """Trajectories as actions."""
        return PathSampler(Paths.of(episodes, self.game.longest))

    def tried(self, n: int) -> Trajectories:
        """N trajectories, some of them from before."""
        env: Any = self.game.env
        old = int(n * self.replay)
        made = sample(env, self.policy, n - old, epsilon=self.epsilon)
        self.past.add(actions_of(made))
        return replayed(env, padded(actions_of(made), self.past.draw(old))) if old else made

    def training_step(self, batch: Paths, batch_index: int) -> Tensor:
        """The loss of as many trajectories as the batch has rows."""
        with drawing_from(self.noise_generator(batch_index)):
            metrics = self.losses(self.tried(len(batch.actions)))
        told = {**metrics, "asked": self.asked.asked.float()}
        self.log_sparsely({f"train_{name}": value.detach() for name, value in told.items()})
        return metrics["loss"]

    @torch.no_grad()
    def validation_step(self, batch: Paths, batch_index: int) -> None:
        """The loss of held-out trajectories, whose rewards are asked for, too."""
        with drawing_from(self.noise_generator(batch_index)):
            metrics = self.losses(replayed(self.game.env, batch.trimmed()))
        self.log_dict({f"val_{name}": value for name, value in metrics.items()}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Adam with warm-up and cosine decay over the whole fit."""
        return warmup_cosine(torch.optim.Adam(self.rates(), self.lr), self.planned_steps())
