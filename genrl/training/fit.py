"""Fit any method or learner from Python in one call: a Lightning Trainer with sensible settings under it."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ProgressBar

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.randomness import generator
from genrl.data.ranges import require_whole
from genrl.training.best import BestWeights
from genrl.training.checkpoint import require_resumable
from genrl.training.datamodule import EpisodesData
from genrl.training.forecast import Forecast
from genrl.training.module import Trainable
from genrl.training.progress import FitBar
from genrl.training.rest import frozen

Module = TypeVar("Module", bound=Trainable)


NOTICES = (
    "does not have many workers",
    "overrides the configure_model",
    "`isinstance.treespec, LeafSpec.` is deprecated",
    "Using ModelCheckpoint with manual optimization",  # its advice would break an exact resume
    "Total length of `list` across ranks is zero",  # nothing is held out
    "your dataloader is not resumable",  # it asks the Trainer where to go on, see RandomBatches
    "The dirpath has changed from",  # a run that goes on, or is looked at, has a folder of its own
    "loading a checkpoint outside the 'fit' stage",  # the weights stored first are the averaged ones
)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's notices about hardware and workers; its warnings about anything else stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for notice in NOTICES:
            warnings.filterwarnings("ignore", message=f".*{notice}")
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """An interrupted fit ends as anything else: Lightning would end the process, and be deaf to what comes after."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from end


def fit(
    module: Module,
    data: Episodes | str | list[Any],
    steps: int,
    *,
    batch_size: int = 256,
    weights: list[float] | None = None,
    val_fraction: float = 0.05,
    val_every: int | None = None,
    patience: int | None = None,
    progress: bool = True,
    root: str | Path | None = None,
    seed: int | None = None,
    ckpt_path: str | Path | None = None,
    **trainer: Any,
) -> Module:
    """Fit ``module`` to ``data`` for ``steps`` batches (rounded up to whole epochs) and return it, ready to use.

    The same seed gives the same weights, dropout included; the caller's own random state is left as it was. A module
    that was fitted before goes on from its weights, on data of the same spaces: its normalisers stay, what it says of
    its data (card, fingerprint, best return, states to start from) is that of the new ones.

    Args:
        data: Episodes, a Minari id, or a list of these, mixed by ``weights``.
        val_every: batches between two looks at the held-out episodes, or about so many where that divides ``steps``
            evenly; ten looks by default.
        ckpt_path: go on from this checkpoint, which the same fit wrote.
        patience: stop after so many looks without a lower loss, and end with the weights of the lowest; None for no.
        seed: of split and batches; the module's own by default.
        trainer: anything else that Lightning's Trainer takes (accelerator, logger, callbacks, ...).

    Raises:
        ConfigurationError: there is nothing to fit, ``steps`` is below one, settings of the data do not fit, there is
            patience and nothing is held out, or a model of windows is to learn from further data what its first ones
            denied.
        DivergenceError: the weights are no longer numbers.
        CheckpointError: ``ckpt_path`` is no checkpoint of such a fit.
    """
    if isinstance(module, type):
        raise ConfigurationError(f"{module.__name__} is a class: fit one of its kind, {module.__name__}(...).")
    if not isinstance(module, Trainable):
        raise ConfigurationError(f"A {type(module).__name__} has nothing to fit; where it is made of parts, fit these.")
    require_whole(1, steps=steps, val_every=val_every)
    require_whole(0, patience=patience, seed=seed)
    # epochs bound the fit, not optimiser steps: a learner with several optimisers takes several steps for a batch
    epochs = max(round(steps / val_every), 1) if val_every else min(10, steps)
    per_epoch = -(-steps // epochs)
    source = EpisodesData(
        data,
        weights=weights,
        batch_size=batch_size,
        val_fraction=val_fraction,
        batches_per_epoch=per_epoch,
        seed=module.seed if seed is None else seed,
        root=None if root is None else str(root),
    )
    source.setup("fit")
    if patience is not None and source.val_episodes is None:
        raise ConfigurationError(
            f"A patience of {patience} counts looks at held-out episodes, and none are held out: give val_fraction"
            " above 0 and at least two episodes, or no patience."
        )
    if ckpt_path is not None:
        require_resumable(ckpt_path)
    settings = _settings(trainer, epochs, patience, progress)
    module.train().requires_grad_(True)  # it may have been fitted before
    try:
        with quiet(), interruptible(), torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(int(generator(module.seed, "dropout").initial_seed()))
            L.Trainer(**settings).fit(module, datamodule=source, ckpt_path=ckpt_path, weights_only=True)
    finally:
        frozen(module)
    return module


def _settings(given: dict[str, Any], epochs: int, patience: int | None, progress: bool) -> dict[str, Any]:
    """What the Trainer is made from: ``given`` counts, and has callbacks added."""
    settings: dict[str, Any] = {
        "accelerator": "auto",
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": progress,
        "max_epochs": epochs,
        **given,
    }
    wanted = settings.get("callbacks") or []
    callbacks = [wanted] if isinstance(wanted, Callback) else list(wanted)
    callbacks += [BestWeights(patience)] if patience is not None else []
    if settings["enable_progress_bar"]:
        callbacks.append(Forecast())
        if not any(isinstance(callback, ProgressBar) for callback in callbacks):
            callbacks.append(FitBar())
    return settings | {"callbacks": callbacks}
