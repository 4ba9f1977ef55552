"""MBRCSL: rollouts of the data's own behaviour in a learned world, of which those better than all data are kept.

Source: "Free from Bellman Completeness: Trajectory Stitching via Model-based Return-conditioned Supervised Learning"
(Zhou et al. 2023), https://arxiv.org/abs/2310.19308, algorithm 1. Where trajectories of the data meet, the behaviour
goes on as any of them did, so some of many rollouts put the better parts together; a return-conditioned learner is then
fitted to those alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError, NothingAcceptedError
from genrl.data.randomness import generator
from genrl.data.ranges import require_whole
from genrl.data.spaces import require_same_spaces
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.rollout import Rollout, rollout
from genrl.dynamics.within import Within
from genrl.methods.given_data import folders, read
from genrl.methods.imagined_play import ImaginedPlay, Player
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Block, require_length

NUMBERS = 1 << 32
"""More than there are waves in a block: wave w of block i draws from the numbers of block i NUMBERS + w."""


class MBRCSL(ImaginedPlay):
    """Whole episodes of a behaviour policy in a world model whose predicted return surpasses that of the data.

    They begin where episodes of the data begin. A block of n episodes holds the first n that are good enough among at
    most ``tries`` n rollouts; where there are fewer it holds these.

    Args:
        world_model: fitted to ``data``.
        policy: a learner over windows that was fitted to ``data`` to act as these do, such as ``BESO`` without goals.
        data: Minari id of the data to surpass, or the Episodes themselves (then there is nothing that a checkpoint or
            another process could load).
        horizon: transitions in an episode, fewer where the model ends it; those of the longest in the data by default.
        quantile: share of the data's episodes to be at least as good as; 1 for the best, as published.
        margin: return by which that is to be exceeded.
        tries: rollouts for each episode that is wanted, at most; published: 2,000.
        slack: how far beyond the range of the data a next state is moved back from, as a share of that range; a rollout
            that goes further is cut off and thrown away, see ``Within``.
        wave: rollouts made at once, part of what a block is.
        disagreement: see ``ModelRollouts``.
        root: folder of the data set; Minari's own by default.

    Raises:
        ConfigurationError: a number is out of range, a part was never fitted, or the parts or the data do not fit.
    """

    understands: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        world_model: LearnedWorld,
        policy: Player,
        data: str | Episodes,
        horizon: int | None = None,
        quantile: float = 1.0,
        margin: float = 0.0,
        tries: int = 2000,
        slack: float = 0.25,
        wave: int = 256,
        root: str | None = None,
        disagreement: bool = True,
    ) -> None:
        super().__init__(world_model, policy, 1 if horizon is None else horizon, disagreement=disagreement)
        self.horizon = horizon  # type: ignore[assignment]
        if not 0 <= quantile <= 1:
            raise ConfigurationError(f"quantile is a share of the episodes, from 0 to 1, not {quantile}.")
        require_whole(1, tries=tries, wave=wave)
        if slack < 0:
            raise ConfigurationError(f"slack is a share of the data's range, 0 or more, not {slack}.")
        self.data, self.quantile, self.margin, self.tries = data, quantile, margin, tries
        self.slack, self.wave, self.root = slack, wave, root

    @property
    def reads(self) -> list[Path]:
        """That of the data to surpass."""
        return folders(self.data, self.root)

    @cached_property
    def real(self) -> Episodes:
        """The data to surpass.

        Raises:
            ConfigurationError: their spaces are not the world model's, or their rewards are all alike.
        """
        data = read(self.data, self.root)
        name, spec = data.card.dataset_id or "given", self.spec
        assert spec is not None
        require_same_spaces(
            data, f"The data set {name}", spec, "that of the world model", "surpass data of the same environment"
        )
        if (data.rewards == data.rewards[0]).all():
            raise ConfigurationError(
                f"All rewards in the data {name} are {data.rewards[0]:g}: no return is better than another, so there is"
                " nothing to surpass. Take data with rewards, or label these."
            )
        return data

    @cached_property
    def threshold(self) -> float:
        """The predicted return that a rollout must exceed."""
        return float(self.real.returns.quantile(self.quantile)) + self.margin

    @cached_property
    def beginnings(self) -> tuple[Tensor, Tensor]:
        """(E, S) first states of the data's episodes, and the (E, G) goals that were desired there."""
        codecs, first = (
            (self.world_model.columns.observation_codec, self.world_model.goal_codec),
            self.real.observation_starts,
        )
        states, goals = (codec.encode(self.real.observations)[first] for codec in codecs)
        return states, goals

    @cached_property
    def dynamics(self) -> Within:
        """Those of the world model, within the range of the data."""
        states = self.world_model.columns.observation_codec.encode(self.real.observations)
        rewards = self.real.rewards.to(states)
        low, high = (torch.cat((getattr(states, end)(0), getattr(rewards, end)()[None])) for end in ("amin", "amax"))
        device = self.world_model.low.device
        return Within(self.world_model.dynamics(self.disagreement), low.to(device), high.to(device), self.slack)

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Rollouts better than the data, at most as many as the block is to hold.

        Infos of a transition are ``disagreement``, how far the members of the ensemble were apart (where that is kept),
        and ``rollout``, the number of its episode among all rollouts of the block. Rollouts that leave the range of the
        data are thrown away and warned of, and so is a block that is not full.

        Raises:
            ConditionError: any condition.
            NothingAcceptedError: not one rollout was good enough.
            ConfigurationError: a length below one, or see ``real``.
        """
        (conditions or Conditions()).require(type(self).__name__, set(self.understands), block.size)
        require_length(length)
        wanted = self.horizon if length is None else length
        horizon = int(self.real.lengths.max()) if wanted is None else wanted
        kept: list[Episodes] = []
        missing, tried, cut, best = block.size, 0, 0, -torch.inf
        for made, goals in self._rollouts(block, horizon, batch_size):
            returns = predicted_returns(made)  # (B,)
            good = (returns > self.threshold).nonzero().flatten()[:missing]
            if len(good):
                kept.append(self._numbered(chosen(made, good), goals[good], good + tried))
            missing, tried = missing - len(good), tried + len(returns)
            cut, best = cut + int(made.diverged.sum()), max(best, float(returns.max()))
            if not missing:
                break
        self._tell(tried, cut, block.size - missing, block.size, best)
        return concatenate(kept)

    def _rollouts(self, block: Block, horizon: int, batch_size: int | None) -> Iterator[tuple[Rollout, Tensor]]:
        """All rollouts that the block may take, in order, ``batch_size`` of a wave at once, and their goals (B, G)."""
        most = self.tries * block.size
        states, goals = (rows.to(self.world_model.low) for rows in self.beginnings)
        for number, begun in enumerate(range(0, most, self.wave)):
            wave = Block(block.seed, block.index * NUMBERS + number, min(self.wave, most - begun))
            drawn = torch.randint(len(states), (wave.size,), generator=generator(wave.seed, "begin", wave.index))
            noise = BlockNoise(wave.seed, wave.index)
            for part in wave.parts(batch_size):
                rows = drawn[part]
                act, draws = self.acting(goals[rows], Conditions()), noise.part(part.start)
                yield rollout(self.dynamics, act, states[rows], horizon, draws, self.dynamics.bounds), goals[rows]

    def _numbered(self, made: Rollout, goals: Tensor, numbers: Tensor) -> Episodes:
        """Rollouts towards ``goals`` (B, G) as episodes that know their ``numbers`` (B,)."""
        episodes = self.episodes(made, goals)
        return replace(episodes, infos=episodes.infos | {"rollout": numbers.cpu().repeat_interleave(episodes.lengths)})

    def _tell(self, tried: int, cut: int, accepted: int, wanted: int, best: float) -> None:
        """What there is to say of a block."""
        if cut:
            warnings.warn(
                f"{cut} of {tried} rollouts left the range of the data and were thrown away; fit the world model longer"
                " if they are many.",
                stacklevel=3,
            )
        if accepted == 0:
            near = "all left the range of the data" if cut == tried else f"the best was predicted to have {best:.4g}"
            raise NothingAcceptedError(
                f"Not one of {tried} rollouts surpassed a return of {self.threshold:.4g}; {near}. Fit the behaviour"
                " policy and the world model longer, allow more tries, or ask for less by quantile or margin."
            )
        if accepted < wanted:
            warnings.warn(
                f"{accepted} of {wanted} episodes were found in {tried} rollouts, the most that are tried; allow more"
                " tries, or ask for less by quantile or margin.",
                stacklevel=3,
            )


def predicted_returns(made: Rollout) -> Tensor:
    """(B,) float64 sums of the rewards; -inf where a rollout was cut off."""
    acted = torch.arange(made.rewards.shape[1], device=made.lengths.device) < made.lengths[:, None]
    return torch.where(acted, made.rewards.double(), 0.0).sum(1).masked_fill(made.diverged, -torch.inf)


def chosen(made: Rollout, rows: Tensor) -> Rollout:
    """The rollouts at ``rows``."""
    tensors = {name: value[rows] for name, value in vars(made).items() if name != "info"}
    return Rollout(**tensors, info={name: value[rows] for name, value in made.info.items()})
