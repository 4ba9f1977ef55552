"""What DoC is without one of its parts: learners of the benchmarks alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from genrl.learners.doc import DoC
from genrl.learners.energy import reversed_gradient


class OppositeSign(DoC):
    """The posterior is led to tell *more* of the environment's luck, as the published code does.

    There f and q both descend the same loss; here the gradient that comes from f to z keeps its sign.
    """

    def constrained(self, z: Tensor) -> Tensor:
        """The latents (B, Z) as f sees them: what it gains by them, q gains ``beta`` times."""
        return reversed_gradient(z, -self.beta)


class Blind(nn.Module):
    """Tells of every future the same, so that latents are drawn at random: a ``FutureNet``."""

    def __init__(self, step_dim: int, output_dim: int) -> None:
        super().__init__()
        self.output_dim = output_dim

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """(B, K, D) steps to (B, O) zeros."""
        return torch.zeros(len(steps), self.output_dim, device=steps.device)


RandomPosterior = partial(DoC, future_net=Blind)
"""The latents of the data are drawn at random: what is left is cloning."""
