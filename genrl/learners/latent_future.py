"""A future told by a latent variable: the parts that DoC and the future-conditioned auto-encoder share.

Source: "Dichotomy of Control: Separating What You Can Control from What You Cannot" (Yang et al. 2022),
https://arxiv.org/abs/2210.13435, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genrl.data.trajectories import Trajectories
from genrl.learners.latents import Latent
from genrl.nets.trajectories import FutureNet, HistoryNet

Net = Callable[[int, int], nn.Module]
"""Maker of a network from numbers of columns in and out."""


class LatentFuture(nn.Module):
    """q(z | tau), p(z | s_0), pi(a | history, s, z) and V(z, s_0); the first three put out what tells a distribution.

    Args:
        latent: what z is.
        state_dim: S.
        action_dim: A.
        action_outputs: O, numbers that tell a distribution of actions.
        net: maker of prior, value and the policy's head.
        history_net: maker of the network that sums up history and state.
        future_net: maker of the posterior's network.
    """

    def __init__(
        self,
        latent: Latent,
        state_dim: int,
        action_dim: int,
        action_outputs: int,
        net: Net,
        history_net: HistoryNet,
        future_net: FutureNet,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.future = future_net(2 * state_dim + action_dim + 1, latent.outputs)
        self.beginning = net(state_dim, latent.outputs)
        self.worth = net(latent.size + state_dim, 1)
        self.history = history_net(state_dim, action_dim)
        self.actor = net(self.history.dim + latent.size, action_outputs)

    def q(self, tau: Trajectories) -> Tensor:
        """(B, Q) outputs that tell q(z | tau)."""
        return self.future(tau.steps(), tau.mask)

    def p(self, s_0: Tensor) -> Tensor:
        """(B, Q) outputs that tell p(z | s_0), for s_0 (B, S)."""
        return self.beginning(s_0)

    def V(self, z: Tensor, s_0: Tensor) -> Tensor:  # noqa: N802 (the paper's symbol)
        """(..., B) standardised return to be expected of z (..., B, Z) from s_0 (B, S)."""
        return self.worth(_beside(self.latent.seen(z), s_0)).squeeze(-1)

    def pi(self, history: Tensor, z: Tensor) -> Tensor:
        """(..., M, O) outputs that tell pi(a | history, s, z), for summed-up histories (M, H), latents (..., M, Z)."""
        return self.actor(_beside(self.latent.seen(z), history))


def _beside(z: Tensor, known: Tensor) -> Tensor:
    """(..., B, Z) latents with what is known (B, D) beside each, (..., B, Z + D)."""
    return torch.cat((z, known.expand(*z.shape[:-1], -1)), dim=-1)
