"""What all methods and learners share: how they come to know their data, and how they are kept and rebuilt."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from abc import ABC, abstractmethod
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any, ClassVar

import lightning as L
import numpy as np
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch import Tensor, nn
from torch.optim import Optimizer

from genrl.data.episodes import Episodes
from genrl.data.errors import CheckpointError, ConfigurationError, DivergenceError
from genrl.data.randomness import generator
from genrl.data.ranges import require_at_least
from genrl.data.setting import Setting
from genrl.data.spaces import require_same_spaces
from genrl.training.batches import Sampler
from genrl.training.space_support import SpaceSupport
from genrl.training.spec import DataSpec

FORMAT_VERSION = 1


class Trainable(L.LightningModule, ABC):
    """A Lightning module that is built from the data it is fitted to.

    Subclasses keep every constructor argument as an attribute of the same name (as scikit-learn's estimators do), so
    that the configuration can be read back; network factories are ``functools.partial`` objects over a class. An
    argument may be another fitted Trainable, whose weights then are part of this one's.

    Attributes:
        takes: the spaces that the module can be built for; all others are refused.
    """

    takes: ClassVar[SpaceSupport] = SpaceSupport()
    seed: int
    spec: DataSpec | None = None

    @abstractmethod
    def build(self, spec: DataSpec) -> None:
        """Create codecs, normalisers and networks for the spaces in ``spec``; called once."""

    @abstractmethod
    def statistics(self, episodes: Episodes) -> None:
        """Fit normalisers to the training episodes."""

    @abstractmethod
    def sampler(self, episodes: Episodes) -> Sampler:
        """The batches that this module trains on, encoded and normalised."""

    def prepare(self, episodes: Episodes) -> None:
        """Build for ``episodes`` and fit the statistics; initial weights depend on ``seed`` alone."""
        self.assemble(DataSpec.of(episodes))
        self.statistics(episodes)

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

    def assemble(self, spec: DataSpec) -> None:
        """Build from a specification, with weights drawn under this module's own seed.

        Raises:
            UnsupportedSpaceError: a space that this module does not take.
            ConfigurationError: a learning rate below 0.
        """
        self.takes.require(type(self).__name__, spec.observation_space, spec.action_space)
        require_at_least(0, **{name: value for name, value in vars(self).items() if "lr" in name.split("_")})
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(int(generator(self.seed, "weights").initial_seed()))
            self.build(spec)
        self.spec = spec

    def configure_model(self) -> None:
        """Lightning's hook: build from the data module's training episodes, once; see ``take_up`` for further fits.

        Lightning calls it with the accelerator as torch's default device; episodes, and statistics of them, are at
        home on the CPU, and Lightning moves the module when it is built.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        with torch.device("cpu"):
            if self.spec is None:
                self.prepare(data.train_episodes)
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

    def configuration(self) -> dict[str, Any]:
        """Constructor arguments as primitives.

        Raises:
            ConfigurationError: an argument is of a kind that no checkpoint could bring back.
        """
        try:
            return {name: _to_primitive(getattr(self, name)) for name in inspect.signature(type(self)).parameters}
        except TypeError as error:
            raise ConfigurationError(
                f"{error} among the arguments of {type(self).__name__} cannot be stored in a checkpoint; pass numbers,"
                " words, classes, or functools.partial over a class whose arguments are given by name."
            ) from error

    def header(self) -> dict[str, Any]:
        """Everything that is needed to rebuild this module but its weights, as primitives.

        Raises:
            ConfigurationError: the module was never fitted, or an argument cannot be stored.
        """
        if self.spec is None:
            raise ConfigurationError(f"This {type(self).__name__} was never fitted; fit or load it first.")
        return {
            "format": FORMAT_VERSION,
            "class_path": _class_path(type(self)),
            "configuration": self.configuration(),
            "spec": self.spec.to_json(),
        }

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
        if header["class_path"] != (own := _class_path(type(self))):
            raise CheckpointError(f"The checkpoint is of a {header['class_path']}, not of a {own}; take that, {remedy}")
        trained_on = DataSpec.from_json(header["spec"])
        if trained_on.fingerprint != spec.fingerprint:
            raise CheckpointError(
                f"The checkpoint was trained on other episodes ({trained_on.card.dataset_id!r}) than those given now"
                f" ({spec.card.dataset_id!r}); give the same data with the same seed and val_fraction, {remedy}"
            )
        now = self.configuration()
        for name, value in header["configuration"].items():
            if name not in now or _in_full(now[name]) != _in_full(value):
                raise CheckpointError(
                    f"The checkpoint was fitted with another {name!r} ({value!r:.200}) than that of this"
                    f" {type(self).__name__} ({now.get(name)!r:.200}); give the same, {remedy}"
                )


def read_header(checkpoint: dict[str, Any], path: Any) -> dict[str, Any]:
    """genrl's own part of a checkpoint.

    Raises:
        CheckpointError: it is missing, incomplete or of an unknown format version.
    """
    header = checkpoint.get("genrl") if isinstance(checkpoint, dict) else None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is not a checkpoint of genrl: it has no 'genrl' entry; 'genrl fit' writes one.")
    if header.get("format") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {header.get('format')}, this genrl reads format {FORMAT_VERSION};"
            " install the genrl version that wrote it."
        )
    if lacking := [name for name in ("class_path", "configuration", "spec") if name not in header]:
        raise CheckpointError(
            f"{path} lacks {', '.join(lacking)} in its 'genrl' entry; fit again or take another copy."
        )
    return header


def rebuild(header: dict[str, Any]) -> Trainable:
    """The module that wrote ``header``, with fresh weights.

    Raises:
        CheckpointError: its class, or one in its configuration, is not there or takes other arguments now.
    """
    try:
        cls = resolve_name(header["class_path"])
        if not (inspect.isclass(cls) and issubclass(cls, Trainable)):
            raise CheckpointError(f"{header['class_path']} is not a method or learner of genrl.")
        module = cls(**{name: _from_primitive(value) for name, value in header["configuration"].items()})
        module.assemble(DataSpec.from_json(header["spec"]))
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"A {header.get('class_path')} cannot be rebuilt from its checkpoint ({error}); install the package that"
            " it comes from, in the version that wrote the checkpoint."
        ) from error
    return module


def _class_path(target: type) -> str:
    return f"{target.__module__}.{target.__qualname__}"


def _to_primitive(value: Any) -> Any:
    if isinstance(value, Trainable):  # a module made of others that were fitted before
        return {"fitted": value.header()}
    if isinstance(value, functools.partial):  # over a class, or over jsonargparse's instantiator with the class behind
        parts = [value.func, *value.args]
        while parts and not inspect.isclass(parts[0]):
            parts.pop(0)
        if len(parts) != 1:  # no class, or arguments by position, which would have no name in the checkpoint
            raise TypeError(value)
        target = parts[0]
        arguments = {name: _to_primitive(part) for name, part in value.keywords.items()}
        return {"class_path": _class_path(target), "init_args": arguments}
    if inspect.isclass(value):
        return {"class_path": _class_path(value), "init_args": {}}
    if isinstance(value, Setting):
        arguments = {f.name: _to_primitive(getattr(value, f.name)) for f in dataclasses.fields(value)}  # type: ignore[arg-type]
        return {"class_path": _class_path(type(value)), "init_args": arguments}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_to_primitive(part) for part in value]
    if isinstance(value, dict):
        return {name: _to_primitive(part) for name, part in value.items()}
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(value)
    return value


def _from_primitive(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"fitted"}:
        return rebuild(value["fitted"])  # its weights come with those of the module around it
    if isinstance(value, dict) and set(value) == {"class_path", "init_args"}:
        target = resolve_name(value["class_path"])
        arguments = {name: _from_primitive(part) for name, part in value["init_args"].items()}
        return target(**arguments) if issubclass(target, Setting) else functools.partial(target, **arguments)
    if isinstance(value, dict):
        return {name: _from_primitive(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_from_primitive(part) for part in value]
    return value


def _in_full(value: Any) -> Any:
    """A primitive with the defaults of the classes in it written out, as the command line writes them."""
    if isinstance(value, list):
        return [_in_full(part) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"class_path", "init_args"}:
        try:
            takes = inspect.signature(resolve_name(value["class_path"])).parameters.values()
            defaults = {each.name: _to_primitive(each.default) for each in takes if each.default is not each.empty}
        except (ImportError, AttributeError, TypeError, ValueError):  # to be compared as it is
            defaults = {}
        value = {**value, "init_args": {**defaults, **value["init_args"]}}
    return {name: _in_full(part) for name, part in value.items()}


def frozen(module: nn.Module) -> nn.Module:
    """``module`` in evaluation mode and without gradients."""
    return module.eval().requires_grad_(False)
