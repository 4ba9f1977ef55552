"""Episodes that a policy lives through in a world model: the autoregressive baseline of policy-guided diffusion.

Source of the comparison: "Policy-Guided Diffusion" (Jackson et al. 2024), https://arxiv.org/abs/2404.06356.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.errors import ConfigurationError
from genrl.data.spaces import Leaves
from genrl.dynamics.rollout import Act
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import require_kind
from genrl.methods.model_rollouts import ModelRollouts


class Actor(Protocol):
    """The part of a fitted learner that acts; ``observer`` turns [state, goal] columns into what it takes."""

    observer: Any
    stochastic: bool

    def __call__(self, observations: Tensor) -> Tensor:
        """What the actor says, (B, K), about standardised observations (B, D)."""

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions from what the actor said, drawn by ``uniform`` (B, K) where given."""


class Imagination(ModelRollouts):
    """Rollouts of a policy in a world model, from real states.

    Args:
        world_model: fitted.
        policy: a fitted learner for the same spaces.
        horizon: transitions in an episode, fewer where the model ends it.
        stochastic: draw actions from the policy's own distribution where it has one; else take their mode.
        disagreement: keep how far the members of an ensemble are apart, see ``ModelRollouts``.

    Raises:
        ConfigurationError: a part was never fitted, they were fitted to other spaces or goals, or the policy is of
            another kind.
    """

    def __init__(
        self,
        world_model: LearnedWorld,
        policy: Actor,
        horizon: int = 32,
        stochastic: bool = True,
        disagreement: bool = True,
    ) -> None:
        super().__init__()
        self.adopt(world_model, policy, horizon, disagreement)
        takes = "a learner that acts on the present state alone, such as BC, TD3BC or IQL"
        require_kind(policy, ("decide", "stochastic"), type(self).__name__, takes)
        _require_same_columns(world_model, policy)
        self.stochastic = stochastic

    def acting(self, goals: Tensor, conditions: Conditions) -> Act:
        """The policy as a function from columns to columns, with a goal (B, G) for each row."""
        policy, codec = self.policy, self.world_model.columns.action_codec
        draws = self.stochastic and policy.stochastic

        def act(states: Tensor, noise: Tensor) -> Tensor:
            outputs = policy(policy.observer.normalize(torch.cat((states, goals), dim=-1)))
            return codec.encode(policy.decide(outputs, torch.special.ndtr(noise) if draws else None))

        return act


def _require_same_columns(world_model: LearnedWorld, policy: Actor) -> None:
    """Refuse a policy that sees another state, or goals where the model's data have none."""
    has = world_model.start_states.shape[1] + world_model.start_goals.shape[1]
    if policy.observer.dim != has:
        raise ConfigurationError(
            f"The policy sees {policy.observer.dim} columns of state and goal, the world model's data have {has}: fit"
            " both to the same data, and take a policy without goals where these have none."
        )
