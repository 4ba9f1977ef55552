"""Mutual information by contrast: an energy that tells what followed an action from what follows elsewhere.

Source: "Dichotomy of Control: Separating What You Can Control from What You Cannot" (Yang et al. 2022),
https://arxiv.org/abs/2210.13435, equation 5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genrl.learners.latent_future import Net
from genrl.nets.trajectories import HistoryNet


class Energy(nn.Module):
    """f(r, s', z, history, s, a) as an inner product of what is to be explained with what is to explain it.

    A batch of M steps therefore gives all M^2 energies, of every outcome with every cause, for the price of 2 M.

    Args:
        latent_dim: Z.
        state_dim: S.
        action_dim: A.
        net: maker of both sides.
        history_net: maker of a network that sums up history and state, one of its own.
        dim: entries of the inner product.
    """

    def __init__(
        self, latent_dim: int, state_dim: int, action_dim: int, net: Net, history_net: HistoryNet, dim: int = 16
    ) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(dim)
        self.history = history_net(state_dim, action_dim)
        self.cause = net(self.history.dim + latent_dim + action_dim, dim)
        self.effect = net(1 + state_dim, dim)

    def forward(self, outcomes: Tensor, z: Tensor, known: Tensor) -> Tensor:
        """(L, M, N) energies of N outcomes (N, 1 + S), for latents (L, M, Z), histories and actions (M, H + A)."""
        causes = self.cause(torch.cat((z, known.expand(len(z), -1, -1)), dim=-1))  # (L, M, D)
        return causes @ self.effect(outcomes).T * self.scale


def contrast(f: Tensor) -> Tensor:
    """(..., M) f_i - log E_rho exp f, from energies (..., M, M) with those of each step's own outcome on the diagonal.

    rho is the marginal of the outcomes, and the rows' own ones are a sample of it. At the best f the mean is the mutual
    information of outcome and (z, history, s, a), as far as it is below log M: that of outcome and z given the rest,
    and what the rest tells by itself, which no posterior can change.
    """
    return f.diagonal(dim1=-2, dim2=-1) - (f.logsumexp(dim=-1) - math.log(f.shape[-1]))


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, strength: float) -> Tensor:  # type: ignore[no-untyped-def,override]
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def,override]
        return -ctx.strength * gradient, None


def reversed_gradient(x: Tensor, strength: float) -> Tensor:
    """``x``, whose gradient comes back with the other sign and ``strength`` times as large.

    Source: "Domain-Adversarial Training of Neural Networks" (Ganin et al. 2016), https://arxiv.org/abs/1505.07818: what
    stands after this is fitted to make a loss small, and what stands before it to make the loss large.
    """
    return _Reversal.apply(x, strength)
