"""A causal transformer over returns to go, states and actions: the network of the Decision Transformer.

Tokens are R_1, s_1, a_1, .., R_K, s_K, a_K; the three of a step share its embedded time, and an action is told from the
token of its state, which sees all before it. Source: "Decision Transformer: Reinforcement Learning via Sequence
Modeling" (Chen et al. 2021), https://arxiv.org/abs/2106.01345, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genrl.nets.causal import CausalLayer, start_small

ReturnNet = Callable[[int, int, int, int], nn.Module]
"""Maker of such a network from the first four sizes that ``ReturnTransformer`` takes."""


class ReturnTransformer(nn.Module):
    """Maps the steps of an episode to one output for each action.

    Args:
        state_dim: S.
        action_dim: A.
        output_dim: O, outputs for an action.
        times: steps of an episode that are told apart; any later one counts as the last of these.
        width: entries of a token, a multiple of ``heads``.
        layers: number of layers.
        heads: attention heads.
        dropout: probability of dropping attention weights, embedded tokens and what a layer adds in training.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        output_dim: int,
        times: int,
        *,
        width: int = 128,
        layers: int = 3,
        heads: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.time = nn.Embedding(times, width)
        self.ret, self.state, self.action = (nn.Linear(dim, width) for dim in (1, state_dim, action_dim))
        self.norm_tokens, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.layers = nn.ModuleList(CausalLayer(width, heads, dropout, dropout) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, output_dim)
        start_small(self)

    def forward(self, returns: Tensor, states: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """(B, K) returns to go, (B, K, S), (B, K, A) and (B, K) int64 steps since the beginning to (B, K, O).

        An output depends on the actions before its own alone.
        """
        time = self.time(times.clamp(max=self.time.num_embeddings - 1))  # (B, K, width)
        parts = (self.ret(returns[..., None]), self.state(states), self.action(actions))
        tokens = torch.stack([part + time for part in parts], dim=2).flatten(1, 2)  # (B, 3 K, width)
        x = self.dropout(self.norm_tokens(tokens))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x[:, 1::3]))  # at the states
