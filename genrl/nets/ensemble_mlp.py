"""Several multi-layer perceptrons of one shape, computed together: every layer is one batched matrix product."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EnsembleLinear(nn.Module):
    """M linear layers side by side.

    Args:
        in_dim, out_dim: entries of the last dimension before and after.
        members: M.
    """

    def __init__(self, in_dim: int, out_dim: int, members: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, in_dim, out_dim))
        self.bias = nn.Parameter(torch.zeros(members, 1, out_dim))
        nn.init.trunc_normal_(self.weight, std=0.5 * in_dim**-0.5, a=-(in_dim**-0.5), b=in_dim**-0.5)

    def forward(self, x: Tensor, members: Tensor | None = None) -> Tensor:
        """(M, B, in) to (M, B, out); by the ``members`` (M',) alone where given."""
        if members is None:
            return torch.baddbmm(self.bias, x, self.weight)
        weight, bias = (part.index_select(0, members) for part in (self.weight, self.bias))  # quicker than [members]
        return torch.baddbmm(bias, x, weight)


class EnsembleMLP(nn.Module):
    """M multi-layer perceptrons: ``layers`` hidden layers of ``width`` units and a linear head, no weight shared.

    Source of shape, activation and initial weights: "Deep Reinforcement Learning in a Handful of Trials using
    Probabilistic Dynamics Models" (Chua et al. 2018), https://arxiv.org/abs/1805.12114.

    Args:
        in_dim: entries of the input's last dimension.
        out_dim: entries of the output's last dimension.
        members: M.
        width: units of a hidden layer.
        layers: number of hidden layers.
        activation: class of the activation module.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        members: int,
        *,
        width: int = 200,
        layers: int = 4,
        activation: type[nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        sizes = [in_dim] + [width] * layers + [out_dim]
        self.layers = nn.ModuleList([EnsembleLinear(sizes[i], sizes[i + 1], members) for i in range(layers + 1)])
        self.activation = activation()

    def forward(self, x: Tensor, members: Tensor | None = None) -> Tensor:
        """(M, B, in) to (M, B, out), the rows of each member apart; by the ``members`` (M',) alone where given."""
        *hidden, head = self.layers
        for layer in hidden:
            x = self.activation(layer(x, members))  # (M, B, width)
        return head(x, members)
