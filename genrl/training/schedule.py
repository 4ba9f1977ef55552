"""The learning rate schedule that all methods share."""

import math
from typing import Any

import torch


def warmup_cosine(optimizer: torch.optim.Optimizer, steps: int, warmup: float = 0.1) -> dict[str, Any]:
    """Lightning's optimiser dictionary: linear warm-up over a share of ``steps``, then cosine to zero."""
    rising = max(int(warmup * steps), 1)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * min((step - rising) / max(steps - rising, 1), 1.0)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
