"""What all methods and learners share: how they come to know their data, and how they are fitted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch import Tensor
from torch.optim import Optimizer

from genrl.data.episodes import Episodes
from genrl.data.errors import CheckpointError, ConfigurationError, DivergenceError
from genrl.data.randomness import generator
from genrl.data.spaces import require_same_spaces
from genrl.training.batches import Sampler
from genrl.training.spec import DataSpec
from genrl.training.stored import Stored, class_path, in_full, read_header

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""Those in which weights and data stay as they are."""


class Trainable(Stored, L.LightningModule):
    """A Lightning module that is built from the data it is fitted to; see ``Stored`` for what its arguments may be."""

    @abstractmethod
    def statistics(self, episodes: Episodes) -> None:
        """Fit normalisers to the training episodes."""

    @abstractmethod
    def sampler(self, episodes: Episodes) -> Sampler:
        """The batches that this module trains on, encoded and normalised."""

    def prepare(self, episodes: Episodes) -> None:
        """Build for ``episodes`` and fit the statistics; initial weights depend on ``seed`` alone."""
        self._begin(episodes, [episodes])

    def _begin(self, episodes: Episodes, parts: Sequence[Episodes]) -> None:
        self.assemble(DataSpec.of(episodes))
        self.statistics(self.learned_from(episodes, parts))

    def learned_from(self, episodes: Episodes, parts: Sequence[Episodes]) -> Episodes:
        """What statistics are of: all ``episodes``, whichever data sets, ``parts``, they come from."""
        return episodes

    def take_up(self, episodes: Episodes) -> None:
        """Note what a further fit is given; the environment and the normalisers stay, for the weights go with them.

        Raises:
            ConfigurationError: the episodes have other spaces than those that this was built for.
        """
        assert self.spec is not None
        self.require_same_spaces(episodes)
        given = DataSpec.of(episodes)
        card = replace(given.card, env_spec=self.spec.card.env_spec)
        self.spec = replace(self.spec, card=card, reward_dtype=given.reward_dtype, fingerprint=given.fingerprint)

    def require_same_spaces(self, episodes: Episodes) -> None:
        """Refuse data of other spaces than those that this was built for.

        Raises:
            ConfigurationError: they are.
        """
        assert self.spec is not None
        require_same_spaces(
            self.spec,
            f"What this {type(self).__name__} was fitted to",
            episodes,
            "what is given now",
            "give data of the same spaces, or fit a new one",
        )

    def configure_model(self) -> None:
        """Lightning's hook: build from the data module's training episodes, once; see ``take_up`` for further fits.

        Lightning calls it with the accelerator as torch's default device; episodes, and statistics of them, are at
        home on the CPU, and Lightning moves the module when it is built.

        Raises:
            ConfigurationError: a precision in which the weights themselves would be of another kind.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if (precision := self.trainer.precision) not in PRECISIONS:
            raise ConfigurationError(f"The Trainer's precision is one of {', '.join(PRECISIONS)}, not {precision}.")
        with torch.device("cpu"):
            if self.spec is None:
                self._begin(data.train_episodes, data.train_parts)
            elif self.trainer.state.fn == TrainerFn.FITTING and data is not None:
                self.take_up(data.train_episodes)

    def noise_generator(self, batch_index: int) -> torch.Generator:
        """The stream for one batch of training or validation: a function of seed, stage, rank and position."""
        if self.trainer.training:
            return generator(self.seed, "train", self.global_rank, self.updates)
        return generator(self.seed, "validate", self.global_rank, batch_index)

    def on_train_epoch_end(self) -> None:
        """End a fit that has diverged, for nothing is learned any more."""
        if self._diverged():
            self.trainer.should_stop = True

    def on_fit_end(self) -> None:
        """Refuse to call a fit done that has diverged, and kept no better weights.

        Raises:
            DivergenceError: there are weights that are no numbers.
        """
        if broken := self._diverged():
            raise DivergenceError(
                f"The fit of this {type(self).__name__} diverged: {broken} holds NaN or infinite weights. Lower the"
                " learning rate or clip gradients (gradient_clip_val of the Trainer), and fit again."
            )

    def _diverged(self) -> str | None:
        """Name of a parameter that is not finite."""
        return next((name for name, weights in self.named_parameters() if not weights.isfinite().all()), None)

    @property
    def updates(self) -> int:
        """Batches that this fit has begun before the present one."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's hook: as the Trainer says, with a fused optimiser in bfloat16 as well.

        Lightning refuses fused optimisers under every mixed precision, for they undo the scaling of gradients
        themselves; in bfloat16 nothing scales them.

        Raises:
            ConfigurationError: gradients are scaled, and the optimiser is fused.
        """
        plugin = self.trainer.precision_plugin
        if gradient_clip_val and isinstance(plugin, MixedPrecision) and plugin.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val, algorithm)
            return
        try:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        except RuntimeError as error:
            raise ConfigurationError(
                f"{type(self).__name__} cannot clip gradients in half precision: set the Trainer's precision to"
                " bf16-mixed or 32-true, or leave out gradient_clip_val."
            ) from error

    def log_sparsely(self, metrics: dict[str, Tensor]) -> None:
        """Log where the Trainer would write it down; Lightning's bookkeeping costs as much as a small network."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.updates + 1) % every == 0:
            self.log_dict(metrics, prog_bar=True)

    def planned_steps(self) -> int:
        """Optimiser steps of the whole fit, for schedules of the learning rate.

        Lightning's own estimate opens the training data before a checkpoint's position is restored, and a resumed fit
        would then begin its epoch again.

        Raises:
            ConfigurationError: neither max_epochs nor max_steps bounds the fit.
        """
        trainer = self.trainer
        batches: int = trainer.datamodule.batches_per_epoch  # type: ignore[attr-defined]
        limit = trainer.limit_train_batches
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        bounds = [] if trainer.max_steps == -1 else [trainer.max_steps]
        if trainer.max_epochs not in (None, -1):
            bounds.append(-(-batches // trainer.accumulate_grad_batches) * trainer.max_epochs)
        if not bounds:
            raise ConfigurationError(
                "The learning rate falls over the whole fit, so the fit needs an end: set max_epochs or max_steps."
            )
        return max(min(bounds), 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add everything that is needed to rebuild this module, as primitives."""
        checkpoint["genrl"] = {**self.header(), "random_state": torch.random.get_rng_state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to resume another module, or on other data; restore the random state that dropout draws from.

        Raises:
            CheckpointError: the checkpoint's class, data or configuration differ from those of this module.
        """
        header = read_header(checkpoint, "the checkpoint")
        if self.spec is not None:
            self._require_alike(header, self.spec)
        torch.random.set_rng_state(header["random_state"])

    def _require_alike(self, header: dict[str, Any], spec: DataSpec) -> None:
        remedy = "or start a new fit without the checkpoint."
        if header["class_path"] != (own := class_path(type(self))):
            raise CheckpointError(f"The checkpoint is of a {header['class_path']}, not of a {own}; take that, {remedy}")
        trained_on = DataSpec.from_json(header["spec"])
        if trained_on.fingerprint != spec.fingerprint:
            raise CheckpointError(
                f"The checkpoint was trained on other episodes ({trained_on.card.dataset_id!r}) than those given now"
                f" ({spec.card.dataset_id!r}); give the same data with the same seed and val_fraction, {remedy}"
            )
        now = self.configuration()
        for name, value in header["configuration"].items():
            if name not in now or in_full(now[name]) != in_full(value):
                raise CheckpointError(
                    f"The checkpoint was fitted with another {name!r} ({value!r:.200}) than that of this"
                    f" {type(self).__name__} ({now.get(name)!r:.200}); give the same, {remedy}"
                )
