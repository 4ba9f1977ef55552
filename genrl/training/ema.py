"""Averaged weights, with a warm-up so that a short fit does not sample from its initial weights."""

from collections.abc import Sequence

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class EMA(WeightAveraging):
    """Exponential moving average whose decay grows as min(decay, (1 + n) / (10 + n)) over updates n.

    Validation, checkpoints' ``state_dict`` and the module after the fit hold the average; the raw weights are kept in
    the checkpoint beside it, so that a resumed fit goes on from them.
    """

    def __init__(self, decay: float = 0.999) -> None:
        def average(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
            count = int(updates)
            torch._foreach_lerp_(list(averaged), list(current), 1 - min(decay, (1 + count) / (10 + count)))

        super().__init__(use_buffers=False, multi_avg_fn=average)
