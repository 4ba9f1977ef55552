"""Randomness without a global generator: every stream is a pure function of a key."""

import zlib

import numpy as np
import torch


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator whose stream depends on ``key`` alone; words in the key separate uses of one seed."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) & 0xFFFFFFFFFFFFFFFF for part in key]
    return torch.Generator().manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]) >> 1)
