"""Residual MLP over a whole window at once: the cheapest network for short windows of few entries.

It knows every row by its place and sees all of them in every layer, which a convolution does only with depth. Blocks as
in "Scalable Diffusion Models with Transformers" (Peebles and Xie 2023), without the attention.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from genrl.nets.embedding import Context


class WindowBlock(nn.Module):
    """x + Linear(SiLU(Linear(LayerNorm(x)) + Linear(context))); starts as the identity."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, width)
        self.told = nn.Linear(context, width, bias=False)
        self.leave = nn.Linear(width, width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, width) under (B, context) to (B, width)."""
        return x + self.leave(F.silu(self.enter(self.norm(x)) + self.told(context)))


class WindowMLP(nn.Module):
    """Denoiser network for windows of a fixed number of rows.

    Args:
        dim: D, entries of a row.
        condition_dim: C, entries of a condition; 0 for none.
        rows: R, rows of a window; a method over windows sets it.
        width: units of a layer.
        layers: number of residual blocks.
    """

    def __init__(self, dim: int, condition_dim: int = 0, *, rows: int = 33, width: int = 384, layers: int = 3) -> None:
        super().__init__()
        context = max(width // 4, 32)
        self.context = Context(condition_dim, context)
        self.enter = nn.Linear(rows * dim, width)
        self.blocks = nn.ModuleList(WindowBlock(width, context) for _ in range(layers))
        self.leave = nn.Linear(width, rows * dim)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, R, D) windows at (B,) noise levels under (B, C) conditions to (B, R, D)."""
        context = F.silu(self.context(noise, condition))  # (B, context)
        hidden = self.enter(x.flatten(1))  # (B, width)
        for block in self.blocks:
            hidden = block(hidden, context)
        return self.leave(hidden).reshape(x.shape)
