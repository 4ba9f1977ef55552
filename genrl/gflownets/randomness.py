"""torchgfn draws from torch's own generator: here that is a stream of ours, and the caller's state comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Inside, what torch draws on the CPU without a generator comes from this one."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield
