"""What the energy of DoC tells apart: the outcome of every action, as it came or for what was unforeseen of it.

A contrast of M outcomes finds log M nats at most (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748), and
where states are continuous, state and action alone tell each outcome from all others: the estimate is at its ceiling
whatever latents tell, and moves no posterior. What is left of (r, s') after what (history, s, a) lets expect has the
same information, I((r, s'); z | history, s, a), and none that could hide it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genrl.data.trajectories import Trajectories
from genrl.learners.latent_future import Net

LEAST = 0.05
"""Of a column's change, what may be unforeseen and still be taken for an error of the network that expects."""


class Outcome(NamedTuple):
    """Of M actions.

    Attributes:
        seen: (M, S + 1) what came of them, as the energy sees it.
        error: () what is minimised to see it so; its gradient leads to no posterior.
    """

    seen: Tensor
    error: Tensor


class Outcomes(nn.Module):
    """Makes the outcomes of actions what the energy sees."""

    @abstractmethod
    def forward(self, tau: Trajectories, known: Tensor) -> Outcome:
        """From B trajectories of M steps in all, and what is known at each, history and action (M, H + A)."""


OutcomeNet = Callable[[int, int, Net], Outcomes]
"""Maker of such a module from the arguments that ``Surprises`` takes."""


class AsTheyCame(Outcomes):
    """(r, s') itself, as published: where a state is one of a few.

    Args:
        known_dim, outcome_dim, net: not looked at.
    """

    def __init__(self, known_dim: int, outcome_dim: int, net: Net) -> None:
        super().__init__()

    def forward(self, tau: Trajectories, known: Tensor) -> Outcome:
        """What came."""
        return Outcome(tau.outcomes()[tau.mask], known.new_zeros(()))


class Surprises(Outcomes):
    """(r, s' - s) less its expectation, in standard deviations: the innovations of a filter, where states are numbers.

    Args:
        known_dim: H + A, columns of history and action.
        outcome_dim: S + 1.
        net: maker of the network that expects.
    """

    def __init__(self, known_dim: int, outcome_dim: int, net: Net) -> None:
        super().__init__()
        self.expected = net(known_dim, outcome_dim)

    def forward(self, tau: Trajectories, known: Tensor) -> Outcome:
        """What was unforeseen of the change, and the squared error of what was expected, in units of its variance."""
        changed = tau.changes()[tau.mask]  # (M, S + 1)
        spread = changed.std(0, correction=0)
        surprise = (changed - self.expected(known)) / torch.where(spread > 1e-6, spread, 1.0)
        seen = surprise.detach()
        return Outcome(seen / seen.std(0, correction=0).clamp(min=LEAST), surprise.square().mean())
