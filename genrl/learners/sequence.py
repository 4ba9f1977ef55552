"""Learners whose policy looks back over several steps, towards a goal, and plans a chunk of actions.

What BESO, its form by flow matching and their baselines share: windows of play with goals in hindsight, one network
form, one policy. They differ in how a window's actions are modelled.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.goals import GoalLayout
from genrl.data.history import HistorySampler, HistoryWindows
from genrl.data.normalizers import MinMax
from genrl.data.policy import Policy
from genrl.data.ranges import require_at_least, require_shares, require_whole
from genrl.data.samplers import geometric_future, uniform_future
from genrl.diffusion.noise import Noise
from genrl.learners.agent import Agent
from genrl.learners.observer import Observer
from genrl.learners.sequence_policy import SequencePolicy
from genrl.nets.policy_transformer import Observed, PolicyNet
from genrl.training.ema import EMA
from genrl.training.schedule import warmup_cosine
from genrl.training.space_support import NUMBERS, SpaceSupport
from genrl.training.spec import DataSpec


class SequenceLearner(Agent):
    """Learns K actions from T observations and G goals.

    Subclasses keep these as constructor arguments, say what their network puts out and how it is trained and read.

    Attributes:
        net: maker of the network, see ``PolicyTransformer``.
        history: T, observations that the policy looks back on.
        chunk: K, actions planned at once.
        goal_length: G, consecutive goals; 0 for a policy without.
        goal_discount: goals lie k steps ahead with probability proportional to ``goal_discount ** k``; None for every
            future step alike.
        lr, weight_decay: of AdamW; linear warm-up over the first tenth, then cosine to zero.
        ema_decay: of the averaged weights that act.
    """

    takes = SpaceSupport(actions=NUMBERS)
    net: PolicyNet
    history: int
    chunk: int
    goal_length: int
    goal_discount: float | None
    lr: float
    weight_decay: float
    ema_decay: float

    @property
    def goal_free(self) -> bool:
        """Whether the policy can act without a goal."""
        return self.goal_length == 0

    def require_ranges(self) -> None:
        """Refuse arguments that all share.

        Raises:
            ConfigurationError: one is out of range.
        """
        require_whole(1, history=self.history, chunk=self.chunk)
        require_whole(0, goal_length=self.goal_length)
        require_at_least(0, lr=self.lr, weight_decay=self.weight_decay)
        require_shares(ema_decay=self.ema_decay)

    @abstractmethod
    def output_dim(self, action_dim: int) -> int:
        """O, numbers that the network puts out for each action."""

    @abstractmethod
    def loss(self, batch: HistoryWindows, generator: torch.Generator) -> dict[str, Tensor]:
        """What is minimised under ``loss``, and whatever else there is to log."""

    @abstractmethod
    def plan(self, observed: Observed, past: Tensor, noise: Noise) -> Tensor:
        """(B, K, A) actions on the scale of ``actions``, for what is observed and the (B, T - 1, A) actions before.

        Args:
            noise: standard normal numbers, all the randomness there is; asked for one step after the other.
        """

    def build(self, spec: DataSpec) -> None:
        """Observer, scale of the actions and network."""
        goal_leaves = GoalLayout.of(spec.observation_space).achieved if self.goal_length else ()
        self.observer = Observer(spec, goal_leaves)
        self.codec = SpaceCodec(spec.action_space)
        self.scale = MinMax(self.codec.dim)
        self.model = self.around(self.network(self.codec.dim, self.output_dim(self.codec.dim)))

    def network(self, action_dim: int, output_dim: int) -> nn.Module:
        """A network over this learner's windows, from ``action_dim`` to ``output_dim`` numbers for each action."""
        state_dim, goal_dim = self.observer.state.dim, self.observer.goal.dim
        return self.net(state_dim, goal_dim, action_dim, output_dim, self.history, self.chunk, self.goal_length)

    def around(self, network: nn.Module) -> nn.Module:
        """What learns: the network by itself, or with something around it."""
        return network

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of observations and the range of actions."""
        self.observer.fit(episodes.observations)
        self.scale.fit(self.codec.encode(episodes.actions))

    def sampler(self, episodes: Episodes) -> HistorySampler:
        """A window around every transition, with goals from its future."""
        return HistorySampler(
            self.observer.state(episodes.observations),
            self.actions(episodes),
            self.observer.goal(episodes.observations),
            episodes,
            self.history,
            self.chunk,
            self.goal_length,
            uniform_future if self.goal_discount is None else geometric_future(self.goal_discount),
        )

    def actions(self, episodes: Episodes) -> Tensor:
        """(N, A) actions, each column in [-1, 1] over the training data."""
        return self.scale.normalize(self.codec.encode(episodes.actions))

    def training_step(self, batch: HistoryWindows, batch_index: int) -> Tensor:
        """The loss of one batch."""
        metrics = self.loss(batch, self.noise_generator(batch_index))
        self.log_sparsely({f"train_{name}": value.detach() for name, value in metrics.items()})
        return metrics["loss"]

    def validation_step(self, batch: HistoryWindows, batch_index: int) -> None:
        """The same on held-out episodes."""
        metrics = self.loss(batch, self.noise_generator(batch_index))
        self.log_dict({f"val_{name}": value for name, value in metrics.items()}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self.model.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())

    def configure_callbacks(self) -> list[Callback]:
        """Averaged weights."""
        return [EMA(self.ema_decay)]

    def policy(self, execute: int | None = None, together: int = 1) -> Policy:
        """The learner as a policy.

        Args:
            execute: actions of a chunk that are carried out before the next is planned; all by default.
            together: see ``Agent``.

        Raises:
            ConfigurationError: the learner was never fitted, or ``execute`` is not within the chunk.
        """
        self.require_fitted()
        return SequencePolicy(self, self.plan, execute, together)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, H) values where ``mask`` (B, H) is true."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)
