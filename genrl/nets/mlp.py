"""Multi-layer perceptrons: a plain one for learners, and one that denoises vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrl.nets.embedding import Context


class MLP(nn.Sequential):
    """``layers`` hidden layers of ``width`` units and a linear head.

    Args:
        in_dim: entries of the input's last dimension.
        out_dim: entries of the output's last dimension.
        width: units of a hidden layer.
        layers: number of hidden layers.
        activation: class of the activation module.
        layer_norm: normalise every hidden layer before its activation.
        dropout: probability of dropping a hidden unit in training.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        width: int = 256,
        layers: int = 2,
        activation: type[nn.Module] = nn.ReLU,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        modules: list[nn.Module] = []
        for i in range(layers):
            modules.append(nn.Linear(in_dim if i == 0 else width, width))
            if layer_norm:
                modules.append(nn.LayerNorm(width))
            modules.append(activation())
            if dropout > 0:
                modules.append(nn.Dropout(dropout))
        super().__init__(*modules, nn.Linear(width if layers else in_dim, out_dim))


class DenoisingMLP(nn.Module):
    """A small denoiser network for vectors: an MLP over the input beside its context.

    Args:
        dim: D, entries of a vector.
        condition_dim: C, entries of a condition; 0 for none.
        width: units of a hidden layer.
        layers: number of hidden layers.
        context: entries of the context vector.
    """

    def __init__(
        self, dim: int, condition_dim: int = 0, *, width: int = 256, layers: int = 3, context: int = 64
    ) -> None:
        super().__init__()
        self.context = Context(condition_dim, context)
        self.mlp = MLP(dim + context, dim, width=width, layers=layers, activation=nn.SiLU)

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, D) vectors at (B,) noise levels under (B, C) conditions to (B, D)."""
        context = self.context(noise, condition)  # (B, context)
        return self.mlp(torch.cat((x, context), dim=-1))
