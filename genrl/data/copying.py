"""Does a synthetic data set copy the one it was learned from? Nearest training windows, against fresh real ones.

A window is H consecutive steps [s_t, a_t] of one episode, every column standardised by the training data. The distance
of two windows is the root mean square of their H x D differences, so it reads as real standard deviations per entry.
For a query window, d(query) is its distance to the nearest training window. Held-out real windows give the
distribution that honest new data would show; synthetic windows are held against it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from genrl.data.columns import comparable
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError, EmptyDatasetError

CLOSE_PERCENTILE = 5.0
EXCESSIVE = 0.5
MAX_TRAINING_WINDOWS = 200_000
PART = 10_000


class CopyingWarning(UserWarning):
    """Synthetic windows lie much nearer to the training data than fresh real ones do."""


@dataclass(frozen=True)
class Copying:
    """Distances to the nearest training window, of synthetic and of held-out real windows.

    Attributes:
        synthetic: (n,) distances, in real standard deviations per entry.
        held_out: (m,) the same for real windows of episodes that were not trained on.
        horizon: H, steps a window.
    """

    synthetic: np.ndarray
    held_out: np.ndarray
    horizon: int

    @property
    def copying(self) -> float:
        """Share of synthetic windows nearer to a training window than held-out real ones are.

        Exactly: over all pairs of a synthetic and a held-out window, the share in which the synthetic one has the
        smaller d, ties counting half. 0.5 is what fresh real data give, 1 means that every synthetic window is nearer
        than every held-out one, below 0.5 they keep more distance than real data do.
        """
        wins = mannwhitneyu(self.held_out, self.synthetic).statistic
        return float(wins / (self.synthetic.size * self.held_out.size))

    @property
    def close(self) -> float:
        """Share of synthetic windows with d below the 5th percentile of the held-out d: fresh real data give 0.05.

        Where many held-out windows are at that percentile, as they are where states are few, of the synthetic ones
        there as large a part counts as does of the held-out ones.
        """
        level, share = np.percentile(self.held_out, CLOSE_PERCENTILE), CLOSE_PERCENTILE / 100
        (below, at), (known_below, known_at) = (
            ((d < level).mean(), (d == level).mean()) for d in (self.synthetic, self.held_out)
        )
        return float(below + at * max(share - known_below, 0.0) / known_at if known_at else below)

    @property
    def repeats(self) -> float:
        """Share of synthetic windows that are training windows (d = 0), less that of held-out ones."""
        return float((self.synthetic == 0).mean() - (self.held_out == 0).mean())

    @property
    def ratio(self) -> float:
        """Median synthetic d over median held-out d: fresh real data give 1, copies 0; NaN where the latter is 0."""
        known = float(np.median(self.held_out))
        return float(np.median(self.synthetic)) / known if known else math.nan

    def rows(self) -> Iterator[tuple[str, str]]:
        """What to show of it: (quantity, value)."""
        yield "copying, share nearer than held-out (fresh data: 0.5)", f"{self.copying:.3f}"
        yield "share below the held-out 5th percentile (fresh data: 0.05)", f"{self.close:.3f}"
        yield "median distance over the held-out one (fresh data: 1)", f"{self.ratio:.3f}"

    def excess(self) -> str | None:
        """A sentence if over half of the synthetic windows are nearer than held-out ones should be, else None."""
        if self.repeats > EXCESSIVE:
            made, known = (100 * float((d == 0).mean()) for d in (self.synthetic, self.held_out))
            return (
                f"{made:.0f} % of the synthetic windows of {self.horizon} steps are training windows, and {known:.0f} %"
                " of held-out real ones: the model repeats its data. Train for fewer steps, use a smaller network or"
                " more data."
            )
        if self.close <= EXCESSIVE:
            return None
        return (
            f"{100 * self.close:.0f} % of the synthetic windows of {self.horizon} steps lie nearer to a training "
            f"window than 95 % of held-out real windows do (copying {self.copying:.2f}, fresh data give 0.5): the "
            "model repeats its data. Train for fewer steps, use a smaller network or more data."
        )

    def warn(self) -> None:
        """Issue ``excess`` as a ``CopyingWarning`` if there is any."""
        if message := self.excess():
            warnings.warn(message, CopyingWarning, stacklevel=2)


def copying(
    train: Episodes, held_out: Episodes, synthetic: Episodes, horizon: int = 16, max_windows: int = 2_000, seed: int = 0
) -> Copying:
    """Distance of synthetic and of held-out windows to the nearest window of ``train``.

    All training windows count, of more than 200,000 so many drawn with ``seed`` (the same for both sides).

    Args:
        train: the episodes that the model was fitted on.
        held_out: real episodes that it never saw.
        synthetic: what it made.
        horizon: H, steps a window; shorter episodes have no window.
        max_windows: at most so many synthetic and so many held-out windows, drawn with ``seed``, are looked up.
        seed: of the draws.

    Raises:
        AlignmentError: the data sets have different spaces.
        EmptyDatasetError: one of them has no episode of ``horizon`` steps.
        ConfigurationError: ``horizon`` is below 1.
    """
    if horizon < 1:
        raise ConfigurationError(f"A window needs at least one step, not {horizon}.")
    reference, fresh = comparable(train, held_out)
    _, made = comparable(train, synthetic)
    queries = [_window_starts(data, horizon, max_windows, seed) for data in (synthetic, held_out)]
    trained = _window_starts(train, horizon, MAX_TRAINING_WINDOWS, seed)
    real = reference.rows[:, :-1]
    mean, std = real.mean(0), real.std(0, correction=min(1, len(real) - 1))  # a single row has no spread
    scale = torch.where(std > 0, std, 1.0)
    known, one, two = ((columns.rows[:, :-1] - mean) / scale for columns in (reference, made, fresh))  # no reward
    found = nearest_distances(
        torch.cat([_windows(one, queries[0], horizon), _windows(two, queries[1], horizon)]),
        (_windows(known, part, horizon) for part in trained.split(PART)),
    )
    count = len(queries[0])
    return Copying(found[:count].numpy(), found[count:].numpy(), horizon)


def cross_copying(
    real: Episodes, synthetic: Episodes, horizon: int = 16, folds: int = 5, max_windows: int = 2_000, seed: int = 0
) -> Copying:
    """``copying`` where no real episodes were held out: each fold of the real ones plays that part in turn.

    In a fold, the distances of its episodes and of the synthetic ones are taken to the same other folds, so that
    neither side has more neighbours to find; all folds are then pooled. A copy of a real window is found in all folds
    but the one that holds the original.

    Raises:
        EmptyDatasetError: fewer than two real episodes, or no synthetic one, have ``horizon`` steps.
    """
    real = real.select(torch.nonzero(real.lengths >= horizon).squeeze(-1))
    if len(real) < 2:
        raise EmptyDatasetError(f"Fewer than two real episodes have {horizon} steps; choose a shorter horizon.")
    folds = min(folds, len(real))
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    parts = []
    for fold in range(folds):
        mine = torch.arange(len(real)) % folds == fold
        train, held_out = real.select(order[~mine]), real.select(order[mine])
        parts.append(copying(train, held_out, synthetic, horizon, max(max_windows // folds, 1), seed + fold))
    return Copying(
        synthetic=np.concatenate([part.synthetic for part in parts]),
        held_out=np.concatenate([part.held_out for part in parts]),
        horizon=horizon,
    )


def nearest_distances(queries: Tensor, known: Iterable[Tensor], chunk: int = 256) -> Tensor:
    """(n,) root-mean-square distance of each of ``queries`` (n, K) to the nearest row of all parts of ``known`` (m, K).

    In each part the nearest row is found by matrix products; its distance is then computed exactly, so that a copy
    has distance 0, unless another row is so near that rounding takes that one.
    """
    best = torch.full((queries.shape[0],), torch.inf)
    for part in known:
        nearest = torch.cat([torch.cdist(some, part).argmin(-1) for some in queries.split(chunk)])
        best = torch.minimum(best, (queries - part[nearest]).square().mean(-1).sqrt())
    return best


def _windows(rows: Tensor, starts: Tensor, horizon: int) -> Tensor:
    """(n, H D) the windows of ``rows`` (N, D) that begin at ``starts`` (n,)."""
    return rows[starts[:, None] + torch.arange(horizon)].flatten(1)


def _window_starts(episodes: Episodes, horizon: int, limit: int | None, seed: int) -> Tensor:
    """(n,) transition rows at which a window of one episode begins; at most ``limit`` of them, drawn with ``seed``."""
    rows = torch.arange(episodes.num_transitions)
    ends = (episodes.transition_starts + episodes.lengths)[episodes.episode_of_transition]
    starts = rows[rows + horizon <= ends]
    if starts.numel() == 0:
        longest = max(episodes.lengths.tolist(), default=0)
        raise EmptyDatasetError(
            f"No episode has {horizon} steps (the longest has {longest}); choose a shorter horizon."
        )
    if limit is not None and starts.numel() > limit:
        starts = starts[torch.randperm(starts.numel(), generator=torch.Generator().manual_seed(seed))[:limit]]
    return starts
