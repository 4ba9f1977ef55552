"""Where an agent would have a window go: gradients of its log-probability or its value, for guidance.

Agents see states and actions in the data's own units; the gradients are with respect to normalised rows, through the
squashing of actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.guidance import Gradient, ascend
from genrl.methods.packing import Packing


@runtime_checkable
class HasMean(Protocol):
    """An agent with a deterministic action."""

    def mean(self, states: Tensor) -> Tensor:
        """(B, S + G) states and goals to actions (B, A), all in the data's units."""


@runtime_checkable
class HasLogProb(Protocol):
    """An agent with a density over actions."""

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B, S + G), (B, A) to log densities (B,)."""


@runtime_checkable
class HasDensity(Protocol):
    """An agent with a density over actions that it can give for states alone."""

    def density(self, states: Tensor) -> Callable[[Tensor], Tensor]:
        """(B, S + G) states to the function from actions (B, A) to log densities (B,)."""


@runtime_checkable
class HasValue(Protocol):
    """An agent with an action value."""

    def action_value(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B, S + G), (B, A) to values (B,)."""


def log_prob(agent: object, states: Tensor, actions: Tensor) -> Tensor:
    """(B,) log density of actions (B, A) in states (B, S + G), see ``density``."""
    return density(agent, states)(actions)


@torch.no_grad()
def density(agent: object, states: Tensor) -> Callable[[Tensor], Tensor]:
    """Log density in states (B, S + G), as a function of actions: (B, A) to (B,), differentiable by these.

    An agent with a mean alone counts as N(mean, 1). What hangs on the states is computed once, but for an agent that
    has nothing but ``log_prob``.

    Raises:
        ConfigurationError: the agent has neither a density nor a mean.
    """
    if isinstance(agent, HasDensity):
        return agent.density(states)
    if isinstance(agent, HasLogProb):
        return partial(agent.log_prob, states)
    mean = with_mean(agent).mean(states)
    return lambda actions: -0.5 * ((actions - mean).square().sum(-1) + actions.shape[-1] * math.log(2 * math.pi))


def with_mean(agent: object) -> HasMean:
    """The agent.

    Raises:
        ConfigurationError: it has no mean.
    """
    if not isinstance(agent, HasMean):
        raise ConfigurationError(
            f"{type(agent).__name__} cannot lead anything: it has neither log_prob(states, actions) nor mean(states)."
        )
    return agent


def acted(continued: bool) -> slice:
    """The rows of a window whose actions are carried out: not the last one, unless another window goes on from it."""
    return slice(None) if continued else slice(-1)


class PolicyScore:
    """grad_a sum_t log pi(a_t | s_t): states and everything else stay (Jackson et al. 2024, section 4).

    Args:
        packing: of the windows.
        policy: an agent with ``log_prob`` or ``mean``.
        continued: other windows go on from these, so that the action of the last row is carried out as well.

    Raises:
        ConfigurationError: the agent has neither.

    Attributes:
        curvature: the largest -d^2 log pi / da^2 over normalised actions, at the mean; None where the agent has a
            density, but no ``curvature`` of its own.
    """

    def __init__(self, packing: Packing, policy: object, continued: bool = False) -> None:
        if not isinstance(policy, HasLogProb):
            with_mean(policy)
        self.packing, self.policy, self.acted = packing, policy, acted(continued)
        self.curvature = _curvature(packing, policy)

    def __call__(self, rows: Tensor) -> Tensor:
        """(B, R, D) normalised rows to the gradient (B, R, D), which leaves actions that nobody carries out."""
        return self.near(rows)(rows)

    @torch.inference_mode(False)
    def near(self, rows: Tensor) -> Gradient:
        """The same for rows with the states of ``rows`` (B, R, D)."""
        packing, acted = self.packing, self.acted
        with torch.no_grad():
            states = packing.states(rows.clone())[:, acted].flatten(0, 1)  # (B T, S + G)
        likelihood = density(self.policy, states)

        def energy(columns: Tensor) -> Tensor:
            return likelihood(packing.actions(columns).flatten(0, 1)).reshape(len(columns), -1).sum(1)

        def gradient(rows: Tensor) -> Tensor:
            moved = torch.zeros_like(rows)
            moved[:, acted, packing.action] = ascend(energy, rows[:, acted, packing.action])
            return moved

        return gradient


def _curvature(packing: Packing, policy: object) -> float | None:
    own = getattr(policy, "curvature", None) if isinstance(policy, HasLogProb) else 1.0
    if own is None:
        return None
    middle = packing.normalizer.shift.new_zeros(1, packing.action_codec.dim)
    slope = ascend(lambda columns: packing.action_codec.native(columns).sum(-1), middle)  # 1, or the radius of a tanh
    return own * float((slope * packing.normalizer.scale[packing.action]).square().max())


class ValueScore:
    """grad_{s, a} mean_t Q(s_t, a_t): the whole window moves (Janner et al. 2022, https://arxiv.org/abs/2205.09991).

    Args:
        packing: of the windows.
        critic: an agent with ``action_value``.
        continued: see ``PolicyScore``.

    Raises:
        ConfigurationError: the agent has no ``action_value``.
    """

    def __init__(self, packing: Packing, critic: object, continued: bool = False) -> None:
        if not isinstance(critic, HasValue):
            raise ConfigurationError(
                f"{type(critic).__name__} has no action_value(states, actions) to climb; take TD3BC or IQL."
            )
        self.packing, self.critic, self.acted = packing, critic, acted(continued)

    @torch.inference_mode(False)
    def __call__(self, rows: Tensor) -> Tensor:
        """(B, R, D) normalised rows to the gradient (B, R, D)."""
        packing = self.packing

        def energy(rows: Tensor) -> Tensor:
            states = packing.states(rows)[:, self.acted].flatten(0, 1)
            actions = packing.actions(rows[:, self.acted, packing.action]).flatten(0, 1)
            return self.critic.action_value(states, actions).reshape(len(rows), -1).mean(1)

        return ascend(energy, rows)
