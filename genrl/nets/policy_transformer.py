"""A causal transformer over goals, states and actions: the network of goal-conditioned policies.

Tokens are [noise, g_1 .. g_G, s_1, a_1, .., s_T, a_T, a_{T+1} .. a_{T+K-1}]: each action sees the goals, the states up
to its own and the actions before it. A state and the action that follows it share a position. Source: BESO (Reuss et
al. 2023), https://arxiv.org/abs/2304.02532, section 4; the last K - 1 actions, a plan beyond the newest state, as in
Diffusion Policy (Chi et al. 2023), https://arxiv.org/abs/2303.04137.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genrl.nets.causal import CausalLayer, start_small
from genrl.nets.embedding import SinusoidalEmbedding

PolicyNet = Callable[[int, int, int, int, int, int, int], nn.Module]
"""Maker of a policy's network from the first seven sizes that ``PolicyTransformer`` takes."""


class Observed(NamedTuple):
    """What a policy knows when it acts.

    Attributes:
        states: (B, T, S), the newest last.
        goals: (B, G, D); an entry that is NaN is not given, and where none is given the policy is free.
    """

    states: Tensor
    goals: Tensor


class PolicyTransformer(nn.Module):
    """Maps noisy actions, or none, to one output for each action of a window.

    Args:
        state_dim: S.
        goal_dim: D; goals that are states share the states' embedding.
        action_dim: A.
        output_dim: O, outputs for an action.
        history: T, states.
        chunk: K, actions from the newest state on.
        goal_length: G, goals; 0 for none.
        width: entries of a token, a multiple of ``heads``.
        layers: number of layers.
        heads: attention heads.
        attention_dropout: probability of dropping attention weights in training.
        dropout: of dropping what a layer adds.
    """

    def __init__(
        self,
        state_dim: int,
        goal_dim: int,
        action_dim: int,
        output_dim: int,
        history: int,
        chunk: int,
        goal_length: int,
        *,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        attention_dropout: float = 0.05,
        dropout: float = 0.05,
    ) -> None:
        super().__init__()
        self.history, self.goal_length, self.actions = history, goal_length, history - 1 + chunk
        self.noise = nn.Sequential(
            SinusoidalEmbedding(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        self.state = nn.Linear(state_dim, width)
        self.goal = nn.Linear(goal_dim, width) if goal_length and goal_dim != state_dim else None
        self.action = nn.Linear(action_dim, width)
        self.query = nn.Parameter(torch.zeros(width))  # in the place of an action that is asked for, not denoised
        self.free = nn.Parameter(torch.zeros(width))  # marks a goal that is not given
        self.goal_position = nn.Parameter(torch.empty(goal_length, width))
        self.position = nn.Parameter(torch.empty(self.actions, width))
        self.layers = nn.ModuleList(CausalLayer(width, heads, attention_dropout, dropout) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, output_dim)
        start_small(self)

    def forward(self, actions: Tensor | None, noise: Tensor | None, observed: Observed) -> Tensor:
        """(B, H, A) noisy actions at (B,) noise levels, or None for both, to (B, H, O); H = T - 1 + K."""
        tokens = [] if noise is None else [self.noise(noise)[:, None]]
        if self.goal_length:
            tokens.append(self._goals(observed.goals))
        states = self.state(observed.states) + self.position[: self.history]  # (B, T, width)
        acted = self.position + (self.query if actions is None else self.action(actions))  # (B, H, width)
        acted = acted.expand(len(states), -1, -1)
        before = sum(part.shape[1] for part in tokens)
        pairs = torch.stack((states, acted[:, : self.history]), dim=2).flatten(1, 2)  # s_1, a_1, .., s_T, a_T
        x = torch.cat((*tokens, pairs, acted[:, self.history :]), dim=1)  # (B, N, width)
        for layer in self.layers:
            x = layer(x)
        paired, ahead = x[:, before:].split((2 * self.history, self.actions - self.history), dim=1)
        return self.head(self.norm(torch.cat((paired[:, 1::2], ahead), dim=1)))

    def _goals(self, goals: Tensor) -> Tensor:
        """(B, G, D) to tokens (B, G, width)."""
        missing = goals.isnan()
        embedded = (self.state if self.goal is None else self.goal)(goals.masked_fill(missing, 0.0))
        return embedded + missing.all(-1, keepdim=True) * self.free + self.goal_position
