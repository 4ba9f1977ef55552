"""Randomness of synthesis: noise as a pure function of (seed, block, step)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Noise = Callable[[int, Tensor], Tensor]
"""``noise(step, like)``: unit Gaussian noise for a step, with the shape, dtype and device of ``like``.

Step 0 is the state that sampling starts from; a sampler's i-th step, counted from 0, draws step i + 1.
"""


class BlockNoise:
    """Gaussian noise that depends on seed, block and step alone, whatever was drawn before and on whichever device.

    A counter-based generator (Philox: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") gives every
    step a stream of its own: its key is a hash of seed and block, its counter the step. Rows are drawn in order, so the
    first rows of a larger batch are those of a smaller one.

    Args:
        seed: seed of the whole synthesis, 0 or more.
        block: number of the block of episodes, 0 or more.
        start: first row of the block to draw for; rows before it belong to another part of the batch.
    """

    def __init__(self, seed: int, block: int, start: int = 0) -> None:
        self.seed, self.block, self.start = seed, block, start
        key = np.random.SeedSequence((seed, block)).generate_state(2, np.uint64)
        self._philox: Any = np.random.Philox(key=key)
        self._draw = np.random.Generator(self._philox).standard_normal
        self._state = self._philox.state

    def part(self, start: int) -> BlockNoise:
        """The same noise for a part of the batch that begins at row ``start``."""
        return BlockNoise(self.seed, self.block, start)

    def normal(self, step: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Noise of ``shape``, rows first, for one step, on the CPU."""
        self._state["state"]["counter"][3] = step
        self._philox.state = self._state
        if self.start:
            shape = (self.start + shape[0], *shape[1:])
        wide = dtype == torch.float64
        noise = torch.from_numpy(self._draw(shape, dtype=np.float64 if wide else np.float32))
        return (noise[self.start :] if self.start else noise).to(dtype)

    def __call__(self, step: int, like: Tensor) -> Tensor:
        """Noise with the shape, dtype and device of ``like``."""
        return self.normal(step, like.shape, like.dtype).to(like.device)
