"""Where an agent would have a window go: gradients of its log-probability or its value, for guidance.

Agents see states and actions in the data's own units; the gradients are with respect to normalised rows, through the
squashing of actions.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.guidance import ascend
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
class HasValue(Protocol):
    """An agent with an action value."""

    def action_value(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B, S + G), (B, A) to values (B,)."""


def log_prob(agent: object, states: Tensor, actions: Tensor) -> Tensor:
    """(B,) log density of actions (B, A) in states (B, S + G); an agent with a mean alone counts as N(mean, 1).

    Raises:
        ConfigurationError: the agent has neither a density nor a mean.
    """
    if isinstance(agent, HasLogProb):
        return agent.log_prob(states, actions)
    if not isinstance(agent, HasMean):
        raise ConfigurationError(
            f"{type(agent).__name__} cannot lead anything: it has neither log_prob(states, actions) nor mean(states)."
        )
    squared = (actions - agent.mean(states)).square().sum(-1)
    return -0.5 * (squared + actions.shape[-1] * math.log(2 * math.pi))


class PolicyScore:
    """grad_a sum_t log pi(a_t | s_t): states and everything else stay (Jackson et al. 2024, section 4).

    Args:
        packing: of the windows.
        policy: an agent with ``log_prob`` or ``mean``.
    """

    def __init__(self, packing: Packing, policy: object) -> None:
        self.packing, self.policy = packing, policy

    @torch.inference_mode(False)
    def __call__(self, rows: Tensor) -> Tensor:
        """(B, R, D) normalised rows to the gradient (B, R, D); the last row has no action."""
        packing, rows = self.packing, rows.clone()
        with torch.no_grad():
            states = packing.states(rows)[:, :-1].flatten(0, 1)  # (B (R - 1), S + G)

        def energy(columns: Tensor) -> Tensor:
            actions = packing.actions(columns).flatten(0, 1)
            return log_prob(self.policy, states, actions).reshape(len(rows), -1).sum(1)

        gradient = torch.zeros_like(rows)
        gradient[:, :-1, packing.action] = ascend(energy, rows[:, :-1, packing.action])
        return gradient


class ValueScore:
    """grad_{s, a} mean_t Q(s_t, a_t): the whole window moves (Janner et al. 2022, https://arxiv.org/abs/2205.09991).

    Args:
        packing: of the windows.
        critic: an agent with ``action_value``.

    Raises:
        ConfigurationError: the agent has no ``action_value``.
    """

    def __init__(self, packing: Packing, critic: object) -> None:
        if not isinstance(critic, HasValue):
            raise ConfigurationError(
                f"{type(critic).__name__} has no action_value(states, actions) to climb; take TD3BC or IQL."
            )
        self.packing, self.critic = packing, critic

    @torch.inference_mode(False)
    def __call__(self, rows: Tensor) -> Tensor:
        """(B, R, D) normalised rows to the gradient (B, R, D)."""
        packing = self.packing

        def energy(rows: Tensor) -> Tensor:
            states = packing.states(rows)[:, :-1].flatten(0, 1)
            actions = packing.actions(rows[:, :-1, packing.action]).flatten(0, 1)
            return self.critic.action_value(states, actions).reshape(len(rows), -1).mean(1)

        return ascend(energy, rows)
