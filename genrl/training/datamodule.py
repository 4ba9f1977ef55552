"""Episodes by id or in memory, split by whole episodes, handed out as vectorised batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import lightning as L

from genrl.data.episodes import Episodes, concatenate, split
from genrl.data.errors import ConfigurationError, EmptyDatasetError
from genrl.data.ranges import require_whole
from genrl.data.spaces import require_same_spaces
from genrl.data.store import load
from genrl.training.batches import ChangesBatches, ChangingBatches, FixedBatches, RandomBatches, fit_for_shares, shares
from genrl.training.module import Trainable


class EpisodesData(L.LightningDataModule):
    """Data for any method or learner; the module being fitted says what a batch looks like.

    Args:
        data: Minari ids or Episodes; several are mixed in every batch.
        weights: share of each data set in a batch (numbers from 0 on), in whole rows, and at least one where it is
            not 0; in proportion to transitions by default.
        batch_size: rows in a batch.
        val_fraction: share of episodes held out, of the first data set (the real one when synthetic data are mixed in).
        val_batches: batches that one validation looks at, always the same; with 0 there is none.
        batches_per_epoch: training batches between two validations.
        seed: of the split and of the batches.
        root: folder that holds the data sets; Minari's own by default.
        download: fetch a data set that is not here from Minari's remote.
    """

    def __init__(
        self,
        data: str | list[str] | Any,
        weights: list[float] | None = None,
        batch_size: int = 256,
        val_fraction: float = 0.05,
        val_batches: int = 4,
        batches_per_epoch: int = 1000,
        seed: int = 0,
        root: str | None = None,
        download: bool = False,
    ):
        super().__init__()
        self.sources: list[Any] = list(data) if isinstance(data, (list, tuple)) else [data]
        if not self.sources:
            raise ConfigurationError("There are no data to fit to: give Episodes, the id of a data set, or several.")
        if weights is not None and not fit_for_shares(weights, len(self.sources)):
            raise ConfigurationError(
                f"weights {weights} must hold one number, finite and not negative, for each of the {len(self.sources)}"
                " data sets, and not 0 for all of them."
            )
        require_whole(1, batch_size=batch_size, batches_per_epoch=batches_per_epoch)
        require_whole(0, val_batches=val_batches, seed=seed)
        if not 0 <= val_fraction < 1:
            raise ConfigurationError(
                f"val_fraction is the share of held-out episodes, from 0 to below 1, not {val_fraction}."
            )
        self.weights, self.batch_size, self.seed = weights, batch_size, seed
        self.val_fraction, self.val_batches, self.batches_per_epoch = val_fraction, val_batches, batches_per_epoch
        self.root, self.download = root, download
        self.train_parts: list[Episodes] = []
        self.train_weights: list[float] = []
        self.val_episodes: Episodes | None = None

    def setup(self, stage: str) -> None:
        """Read the data sets and split off the held-out episodes.

        Raises:
            EmptyDatasetError: a data set without a transition.
            ConfigurationError: data sets of different spaces.
        """
        if self.train_parts:
            return
        parts = [self._read(source) for source in self.sources]
        _require_transitions(parts)
        _require_same_spaces(parts)
        if self.val_fraction > 0 and len(parts[0]) > 1:
            parts[0], self.val_episodes = split(parts[0], self.val_fraction, self.seed)
        weights = self.weights or [part.num_transitions for part in parts]
        taken = [weight > 0 for weight in weights]  # the others decide nothing, not even what normal is
        self.train_parts, self.train_weights = list(compress(parts, taken)), list(compress(weights, taken))

    @property
    def train_episodes(self) -> Episodes:
        """All training episodes, those of every data set."""
        return self.train_parts[0] if len(self.train_parts) == 1 else concatenate(self.train_parts)

    def train_dataloader(self) -> RandomBatches | ChangingBatches:
        """Batches that mix all data sets by their weights, as callbacks that change batches want them.

        Raises:
            ConfigurationError: there are more data sets than rows in a batch.
        """
        trainer = self.trainer
        assert trainer is not None
        samplers = [self._module.sampler(part) for part in self.train_parts]
        rows = shares(self.batch_size, self.train_weights)
        progress = trainer.fit_loop.epoch_loop.batch_progress.total
        key = (self.seed, "train", trainer.global_rank)
        batches = RandomBatches(samplers, rows, self.batches_per_epoch, key, begun=lambda: progress.ready)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ChangesBatches):
                batches = callback.change_batches(trainer, batches)
        return batches

    def val_dataloader(self) -> FixedBatches | list[Any]:
        """Always the same batches of held-out episodes; nothing where none are held out."""
        trainer = self.trainer
        assert trainer is not None
        if self.val_episodes is None or self.val_batches == 0:
            return []
        try:
            sampler = self._module.sampler(self.val_episodes)
        except EmptyDatasetError as error:
            raise EmptyDatasetError(
                f"The {len(self.val_episodes)} held-out episodes cannot be used: {error} Or hold out more (val_fraction"
                f" is {self.val_fraction}) or none."
            ) from error
        key = (self.seed, "validate", trainer.global_rank)
        return FixedBatches(RandomBatches([sampler], [self.batch_size], self.val_batches, key))

    @property
    def _module(self) -> Trainable:
        trainer = self.trainer
        assert trainer is not None
        return trainer.lightning_module  # type: ignore[return-value]

    def _read(self, source: Any) -> Episodes:
        if isinstance(source, Episodes):
            return source
        return load(str(source), root=Path(self.root) if self.root else None, download=self.download)


def _require_transitions(parts: Sequence[Episodes]) -> None:
    for number, part in enumerate(parts, start=1):
        if part.num_transitions == 0:
            raise EmptyDatasetError(
                f"Data set {number} ({part.card.dataset_id or 'unnamed'}) holds no transition; leave it out."
            )


def _require_same_spaces(parts: Sequence[Episodes]) -> None:
    for number, part in enumerate(parts[1:], start=2):
        require_same_spaces(
            part,
            f"Data set {number} ({part.card.dataset_id or 'unnamed'})",
            parts[0],
            f"the first ({parts[0].card.dataset_id or 'unnamed'})",
            "fit to one of them, or convert one",
        )
