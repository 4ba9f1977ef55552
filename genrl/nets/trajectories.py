"""Networks over trajectories: what is remembered at each step of one, and what a whole one comes to.

Each comes in two forms: one that takes the present state to tell all (a Markov decision process), and a transformer
that looks back. The transformers know no positions, as in "Dichotomy of Control" (Yang et al. 2022),
https://arxiv.org/abs/2210.13435, appendix.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genrl.nets.causal import CausalLayer
from genrl.nets.mlp import MLP

FutureNet = Callable[[int, int], nn.Module]
"""Maker of a network over futures from the first two sizes that ``PooledMLP`` and ``FutureTransformer`` take."""


class History(nn.Module):
    """A network over histories: (B, K, S) states and the (B, K, A) actions before them to (B, K, H).

    Attributes:
        dim: H, numbers that stand for a history.
        reach: states that are looked at; None for all.
    """

    dim: int
    reach: int | None


HistoryNet = Callable[[int, int], History]
"""Maker of a network over histories from the first two sizes that ``Present`` and ``HistoryTransformer`` take."""


class Present(History):
    """The present state for the history: all there is to know of a Markov decision process.

    Args:
        state_dim: S.
        action_dim: A, actions that are not looked at.
    """

    reach = 1

    def __init__(self, state_dim: int, action_dim: int) -> None:
        super().__init__()
        self.dim = state_dim

    def forward(self, states: Tensor, before: Tensor) -> Tensor:
        """(B, K, S) states and the (B, K, A) actions before them to (B, K, H)."""
        return states


class HistoryTransformer(History):
    """Each state with the action before it is a token that sees those before it.

    Args:
        state_dim: S.
        action_dim: A.
        width: H, entries of a token, a multiple of ``heads``.
        layers: number of layers.
        heads: attention heads.
        dropout: probability of dropping attention weights, embedded tokens and what a layer adds in training.
    """

    reach = None

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        *,
        width: int = 128,
        layers: int = 3,
        heads: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dim = width
        self.embed = nn.Linear(state_dim + action_dim, width)
        self.norm_tokens, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.layers = nn.ModuleList(CausalLayer(width, heads, dropout, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, states: Tensor, before: Tensor) -> Tensor:
        """(B, K, S) states and the (B, K, A) actions before them to (B, K, H); an entry depends on no later one."""
        x = self.dropout(self.norm_tokens(self.embed(torch.cat((states, before), dim=-1))))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class PooledMLP(nn.Module):
    """Every step by itself through an MLP, their mean through another: the order of the steps does not matter.

    Args:
        step_dim: D, numbers that tell a step.
        output_dim: O.
        width: units of a hidden layer.
        layers: hidden layers before and after the mean.
    """

    def __init__(self, step_dim: int, output_dim: int, *, width: int = 64, layers: int = 1) -> None:
        super().__init__()
        self.each = MLP(step_dim, width, width=width, layers=layers)
        self.whole = MLP(width, output_dim, width=width, layers=layers)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """(B, K, D) steps, those where ``mask`` (B, K) is true, to (B, O)."""
        lengths = mask.sum(1)
        each = self.each(steps[mask])  # (M, width)
        row = torch.repeat_interleave(torch.arange(len(steps), device=steps.device), lengths, output_size=len(each))
        total = each.new_zeros(len(steps), each.shape[1]).index_add(0, row, each)
        return self.whole(total / lengths[:, None])


class FutureTransformer(nn.Module):
    """Steps are tokens that see those after them; the first, which sees all, tells what they come to.

    Args:
        step_dim: D, numbers that tell a step.
        output_dim: O.
        width, layers, heads, dropout: see ``HistoryTransformer``.
    """

    def __init__(
        self, step_dim: int, output_dim: int, *, width: int = 128, layers: int = 3, heads: int = 1, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(step_dim, width)
        self.norm_tokens, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.layers = nn.ModuleList(CausalLayer(width, heads, dropout, dropout) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, output_dim)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """(B, K, D) steps, those where ``mask`` (B, K) is true and all before them, to (B, O)."""
        length = mask.sum(1, keepdim=True)  # (B, 1)
        # backwards, the padding stands behind the steps, where no step looks
        back = length - 1 - torch.arange(mask.shape[1], device=steps.device)  # (B, K), negative in the padding
        reversed_steps = steps.gather(1, back.clamp(min=0)[..., None].expand_as(steps))
        x = self.dropout(self.norm_tokens(self.embed(reversed_steps)))
        for layer in self.layers:
            x = layer(x)
        first = x.gather(1, (length - 1)[..., None].expand(-1, -1, x.shape[-1]))[:, 0]  # (B, width)
        return self.head(self.norm(first))
