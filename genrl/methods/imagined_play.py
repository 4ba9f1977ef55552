"""Episodes that a policy with a memory lives through in a world model: how policies of play synthesise.

The same policy rolled out in its environment is ``genrl.collect``; both leave episodes that any learner can take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError
from genrl.dynamics.rollout import Act, Rollout
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Block, require_kind
from genrl.methods.model_rollouts import ModelRollouts


class Memory(Protocol):
    """The running form of such a policy."""

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget where an episode begins."""

    def respond(self, states: Tensor, goals: Callable[[], Tensor]) -> Tensor:
        """(B, A) scaled actions for standardised states (B, S) and goals (B, G, D)."""


class Player(Protocol):
    """A fitted learner over windows, see ``genrl.learners.sequence``."""

    observer: Any
    codec: Any
    scale: Any
    goal_length: int
    goal_free: bool

    def policy(self, execute: int | None = None, together: int = 1) -> Any:
        """The learner as a policy with a memory."""


class ImaginedPlay(ModelRollouts):
    """Rollouts of a policy over windows in a world model, from real states.

    Goals are those that were desired at the real states or ``conditions.goal``; without either, the policy is free.

    Args:
        world_model: fitted.
        policy: a fitted learner over windows for the same spaces.
        horizon: transitions in an episode, fewer where the model ends it.
        execute: actions of a chunk carried out before the next plan; all by default.
        disagreement: see ``ModelRollouts``.

    Raises:
        ConfigurationError: a part was never fitted, they were fitted to other spaces, or the policy is of another kind.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start", "goal"})

    def __init__(
        self,
        world_model: LearnedWorld,
        policy: Player,
        horizon: int = 32,
        execute: int | None = None,
        disagreement: bool = True,
    ) -> None:
        super().__init__()
        self.adopt(world_model, policy, horizon, disagreement)
        takes = "a policy over windows of play, such as BESO, FlowPolicy or SequenceBC"
        require_kind(policy, ("goal_length", "scale"), type(self).__name__, takes)
        self.execute = execute

    def starts(self, block: Block, conditions: Conditions) -> tuple[Tensor, Tensor]:
        """(B, S) states to start from, and the (B, G) goals that were desired there or are asked for."""
        states, goals = super().starts(block, conditions)
        if conditions.goal is not None:
            columns = self.policy.observer.goal
            if conditions.goal.shape != (block.size, columns.dim):
                raise ConditionError(
                    f"The condition 'goal' must be ({block.size}, {columns.dim}), not {tuple(conditions.goal.shape)}."
                )
            columns.codec.require_inside(conditions.goal, "goal")
            goals = conditions.goal.to(states)
        return states, goals

    def acting(self, goals: Tensor, conditions: Conditions) -> Act:
        """The policy as a function from columns to columns, with a memory for each row of goals (B, G)."""
        player, codec, count = self.policy, self.world_model.columns.action_codec, len(goals)
        memory: Memory = player.policy(self.execute, together=count)
        wished = self._wished(goals)
        begun = False

        def act(states: Tensor, noise: Tensor) -> Tensor:
            nonlocal begun
            if not begun:
                memory.reset(np.ones(count, bool), seeds_of(noise))
                begun = True
            chosen = memory.respond(player.observer.state.normalize(states), lambda: wished)
            return codec.encode(player.codec.decode(player.scale.denormalize(chosen)))

        return act

    def episodes(self, made: Rollout, goals: Tensor | None) -> Episodes:
        """Those of ``made``; a policy without goals pursued none."""
        return super().episodes(made, goals if self.policy.goal_length else None)

    def _wished(self, goals: Tensor) -> Tensor:
        """(B, L, G) standardised goals, L of them alike; NaN where there are none."""
        columns, length = self.policy.observer.goal, self.policy.goal_length
        if goals.shape[1] == columns.dim:
            return columns.normalize(goals)[:, None].expand(-1, length, -1)
        if not self.policy.goal_free:
            raise ConditionError(
                "The policy needs goals and the world model's data hold none: give the condition 'goal', or fit the"
                " policy with a goal_dropout."
            )
        return goals.new_full((len(goals), length, columns.dim), torch.nan)


def seeds_of(noise: Tensor) -> np.ndarray:
    """(B,) int64 seeds from the bits of standard normal numbers (B, A), so that a row's seed is its own."""
    bits = noise.double().cpu().contiguous().numpy().view(np.uint64)
    states = [np.random.SeedSequence(row.tolist()).generate_state(1, np.uint64) for row in bits]
    return (np.concatenate(states) >> np.uint64(1)).astype(np.int64)
