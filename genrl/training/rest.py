"""Looking at a module in the midst of its fit, and leaving no trace of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from genrl.training.ema import EMA


def frozen(module: nn.Module) -> nn.Module:
    """``module`` in evaluation mode and without gradients."""
    return module.eval().requires_grad_(False)


class Switchable(Protocol):
    """What acts otherwise while it is trained: any ``nn.Module``."""

    training: bool

    def train(self, mode: bool = True) -> Any:
        """Switch dropout and the like on or off."""


@contextmanager
def evaluating(module: Switchable) -> Iterator[None]:
    """``module`` in evaluation mode for a while: without dropout and the like."""
    if not module.training:
        yield
        return
    module.train(False)
    try:
        yield
    finally:
        module.train(True)


@contextmanager
def at_rest(module: LightningModule) -> Iterator[None]:
    """``module`` in evaluation mode and without gradients for a while; then all is as it was, random state included."""
    modes = {part: part.training for part in module.modules()}
    learned: dict[nn.Parameter, bool] = {parameter: parameter.requires_grad for parameter in module.parameters()}
    with torch.random.fork_rng(devices=[module.device] if module.device.type == "cuda" else []):
        frozen(module)
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode
            for parameter, wanted in learned.items():
                parameter.requires_grad_(wanted)


@contextmanager
def averaged(trainer: Trainer, module: LightningModule) -> Iterator[None]:
    """``module`` with the averaged weights that it would end with now, where the fit keeps an ``EMA``."""
    averages = [callback for callback in trainer.callbacks if isinstance(callback, EMA)]  # type: ignore[attr-defined]
    for average in averages:
        average.on_validation_epoch_start(trainer, module)  # what Lightning swaps them in by
    try:
        yield
    finally:
        for average in averages:
            average.on_validation_epoch_end(trainer, module)
