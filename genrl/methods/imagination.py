"""Episodes that a policy lives through in a world model: the autoregressive baseline of policy-guided diffusion.

Sources: "Policy-Guided Diffusion" (Jackson et al. 2024), https://arxiv.org/abs/2404.06356, for the comparison; MBPO
(Janner et al. 2019), https://arxiv.org/abs/1906.08253, section 4, for branched rollouts from real states.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.randomness import generator
from genrl.data.spaces import Leaves
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.rollout import Act, Rollout, rollout
from genrl.methods.method import Block, Composite
from genrl.methods.policy_guided_diffusion import require_same_spaces
from genrl.methods.world_model import WorldModel


class Actor(Protocol):
    """The part of a fitted learner that acts; ``observer`` turns [state, goal] columns into what it takes."""

    observer: Any
    stochastic: bool

    def __call__(self, observations: Tensor) -> Tensor:
        """What the actor says, (B, K), about standardised observations (B, D)."""

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions from what the actor said, drawn by ``uniform`` (B, K) where given."""


class Imagination(Composite):
    """Rollouts of a policy in a world model, from real states.

    Args:
        world_model: fitted.
        policy: a fitted learner for the same spaces.
        horizon: transitions in an episode, fewer where the model ends it.
        stochastic: draw actions from the policy's own distribution where it has one; else take their mode.
        disagreement: keep how far the members of an ensemble are apart at every transition; without it only the member
            that is drawn for a row computes it, which is some times faster and, rounding aside, leads to the same.

    Raises:
        ConfigurationError: a part was never fitted, or they were fitted to other spaces or goals.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start"})

    def __init__(
        self,
        world_model: WorldModel,
        policy: Actor,
        horizon: int = 32,
        stochastic: bool = True,
        disagreement: bool = True,
    ) -> None:
        super().__init__()
        require_same_spaces(world_model, policy)
        _require_same_columns(world_model, policy)
        if horizon < 1:
            raise ConfigurationError(f"An episode has at least one transition, not {horizon}.")
        self.world_model, self.policy, self.horizon, self.stochastic = world_model, policy, horizon, stochastic
        self.disagreement = disagreement
        self.spec = world_model.spec

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Rollouts of at most ``length`` transitions, each from a real state or from ``conditions.start`` (B, S).

        Where observations hold goals, the desired ones are those of the real states, which the policy pursued.
        The info ``disagreement`` of a transition is how far the members of the ensemble were apart, where it is kept. A
        rollout that leaves the range of the data is cut off before that; one that does so at once is left out. Both are
        warned of.

        Raises:
            ConditionError: an unknown condition or a wrong shape.
            ConfigurationError: a length below one, or not one rollout takes a single step.
        """
        conditions = conditions or Conditions()
        conditions.require(type(self).__name__, set(self.understands), block.size)
        if length is not None and length < 1:
            raise ConfigurationError(f"An episode has at least one transition, not {length}.")
        states, goals = self._starts(block, conditions)
        noise = BlockNoise(block.seed, block.index)
        parts, model, dynamics = [], self.world_model, self.world_model.dynamics(self.disagreement)
        for first in range(0, block.size, batch_size or block.size):
            part = slice(first, first + (batch_size or block.size))
            act = self._act(goals[part])
            bounds = (model.low, model.high)
            made = rollout(dynamics, act, states[part], length or self.horizon, noise.part(first), bounds)
            if told := made.divergence(first):
                warnings.warn(f"{told}; fit the world model longer or shorten the rollouts.", stacklevel=2)
            parts.append(self._episodes(made, goals[part]))
        return _whole(parts)

    def _starts(self, block: Block, conditions: Conditions) -> tuple[Tensor, Tensor]:
        """(B, S) states to start from, and the (B, G) goals that were desired there."""
        model = self.world_model
        drawn = torch.randint(model.starts, (block.size,), generator=generator(block.seed, "start", block.index))
        states, goals = model.start_states[drawn], model.start_goals[drawn]
        if conditions.start is not None:
            if conditions.start.shape != states.shape:
                raise ConditionError(
                    f"The condition 'start' must be (B, {states.shape[1]}), not {tuple(conditions.start.shape)}."
                )
            states = conditions.start.to(states)
        return states, goals

    def _act(self, goals: Tensor) -> Act:
        """The policy as a function from columns to columns, with a goal (B, G) for each row."""
        policy, codec = self.policy, self.world_model.columns.action_codec
        draws = self.stochastic and policy.stochastic

        def act(states: Tensor, noise: Tensor) -> Tensor:
            outputs = policy(policy.observer.normalize(torch.cat((states, goals), dim=-1)))
            return codec.encode(policy.decide(outputs, torch.special.ndtr(noise) if draws else None))

        return act

    def _episodes(self, made: Rollout, goals: Tensor | None) -> Episodes:
        """The rollouts that took a step, as episodes with the goals (B, G) that the policy pursued, if any."""
        kept = (made.lengths > 0).cpu()
        pursued = None if goals is None else goals.cpu()[kept]
        tensors = (made.states, made.actions, made.rewards, made.lengths, made.terminated)
        states, actions, rewards, lengths, terminated = (tensor.cpu()[kept] for tensor in tensors)
        episodes = self.world_model.columns.episodes(states, actions, rewards, lengths, terminated, pursued)
        if not self.disagreement:
            return episodes
        acted = torch.arange(rewards.shape[1]) < lengths[:, None]
        return replace(episodes, infos={"disagreement": made.info["disagreement"].cpu()[kept][acted]})


def _whole(parts: list[Episodes]) -> Episodes:
    parts = [part for part in parts if len(part)]
    if not parts:
        raise ConfigurationError(
            "Not one rollout took a single step inside the range of the data: fit the world model longer, or start"
            " from states that are more like the data."
        )
    return concatenate(parts)


def _require_same_columns(world_model: WorldModel, policy: Actor) -> None:
    """Refuse a policy that sees another state, or goals where the model's data have none."""
    has = world_model.start_states.shape[1] + world_model.start_goals.shape[1]
    if policy.observer.dim != has:
        raise ConfigurationError(
            f"The policy sees {policy.observer.dim} columns of state and goal, the world model's data have {has}: fit"
            " both to the same data, and take a policy without goals where these have none."
        )
