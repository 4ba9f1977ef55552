"""Endless random batches whose contents depend on (seed, rank, position) alone, so that a resumed fit sees the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.randomness import generator

Batch = TypeVar("Batch")


class Sampler(Protocol):
    """Items that can be fetched by index, many at once."""

    def __len__(self) -> int: ...

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> Any:
        """A batch (a frozen dataclass of tensors) of the items at ``index`` (B,)."""


class RandomBatches:
    """Batches drawn with replacement; each source gives a fixed share of every batch.

    Args:
        sources: samplers, one for each data set.
        rows: rows that each source gives to a batch.
        per_epoch: batches in one pass of the iterator.
        key: seed and whatever else tells this stream from others (rank, split).
        begun: how many batches have been begun already, asked at the start of each pass. A resumed fit knows from its
            checkpoint, and goes on with the very next batch; Lightning itself restores loaders only within an epoch.
    """

    def __init__(
        self,
        sources: Sequence[Sampler],
        rows: Sequence[int],
        per_epoch: int,
        key: tuple[int | str, ...],
        begun: Callable[[], int] = lambda: 0,
    ):
        self.sources, self.rows, self.per_epoch, self.key = list(sources), list(rows), per_epoch, key
        self.begun = begun

    def __len__(self) -> int:
        return self.per_epoch

    def __iter__(self) -> Iterator[Any]:
        first = self.begun()
        for position in range(first, first + self.per_epoch):  # a Trainer that began within an epoch stops by itself
            yield self.at(position)

    def at(self, position: int) -> Any:
        """The batch at ``position``: a pure function of the key."""
        stream = generator(*self.key, position)
        parts = []
        for source, rows in zip(self.sources, self.rows, strict=True):
            if rows:
                parts.append(source.fetch(torch.randint(len(source), (rows,), generator=stream), stream))
        return parts[0] if len(parts) == 1 else concatenate_batches(parts)

    def drawn_from(self, sources: Sequence[Sampler], rows: Sequence[int]) -> RandomBatches:
        """The same stream over other ``sources``, each giving its ``rows``."""
        return RandomBatches(sources, rows, self.per_epoch, self.key, self.begun)


class ChangingBatches:
    """Batches whose sources change as a fit goes on.

    A batch is asked for only when the update before it is done, so ``choose`` meets the module as it is by then.

    Args:
        start: how long a pass is, and where it begins.
        choose: the stream that the batch at a position is drawn from.
    """

    def __init__(self, start: RandomBatches, choose: Callable[[int], RandomBatches]) -> None:
        self.start, self.choose = start, choose

    def __len__(self) -> int:
        return len(self.start)

    def __iter__(self) -> Iterator[Any]:
        first = self.start.begun()
        for position in range(first, first + len(self)):
            yield self.choose(position).at(position)


@runtime_checkable
class ChangesBatches(Protocol):
    """A callback that has a say in what a fit trains on."""

    def change_batches(self, trainer: Trainer, batches: Any) -> Any:
        """What to train on instead of ``batches``, called once when a fit opens its data."""


class FixedBatches:
    """The same few batches at every pass: what validation looks at."""

    def __init__(self, batches: RandomBatches):
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return (self.batches.at(position) for position in range(len(self.batches)))


def concatenate_batches(parts: Sequence[Batch]) -> Batch:
    """One batch of all rows of ``parts``, field by field."""
    first: Any = parts[0]
    joined = {f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(first)}
    return type(first)(**joined)


def fit_for_shares(weights: Sequence[float], sources: int) -> bool:
    """Whether every source has a weight, and they can be scaled to shares of a whole."""
    return len(weights) == sources and all(0 <= weight < math.inf for weight in weights) and sum(weights) > 0


def shares(batch_size: int, weights: Sequence[float]) -> list[int]:
    """Split ``batch_size`` into whole rows in proportion to ``weights`` (largest remainders first).

    A positive weight gives one row at least, taken from the largest share: no data set is silently left out.

    Raises:
        ConfigurationError: there are more positive weights than rows.
    """
    wanted = [i for i, weight in enumerate(weights) if weight > 0]
    if 0 < batch_size < len(wanted):
        raise ConfigurationError(
            f"A batch_size of {batch_size} has no room for a row of each of {len(wanted)} data sets: raise it, set"
            " some weights to 0, or concatenate data sets."
        )
    total = sum(weights)
    exact = [batch_size * weight / total for weight in weights]
    rows = [int(share) for share in exact]
    by_remainder = sorted(range(len(rows)), key=lambda i: rows[i] - exact[i])
    for i in by_remainder[: batch_size - sum(rows)]:
        rows[i] += 1
    for i in wanted if batch_size else ():
        if rows[i] == 0:
            rows[rows.index(max(rows))] -= 1
            rows[i] = 1
    return rows
