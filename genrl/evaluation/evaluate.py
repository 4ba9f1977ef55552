"""Evaluate a policy in an environment: returns, success and normalised score, each with its spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from genrl.data.aligned import aligned
from genrl.data.collect import ResetOptions, collect
from genrl.data.conditions import Conditions
from genrl.data.environments import EnvLike
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.policy import Policy
from genrl.data.record import SUCCESS_INFOS
from genrl.evaluation.scores import ReferenceScores, references_where
from genrl.evaluation.statistics import Interval, bootstrap, rate


@dataclass(frozen=True)
class Evaluation:
    """What E evaluation episodes came to; the episodes themselves are kept for pictures.

    The intervals are over episodes of *one* policy; what another training seed would give is for a benchmark to say.
    """

    episodes: Episodes
    references: ReferenceScores | None = None

    @cached_property
    def returns(self) -> np.ndarray:
        """(E,) undiscounted return."""
        return self.episodes.returns.numpy()

    @cached_property
    def lengths(self) -> np.ndarray:
        """(E,) steps."""
        return self.episodes.lengths.numpy()

    @cached_property
    def success(self) -> np.ndarray | None:
        """(E,) bool: the environment reported success at some step; None where it never reports it."""
        return successes(self.episodes)

    @cached_property
    def scores(self) -> np.ndarray | None:
        """(E,) normalised score in percent; None without reference scores."""
        return None if self.references is None else self.references.score(self.returns)

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the return over episodes."""
        return float(self.returns.std())

    @cached_property
    def interquartile_mean(self) -> Interval:
        """Interquartile mean of the return with its 95 % bootstrap interval over episodes."""
        return bootstrap(self.returns)

    @cached_property
    def success_rate(self) -> Interval | None:
        """Share of successful episodes, 0 to 1, with its 95 % Wilson interval over episodes."""
        return None if self.success is None else rate(self.success)

    @cached_property
    def score(self) -> Interval | None:
        """Mean normalised score in percent with its 95 % bootstrap interval over episodes."""
        return None if self.scores is None else bootstrap(self.scores, np.mean)

    def rows(self) -> list[tuple[str, str]]:
        """What to show of it: (quantity with unit, value)."""
        rows = [
            ("episodes", str(len(self.episodes))),
            ("return, mean ± std", f"{self.mean:.2f} ± {self.std:.2f}"),
            ("return, IQM [95 %]", str(self.interquartile_mean)),
            ("length in steps, mean", f"{self.lengths.mean():.1f}"),
        ]
        if self.success_rate is not None:
            rows.append(("success rate [95 %]", str(self.success_rate)))
        if self.score is not None:
            rows.append(("normalised score in % [95 %]", str(self.score)))
        return rows

    def __str__(self) -> str:
        return aligned(self.rows())


def evaluate(
    policy: Policy,
    env: EnvLike,
    episodes: int,
    seed: int,
    *,
    num_envs: int = 8,
    conditions: Conditions | None = None,
    card: DatasetCard | None = None,
    deterministic: bool = True,
    max_steps: int | None = None,
    progress: bool = False,
    env_options: Mapping[str, Any] | None = None,
    reset_options: ResetOptions | None = None,
) -> Evaluation:
    """Run ``policy`` for whole episodes: the same result whatever ``num_envs``, see ``genrl.data.collect``.

    Args:
        policy: anything that follows the policy protocol.
        env: environment id, Gymnasium specification, or a function that makes an environment.
        episodes: how many episodes to play.
        seed: the one source of all randomness.
        num_envs: environments stepped side by side.
        conditions: row e is passed to the policy while it acts in episode e.
        card: of the data set learned from, for its reference scores, unless they are another environment's; otherwise
            those of the environment, if known.
        deterministic: ask the policy for its deterministic action, as the field evaluates.
        max_steps: an episode still running after so many steps is truncated.
        progress: show a progress bar.
        env_options: passed to the maker of the environment.
        reset_options: options for each episode's reset, e.g. start and goal cells.

    Raises:
        ConfigurationError, ConditionError, AlignmentError, NonFiniteError, OutOfSpaceError: as ``collect`` does.
        ConfigurationError: the reference scores of ``card`` are no measure; nothing is played then.
        CorruptDatasetError: an environment in ``card`` cannot be read; nothing is played then.
    """
    if card is not None:
        references_where(card, card)  # refused before anything is played, if they cannot be told afterwards
    played = collect(
        env,
        policy,
        episodes,
        seed,
        num_envs=num_envs,
        conditions=conditions,
        deterministic=deterministic,
        max_steps=max_steps,
        progress=progress,
        env_options=env_options,
        reset_options=reset_options,
    )
    return Evaluation(played, references_where(played.card, card))


def successes(episodes: Episodes) -> np.ndarray | None:
    """(E,) bool: whether an info named success was true at any step; None where there is none."""
    path = next((name for name in SUCCESS_INFOS if name in episodes.infos), None)
    if path is None:
        return None
    flags = episodes.infos[path].reshape(episodes.infos[path].shape[0], -1)[:, 0].bool()
    rows = episodes.episode_of_transition
    if flags.shape[0] != episodes.num_transitions:  # one entry an observation
        rows = torch.repeat_interleave(torch.arange(len(episodes)), episodes.lengths + 1)
    counts = torch.zeros(len(episodes), dtype=torch.int64).index_add_(0, rows, flags.long())
    return (counts > 0).numpy()
