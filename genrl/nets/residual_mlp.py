"""Residual MLP over vectors, as SynthER denoises single transitions.

Source: "Synthetic Experience Replay" (Lu et al. 2023), https://arxiv.org/abs/2303.06614: 6 layers of 1024 or 2048
units, random Fourier features of the noise level, layer normalisation before each layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from genrl.nets.embedding import Context, RandomFourierEmbedding


class ResidualLayer(nn.Module):
    """x + ReLU(Linear(LayerNorm(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B, width)."""
        return x + nn.functional.relu(self.linear(self.norm(x)))


class ResidualMLP(nn.Module):
    """Denoiser network for vectors.

    Args:
        dim: D, entries of a vector.
        condition_dim: C, entries of a condition; 0 for none.
        width: units of a layer.
        layers: number of residual layers.
        context: width of the space in which input, noise level and condition are added.
        fourier: number of random frequencies.
    """

    def __init__(
        self,
        dim: int,
        condition_dim: int = 0,
        *,
        width: int = 1024,
        layers: int = 6,
        context: int = 128,
        fourier: int = 8,
    ) -> None:
        super().__init__()
        self.context = Context(condition_dim, context, RandomFourierEmbedding(fourier), 1 + 2 * fourier)
        self.project = nn.Linear(dim, context)
        self.widen = nn.Linear(context, width)
        self.layers = nn.Sequential(*(ResidualLayer(width) for _ in range(layers)))
        self.head = nn.Linear(width, dim)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, D) vectors at (B,) noise levels under (B, C) conditions to (B, D)."""
        hidden = self.project(x) + self.context(noise, condition)  # (B, context)
        return self.head(self.layers(self.widen(hidden)))
