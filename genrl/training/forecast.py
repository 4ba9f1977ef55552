"""What a long fit will cost, told after its first batches."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Forecast(Callback):
    """Says in one sentence above the progress bar how long a fit will take, and how much memory.

    Args:
        warmup: batches that are not timed, for they include what happens only once.
        timed: batches that are.
        shortest: seconds left below which nothing is said.
    """

    def __init__(self, warmup: int = 5, timed: int = 15, shortest: float = 30.0) -> None:
        self.warmup, self.timed, self.shortest = warmup, timed, shortest
        self.seen, self.began = 0, 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, time, and tell."""
        self.seen += 1
        if self.seen == self.warmup:
            self.began = time.perf_counter()
        if self.seen == self.warmup + self.timed and trainer.progress_bar_callback is not None:
            seconds = (time.perf_counter() - self.began) / self.timed
            left = batches_left(trainer)
            if left is None or left * seconds >= self.shortest:
                trainer.progress_bar_callback.print(forecast(trainer, pl_module, seconds))


def forecast(trainer: Trainer, module: LightningModule, seconds: float) -> str:
    """One sentence: parameters, batches and minutes left at ``seconds`` a batch without validation, memory in use."""
    left = batches_left(trainer)
    size = sum(parameter.numel() for parameter in module.parameters())
    known = "an unknown number of batches" if left is None else f"{left} more batches"
    minutes = "" if left is None else f", about {left * seconds / 60:.1f} minutes"
    return f"{size:,} parameters, {known} of {1000 * seconds:.1f} ms{minutes}; {memory(module.device)}."


def batches_left(trainer: Trainer) -> int | None:
    """Batches until the fit ends; None where nothing bounds it."""
    done = trainer.fit_loop.epoch_loop.batch_progress.total.completed + 1  # the one in hand is counted after its end
    bounds = []
    if trainer.max_epochs not in (None, -1):
        bounds.append(int(trainer.num_training_batches) * trainer.max_epochs - done)
    if trainer.max_steps != -1:
        bounds.append((trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches)
    return max(min(bounds), 0) if bounds else None


def memory(device: torch.device) -> str:
    """Most memory that this process has held so far, and on its accelerator where there is one."""
    unit = 1 if sys.platform == "darwin" else 1024
    text = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB of memory at most so far"
    if device.type == "cuda":
        text += f", {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB on {device}"
    return text
