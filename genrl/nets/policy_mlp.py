"""A residual MLP over a policy's whole window at once, under its context by feature-wise scales and shifts.

Source: the behaviour model of MBRCSL (Zhou et al. 2023), https://arxiv.org/abs/2310.19308, after the U-Net of Diffusion
Policy (Chi et al. 2023), https://arxiv.org/abs/2303.04137; FiLM is due to Perez et al. (2018),
https://arxiv.org/abs/1709.07871. Where no window is longer than one step there is nothing for attention to do, and this
costs a small part of ``PolicyTransformer``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrl.nets.embedding import Context
from genrl.nets.policy_transformer import Observed


class FiLMBlock(nn.Module):
    """Two layers beside a linear shortcut; between them the context scales and shifts every unit."""

    def __init__(self, in_dim: int, width: int, context: int) -> None:
        super().__init__()
        self.enter, self.enter_norm = nn.Linear(in_dim, width), nn.LayerNorm(width)
        self.film = nn.Linear(context, 2 * width)
        self.leave, self.leave_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.shortcut = nn.Linear(in_dim, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, in) under (B, context) to (B, width)."""
        scale, shift = self.film(context).chunk(2, dim=-1)
        inner = F.silu(self.enter_norm(self.enter(x))) * (1 + scale) + shift
        return self.shortcut(x) + F.silu(self.leave_norm(self.leave(inner)))


class PolicyMLP(nn.Module):
    """Maps noisy actions, or none, to one output for each action of a window; a ``PolicyNet``.

    The blocks narrow and widen again, and each on the way back sees what the one of its width put out on the way there.

    Args:
        state_dim, goal_dim, action_dim, output_dim, history, chunk, goal_length: see ``PolicyTransformer``.
        width: units of the widest block; each of the next has half as many, and on the way back it is the other way.
        layers: blocks on the way down, and as many on the way back.
        context: entries of the vector that tells noise level, states and goals.
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
        width: int = 256,
        layers: int = 2,
        context: int = 128,
    ) -> None:
        super().__init__()
        self.actions, self.action_dim = history - 1 + chunk, action_dim
        self.context = Context(history * state_dim + goal_length * goal_dim, context)
        widths = [max(width >> i, 1) for i in range(layers)]
        down, up = [self.actions * action_dim, *widths], [widths[-1], *reversed(widths)]
        self.down = nn.ModuleList(FiLMBlock(down[i], down[i + 1], context) for i in range(len(widths)))
        self.up = nn.ModuleList(FiLMBlock(up[i] + up[i + 1], up[i + 1], context) for i in range(len(widths)))
        self.head = nn.Linear(widths[0], self.actions * output_dim)

    def forward(self, actions: Tensor | None, noise: Tensor | None, observed: Observed) -> Tensor:
        """(B, H, A) noisy actions at (B,) noise levels, or None for both, to (B, H, O); H = T - 1 + K."""
        states = observed.states.flatten(1)
        x = states.new_zeros(len(states), self.actions * self.action_dim) if actions is None else actions.flatten(1)
        level = states.new_zeros(len(states)) if noise is None else noise
        context = F.silu(self.context(level, torch.cat((states, observed.goals.flatten(1)), dim=-1)))
        passed = []
        for block in self.down:
            x = block(x, context)
            passed.append(x)
        for block in self.up:
            x = block(torch.cat((x, passed.pop()), dim=-1), context)
        return self.head(x).unflatten(1, (self.actions, -1))
