"""What learned models of an environment share: the columns that they see, and real states to start from."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from genrl.data.batch import Transitions
from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.normalizers import ZScore
from genrl.data.randomness import generator
from genrl.data.samplers import TransitionSampler
from genrl.dynamics.held import Held
from genrl.dynamics.protocol import Dynamics
from genrl.methods.columns import EpisodeColumns
from genrl.training.module import Trainable
from genrl.training.space_support import NUMBERS, SpaceSupport
from genrl.training.spec import DataSpec

FAR = 2.0
"""A state counts as far out at this multiple of the largest distance from the mean in the data, column by column."""


class Learned(Dynamics, Protocol):
    """Dynamics that are learned from transitions."""

    def fit(self, states: Tensor, actions: Tensor, next_states: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """Fit the normalisers to N transitions; find constant targets and whether anything terminates."""

    def widen(self, states: Tensor, actions: Tensor, next_states: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """Also predict what varies, ends or is another constant in N further transitions; the normalisers stay."""


class LearnedWorld(Trainable):
    """p(s', r, done | s, a), and real states to start from.

    It makes no data by itself, for that takes a policy: ``Imagination`` is the method made of both.

    Args:
        starts: K, real states kept as beginnings of rollouts, drawn with replacement.
        seed: of that draw, and of what subclasses draw.

    Attributes:
        start_states: (K, S) columns.
        start_goals: (K, G) columns of the goal that was desired there; G is 0 where the space holds none.
        low, high: (S,) values beyond which a state is far out.
    """

    takes = SpaceSupport(observations=NUMBERS)
    start_states: Tensor
    start_goals: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, starts: int, seed: int) -> None:
        super().__init__()
        if starts < 1:
            raise ConfigurationError(f"Rollouts begin at real states: keep at least one, not {starts}.")
        self.starts, self.seed = starts, seed

    @property
    @abstractmethod
    def learned(self) -> Learned:
        """The dynamics over ``columns``, as they are fitted."""

    @abstractmethod
    def dynamics(self, disagreement: bool = True) -> Dynamics:
        """The dynamics, as they are rolled out; without ``disagreement`` nobody asks how unsure they are."""

    def build(self, spec: DataSpec) -> None:
        """Columns of the data's spaces, and room for states to start from."""
        self.columns = EpisodeColumns(spec, squash=False)
        self.goal_codec = SpaceCodec(spec.observation_space, self.columns.layout.desired)
        state = self.columns.observation_codec.dim
        self.register_buffer("start_states", torch.zeros(self.starts, state))
        self.register_buffer("start_goals", torch.zeros(self.starts, self.goal_codec.dim))
        self.register_buffer("low", torch.full((state,), -torch.inf))
        self.register_buffer("high", torch.full((state,), torch.inf))

    def statistics(self, episodes: Episodes) -> None:
        """Fit the normalisers, draw the states to start from, and find what is far out."""
        self.learned.fit(*fields(self._begin_at(episodes)))
        self._fit_bounds(self.columns.observation_codec.encode(episodes.observations))

    def take_up(self, episodes: Episodes) -> None:
        """Also what varies or ends in these data; rollouts begin at their states, and may go as far as they do."""
        super().take_up(episodes)
        self.learned.widen(*fields(self._begin_at(episodes)))
        low, high = self.low.clone(), self.high.clone()
        self._fit_bounds(self.columns.observation_codec.encode(episodes.observations))
        self.low.copy_(torch.minimum(low, self.low))
        self.high.copy_(torch.maximum(high, self.high))

    def _begin_at(self, episodes: Episodes) -> Transitions:
        """Draw the states to start from; gives all N transitions."""
        everything = self.transitions(episodes).fetch(torch.arange(episodes.num_transitions))
        drawn = torch.randint(len(everything.rewards), (self.starts,), generator=generator(self.seed, "starts"))
        self.start_states.copy_(everything.observations[drawn])
        goals = self.goal_codec.encode(episodes.observations)
        self.start_goals.copy_(goals[episodes.observation_rows[drawn]])
        return everything

    def _fit_bounds(self, states: Tensor) -> None:
        """Bounds from all states (R, S), at least ten standard deviations from the mean."""
        normalizer = ZScore(states.shape[1]).fit(states)
        reach = FAR * normalizer.normalize(states).abs().amax(0).clamp(min=5.0)
        self.low.copy_(normalizer.denormalize(-reach))
        self.high.copy_(normalizer.denormalize(reach))

    def transitions(self, episodes: Episodes) -> TransitionSampler:
        """Those of ``episodes`` in the data's own units."""
        states = self.columns.observation_codec.encode(episodes.observations)
        return TransitionSampler(states, self.columns.action_codec.encode(episodes.actions), episodes)

    def held(self, dynamics: Dynamics) -> Dynamics:
        """``dynamics``, within the observation space where that is not all numbers."""
        codec = self.columns.observation_codec
        return dynamics if codec.free else Held(dynamics, codec)


def fields(batch: Transitions) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """States, actions, next states, rewards and ends, in the order that ``Learned`` takes them."""
    return batch.observations, batch.actions, batch.next_observations, batch.rewards, batch.terminated
