"""Episodes of whatever acts in a world model: what all methods that roll a policy out there share.

Source: "When to Trust Your Model: Model-Based Policy Optimization" (Janner et al. 2019),
https://arxiv.org/abs/1906.08253, section 4, for branched rollouts from real states.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.randomness import generator
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.rollout import Act, Rollout, rollout
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Block, Composite, require_length, require_one_world


@runtime_checkable
class Telling(Protocol):
    """An ``Act`` that remembers what there is to tell of its steps."""

    def infos(self, lengths: Tensor) -> dict[str, Tensor]:
        """Of the first steps of each row, so many of them (B,), one after the other: name -> (N, ...)."""


class ModelRollouts(Composite):
    """Rollouts in a world model, from real states.

    Attributes:
        world_model: fitted.
        policy: a fitted learner for the same spaces; a subclass says how it acts.
        horizon: transitions in an episode, fewer where the model ends it.
        disagreement: keep how far the members of an ensemble are apart at every transition; without it only the member
            that is drawn for a row computes it, which is some times faster and, rounding aside, leads to the same.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start"})
    world_model: LearnedWorld
    policy: Any
    horizon: int
    disagreement: bool

    def adopt(self, world_model: LearnedWorld, policy: Any, horizon: int, disagreement: bool) -> None:
        """Take over the parts and the world model's data.

        Raises:
            ConfigurationError: a part was never fitted, they were fitted to other spaces, or a horizon below one.
        """
        require_one_world(world_model, policy)
        require_length(horizon)
        self.world_model, self.policy, self.horizon = world_model, policy, horizon
        self.disagreement, self.spec = disagreement, world_model.spec

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
            ConfigurationError: a length or a batch size below one, or not one rollout takes a single step.
        """
        conditions = conditions or Conditions()
        conditions.require(type(self).__name__, set(self.understands), block.size)
        require_length(length)
        states, goals = self.starts(block, conditions)
        noise, model, parts = BlockNoise(block.seed, block.index), self.world_model, []
        dynamics, bounds = model.dynamics(self.disagreement), (model.low, model.high)
        for part in block.parts(batch_size):
            act = self.acting(goals[part], conditions.rows(part))
            made = rollout(dynamics, act, states[part], length or self.horizon, noise.part(part.start), bounds)
            if told := made.divergence(part.start):
                warnings.warn(f"{told}; fit the world model longer or shorten the rollouts.", stacklevel=2)
            episodes = self.episodes(made, goals[part])
            if isinstance(act, Telling):
                episodes = replace(episodes, infos={**episodes.infos, **act.infos(made.lengths.cpu())})
            parts.append(episodes)
        return _whole(parts)

    def starts(self, block: Block, conditions: Conditions) -> tuple[Tensor, Tensor]:
        """(B, S) states to start from, and the (B, G) goals that were desired there.

        Raises:
            ConditionError: ``conditions.start`` has a wrong shape, or lies outside the observation space.
        """
        model = self.world_model
        drawn = torch.randint(model.starts, (block.size,), generator=generator(block.seed, "start", block.index))
        states, goals = model.start_states[drawn], model.start_goals[drawn]
        if conditions.start is not None:
            codec = model.columns.observation_codec
            if conditions.start.shape != states.shape:
                parts = " and ".join(f"'{path}'" for path in codec.paths)
                raise ConditionError(
                    f"The condition 'start' must be (B, {states.shape[1]}), the columns of {parts}, not"
                    f" {tuple(conditions.start.shape)}."
                )
            codec.require_inside(conditions.start, "start")
            states = conditions.start.to(states)
        return states, goals

    @abstractmethod
    def acting(self, goals: Tensor, conditions: Conditions) -> Act:
        """The policy as a function from columns to columns, for rows with these goals (B, G) and wishes."""

    def episodes(self, made: Rollout, goals: Tensor | None) -> Episodes:
        """The rollouts that took a step, as episodes with the goals (B, G) that were pursued, if any."""
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
