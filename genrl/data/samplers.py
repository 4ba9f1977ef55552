"""Batches of transitions and windows, each fetched by one vectorised gather.

Which rows to take (index tensors, computed once) is apart from fetching them (``fetch``), and the choice of items is
the caller's: a sampler only answers to indices. Everything lives on the device of the rows.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genrl.data.batch import GoalTransitions, GoalWindows, Transitions, Windows
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError, EmptyDatasetError


class TransitionSampler:
    """All N transitions of some episodes.

    Args:
        observations: (N + E, Do) encoded observations, the last of each episode included.
        actions: (N, Da) encoded actions.
        episodes: whose transitions they are.
        rewards: (N,) instead of the episodes' own (scaled or relabelled).

    Raises:
        AlignmentError: the rows do not fit the episodes.
    """

    def __init__(
        self, observations: Tensor, actions: Tensor, episodes: Episodes, rewards: Tensor | None = None
    ) -> None:
        device, total = observations.device, episodes.num_transitions
        rewards = episodes.rewards if rewards is None else rewards
        for name, rows, expected in (
            ("observations", observations, total + len(episodes)),
            ("actions", actions, total),
            ("rewards", rewards, total),
        ):
            if rows.shape[0] != expected:
                raise AlignmentError(f"{expected} rows of {name} belong to these episodes, not {rows.shape[0]}.")
        self.num_rows = observations.shape[0]
        self.observations, self.actions = observations, actions.to(device)
        self.rewards = rewards.to(device, torch.float32)
        self.terminated = episodes.terminations.to(device, torch.float32)
        self._row = episodes.observation_rows.to(device)  # (N,) of s_t
        self._last = (episodes.observation_starts + episodes.lengths)[episodes.episode_of_transition].to(device)

    def __len__(self) -> int:
        return self.actions.shape[0]

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> Transitions:
        """The transitions at ``index`` (B,) int64."""
        index = index.to(self._row.device)
        row = self._row[index]
        return Transitions(
            observations=self.observations.index_select(0, row),
            actions=self.actions.index_select(0, index),
            rewards=self.rewards[index],
            next_observations=self.observations.index_select(0, row + 1),
            terminated=self.terminated[index],
        )

    def future(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """First and last observation row (B,) that may serve as a goal: from s_{t+1} to the end of the episode."""
        index = index.to(self._row.device)
        return self._row[index] + 1, self._last[index]


class WindowSampler:
    """Windows of ``horizon`` rows from packed rows; no window crosses the end of an episode.

    Without padding, an episode of L >= horizon rows gives the windows that begin at its rows 0, stride, 2 stride, ...
    and the one that ends with its last row; shorter episodes are left out. With padding, windows begin at 0, stride,
    ... as long as two rows are left, and repeat the last row up to the horizon.

    Args:
        rows: (R, D) packed rows of all episodes, one after the other; copied on a CPU.
        lengths: (E,) int64 rows of each episode; T + 1 where rows hold observations.
        horizon: H, rows in a window.
        stride: rows from one window to the next.
        pad: whether windows may reach past the end.

    Attributes:
        starts: (W,) first row of each window.
        ends: (W,) one past the last row of each window's episode.

    Raises:
        AlignmentError: the lengths do not add up to R.
        ConfigurationError: horizon or stride is below one.
        EmptyDatasetError: no episode is long enough for a window.
    """

    def __init__(self, rows: Tensor, lengths: Tensor, horizon: int, stride: int = 1, pad: bool = False) -> None:
        if int(lengths.sum()) != rows.shape[0]:
            raise AlignmentError(
                f"Episodes of {int(lengths.sum())} rows in all do not fit {rows.shape[0]} packed rows."
            )
        if horizon < 1 or stride < 1:
            raise ConfigurationError(f"Horizon and stride must be at least 1, not {horizon} and {stride}.")
        starts, ends = window_starts(lengths.cpu(), min(2, horizon) if pad else horizon, stride, closing=not pad)
        if not len(starts):
            longest = max(lengths.tolist(), default=0)
            raise EmptyDatasetError(
                f"No episode has enough rows for a window of {horizon} (the longest has {longest}); "
                "shorten the horizon or allow padding."
            )
        self.num_rows = rows.shape[0]
        self.rows, self.horizon, self._padded = _resident(_at_least(rows, horizon)), horizon, pad
        self.starts, self.ends = _resident(starts.to(rows.device)), ends.to(rows.device)
        self._blocks = _overlapping_blocks(self.rows, horizon)
        self._steps = torch.arange(horizon, device=rows.device)

    def __len__(self) -> int:
        return len(self.starts)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> Windows:
        """The windows at ``index`` (B,) int64."""
        index = index.to(self.starts.device)
        starts = self.starts.index_select(0, index)
        if not self._padded:
            rows = self._gather(starts)
            return Windows(rows, torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device))
        ends = self.ends[index]
        rows = self._gather(starts.clamp(max=len(self._blocks) - 1))
        short = (starts + self.horizon > ends).nonzero().squeeze(-1)  # gathered beyond their episode: once more
        rows[short] = self.rows[(starts[short, None] + self._steps).minimum(ends[short, None] - 1)]
        return Windows(rows, mask=self._steps < (ends - starts)[:, None])

    def _gather(self, starts: Tensor) -> Tensor:
        """(B, H, D) whatever rows follow each start."""
        return self._blocks.index_select(0, starts).view(len(starts), self.horizon, -1)

    def future(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """First and last row (B,) that may serve as a goal: from the window's last row to the end of the episode."""
        index = index.to(self.starts.device)
        last = self.ends[index] - 1
        return (self.starts[index] + self.horizon - 1).minimum(last), last


def window_starts(lengths: Tensor, shortest: int, stride: int, closing: bool) -> tuple[Tensor, Tensor]:
    """Where windows begin, over all episodes of ``lengths`` (E,) packed rows.

    Args:
        lengths: (E,) rows of each episode.
        shortest: rows that must be left in the episode from a window's start on.
        stride: rows from one start to the next.
        closing: also begin one window exactly ``shortest`` rows before the end.

    Returns:
        (W,) start of each window and (W,) one past the last row of its episode.
    """
    first = lengths.cumsum(0) - lengths
    room = lengths - shortest  # offset of the last possible start
    counts = torch.where(room >= 0, room.div(stride, rounding_mode="floor") + 1, 0)
    extra = (room >= 0) & (room % stride != 0) if closing else torch.zeros_like(room, dtype=torch.bool)
    total = counts + extra
    episode = torch.repeat_interleave(torch.arange(len(lengths)), total)
    place = torch.arange(len(episode)) - (total.cumsum(0) - total)[episode]
    offset = (place * stride).minimum(room[episode])  # the extra window is moved back to the last possible start
    return first[episode] + offset, (first + lengths)[episode]


def _overlapping_blocks(rows: Tensor, horizon: int) -> Tensor:
    """(R - H + 1, H D) a view in which row r holds rows r .. r + H - 1, so that one window is one block of memory."""
    total, dim = rows.shape
    return rows.as_strided((total - horizon + 1, horizon * dim), (dim, 1))


def _resident(rows: Tensor) -> Tensor:
    """The rows in one piece of memory; a copy on a CPU.

    Numpy asks the kernel for huge pages where torch does not, so that random reads miss the TLB less: a quarter faster.
    """
    if rows.device.type != "cpu":
        return rows.contiguous()
    memory = torch.from_numpy(np.empty(rows.numel() * rows.element_size(), np.uint8))
    return memory.view(rows.dtype).view(rows.shape).copy_(rows)


def _at_least(rows: Tensor, count: int) -> Tensor:
    """The rows, and the last one repeated where there are fewer than ``count``."""
    missing = count - rows.shape[0]
    return rows if missing <= 0 else torch.cat([rows, rows[-1:].expand(missing, -1)])


Future = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""(first (B,), last (B,), generator) -> (B,) a row between the two, both included."""


def uniform_future(first: Tensor, last: Tensor, generator: torch.Generator) -> Tensor:
    """Every future row alike."""
    span = last - first + 1
    return first + (_uniform(first, generator) * span).long().minimum(span - 1)


def geometric_future(discount: float) -> Future:
    """Row first + k with probability proportional to discount^k, within the episode.

    Raises:
        ConfigurationError: the discount is not strictly between 0 and 1.
    """
    if not 0 < discount < 1:
        raise ConfigurationError(f"The discount of future goals lies strictly between 0 and 1, so not at {discount}.")
    log_discount = math.log(discount)

    def choose(first: Tensor, last: Tensor, generator: torch.Generator) -> Tensor:
        span = last - first + 1
        reached = -torch.expm1(span * log_discount)  # probability of all k that stay in the episode
        offset = torch.log1p(-_uniform(first, generator) * reached) / log_discount
        return first + offset.long().minimum(span - 1)

    return choose


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """(B,) float64 uniform numbers on [0, 1), on the device of ``like``."""
    draws = torch.rand(like.shape, generator=generator, dtype=torch.float64, device=generator.device)
    return draws.to(like.device)


class GoalSampler:
    """What another sampler gives, each item with a goal from the future of the same episode (hindsight relabelling).

    A transition's goals come from s_{t+1} on (Andrychowicz et al. 2017, arXiv:1707.01495, "future"), a window's from
    its last row on.

    Args:
        base: sampler of transitions or windows.
        goals: (R, G) achieved goal at every observation row.
        future: how to choose among the future rows.
    """

    def __init__(self, base: TransitionSampler | WindowSampler, goals: Tensor, future: Future = uniform_future) -> None:
        if goals.shape[0] != base.num_rows:
            raise AlignmentError(f"Goals are needed at {base.num_rows} observation rows, not {goals.shape[0]}.")
        self.base, self.choose = base, future
        self.goals = goals

    def __len__(self) -> int:
        return len(self.base)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> GoalTransitions | GoalWindows:
        """The items at ``index`` (B,) int64, with goals drawn from ``generator``.

        Raises:
            ConfigurationError: no generator is given.
        """
        if generator is None:
            raise ConfigurationError("A GoalSampler draws goals at random: pass fetch a torch.Generator.")
        first, last = self.base.future(index)
        goals = self.goals.index_select(0, self.choose(first, last, generator).to(self.goals.device))
        return self.base.fetch(index).with_goals(goals)
