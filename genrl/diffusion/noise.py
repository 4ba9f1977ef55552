"""Randomness of synthesis: noise as a pure function of (seed, block, step)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Noise = Callable[[int, Tensor], Tensor]
"""``noise(step, like)``: unit Gaussian noise for a step, with the shape, dtype and device of ``like``.

Step 0 is the state that sampling starts from. A sampler's own draws take the steps 1, 2, ... in order, at most as many
as its grid has steps.
"""


def at_once(numbers: int) -> int:
    """Steps whose noise is drawn together, for rows of so many numbers: only small rows share a draw."""
    return 64 if numbers <= 16 else max(1, 1024 // numbers)


class BlockNoise:
    """Gaussian noise that depends on seed, block, step and row alone, whatever was drawn before, on whichever device.

    A counter-based generator (Philox: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") gives every
    step, or ``at_once`` steps of small rows together, a stream of its own: its key is a hash of seed and block, its
    counter the step. Rows are drawn in order, so the first rows of a larger batch are those of a smaller one.

    Args:
        seed: seed of the whole synthesis, 0 or more.
        block: number of the block of episodes, 0 or more.
        start: first row of the block to draw for; rows before it belong to another part of the batch.
    """

    def __init__(self, seed: int, block: int, start: int = 0) -> None:
        self.seed, self.block, self.start = seed, block, start
        key = np.random.SeedSequence((seed, block)).generate_state(2, np.uint64)
        self._philox: Any = np.random.Philox(key=key)
        self._standard_normal: Callable[..., np.ndarray] = np.random.Generator(self._philox).standard_normal
        self._origin = self._philox.state
        self._counter = self._origin["state"]["counter"]
        self._held_for: Any = None
        self._held = torch.empty(0)
        self._drawn: dict[Any, tuple[int, Any]] = {}  # stream -> rows that were drawn of it, and its state behind them

    def part(self, start: int) -> BlockNoise:
        """The same noise for a part of the batch that begins at row ``start``.

        Parts that are drawn in order go on where the one before has stopped, so that none draws a row of another.
        """
        part = BlockNoise(self.seed, self.block, self.start + start)
        part._drawn = self._drawn
        return part

    def __call__(self, step: int, like: Tensor) -> Tensor:
        """Noise with the shape, dtype and device of ``like``."""
        shape, dtype = like.shape, like.dtype
        together = at_once(like.numel() // max(1, shape[0]))
        number, place = divmod(step, together)
        if (number, shape, dtype) != self._held_for:
            self._held_for, self._held = (number, shape, dtype), self._steps(number, together, shape, dtype)
        noise = self._held.select(1, place)
        return noise if like.is_cpu else noise.to(like.device)

    def normal(self, step: int, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Noise of ``shape``, rows first, for one step, on the CPU."""
        return self(step, torch.empty(tuple(shape), dtype=dtype))

    def _steps(self, number: int, together: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Noise of steps that share a stream, (rows, steps, ...); from a stream of float64 for float64 alone."""
        drawn = np.float64 if dtype is torch.float64 else np.float32
        stream = (number, drawn, *shape[1:])
        self._counter[3] = number
        row, self._philox.state = self._drawn.get(stream, (0, self._origin))
        if row > self.start:
            row, self._philox.state = 0, self._origin
        noise = torch.from_numpy(self._standard_normal((self.start - row + shape[0], together, *shape[1:]), drawn))
        self._drawn[stream] = (self.start + shape[0], self._philox.state)
        return noise[self.start - row :].to(dtype)
