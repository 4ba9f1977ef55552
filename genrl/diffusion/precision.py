"""Number formats in which networks are called, by Lightning's names; the formulas around them stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from genrl.data.errors import ConfigurationError

PRECISIONS = ("32-true", "bf16-mixed")


def require_precision(name: str) -> None:
    """Raise a ConfigurationError unless ``name`` is one of ``PRECISIONS``."""
    if name not in PRECISIONS:
        raise ConfigurationError(f"There is no precision {name!r}; there are {', '.join(PRECISIONS)}.")


def at_precision(name: str, device: torch.device) -> AbstractContextManager[object]:
    """Networks called in it multiply and convolve in bfloat16 where ``name`` is bf16-mixed."""
    return torch.autocast(device.type, torch.bfloat16) if name == "bf16-mixed" else nullcontext()


def in_full(device: torch.device) -> AbstractContextManager[object]:
    """What is computed in it is in its own format, whatever the precision around it."""
    return torch.autocast(device.type, enabled=False)
