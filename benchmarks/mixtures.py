"""Policies between the one that made the data and the one that is to be followed, for rollouts of a world model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrl.data.episodes import Episodes
from genrl.data.spaces import Leaves
from genrl.learners.bc import BC
from genrl.learners.td3bc import TD3BC

NEVER = 1e-6
"""Keeps uniform numbers off 0 and 1, whose normal quantiles are infinite."""


class Mixture(nn.Module):
    """a = (1 - share) b + share mu(s): part of the way from the behaviour's action b to the target's.

    b is drawn around the cloned mean with the standard deviation of what the clone leaves unexplained, and clipped to
    the bounds. At share 0 this is the behaviour policy, at 1 the target; in between actions move as guidance moves
    them, by degrees. It has what ``Imagination`` asks of a policy.

    Args:
        behaviour: cloned from the data.
        target: fitted to the same data.
        share: of the target, 0 to 1.
        spread: (A,) standard deviations of the data's actions around the clone's mean, see ``residual``.

    Raises:
        ValueError: a share outside 0 to 1.
    """

    stochastic = True
    spread: Tensor

    def __init__(self, behaviour: BC, target: TD3BC, share: float, spread: Tensor) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"The target's share is between 0 and 1, not {share}.")
        self.behaviour, self.target, self.share = behaviour, target, share
        self.observer, self.spec = target.observer, target.spec
        self.register_buffer("spread", spread)

    def forward(self, observations: Tensor) -> Tensor:
        """(B, 2 A) means of both policies, in the data's units, for the target's standardised observations (B, D)."""
        state = self.observer.state.normalizer.denormalize(observations)
        return torch.cat((self.behaviour.mean(state), self.target.mean(state)), dim=-1)

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions from both means (B, 2 A); the behaviour's are drawn by ``uniform`` (B, A) where given."""
        behaviour, target = outputs.chunk(2, dim=-1)  # (B, A) each
        if uniform is not None:
            behaviour = behaviour + self.spread * torch.special.ndtri(uniform.clamp(NEVER, 1 - NEVER))
        actions = self.target.actions
        low, high = actions.native(-torch.ones_like(target)), actions.native(torch.ones_like(target))
        return actions.codec.decode((1 - self.share) * behaviour.clamp(low, high) + self.share * target)


@torch.no_grad()
def residual(clone: BC, data: Episodes) -> Tensor:
    """(A,) standard deviation of the data's actions around the clone's."""
    states = clone.observer.encode(data.observations)[data.observation_rows]
    return (clone.head.codec.encode(data.actions) - clone.mean(states)).square().mean(0).sqrt()
