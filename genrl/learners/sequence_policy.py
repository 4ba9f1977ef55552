"""A policy with a memory: it looks back over its last steps, plans a chunk of actions and carries some of it out.

All it remembers is kept for each environment by itself and forgotten where an episode begins. Which environments need a
plan is known without asking the device, which is waited for once, when the actions are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.codecs import SpaceCodec
from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConfigurationError
from genrl.data.normalizers import MinMax
from genrl.data.ranges import require_whole
from genrl.data.spaces import Leaves, batch_of, unflatten
from genrl.diffusion.noise import Noise
from genrl.learners.given_goals import checked, require_finite
from genrl.learners.observer import Observer
from genrl.nets.policy_transformer import Observed
from genrl.training.rest import Switchable, evaluating
from genrl.training.spec import DataSpec


class Planner(Switchable, Protocol):
    """The part of a learner that a policy needs."""

    observer: Observer
    codec: SpaceCodec
    scale: MinMax
    spec: DataSpec | None
    history: int
    chunk: int
    goal_length: int

    @property
    def goal_free(self) -> bool:
        """Whether the policy can act without a goal."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""


Plan = Callable[[Observed, Tensor, Noise], Tensor]
"""(what is observed, (B, T - 1, A) actions before, noise) -> (B, K, A) actions, all normalised."""


class SequencePolicy:
    """Acts by plans over a window of the last T observations and T - 1 actions.

    Most such policies are distributions by nature, and act by drawing from them with their episode's own seed whether
    a deterministic action is asked for or not.

    Args:
        learner: fitted.
        plan: how it plans.
        execute: actions of a chunk carried out before the next plan; all by default.
        together: environments planned for at once.
        warm: a function like ``plan`` that begins from a fourth argument, (B, K, A): the rest of the last chunk, its
            last action repeated. None to plan afresh.

    Raises:
        ConfigurationError: ``execute`` or ``together`` is out of range.
    """

    def __init__(
        self,
        learner: Planner,
        plan: Plan,
        execute: int | None = None,
        together: int = 1,
        warm: Callable[[Observed, Tensor, Noise, Tensor], Tensor] | None = None,
    ) -> None:
        execute = learner.chunk if execute is None else execute
        require_whole(1, execute=execute, together=together)
        if execute > learner.chunk:
            raise ConfigurationError(
                f"Of a chunk of {learner.chunk} actions 1 to {learner.chunk} can be executed, not {execute}."
            )
        self.learner, self.plan, self.execute, self.together, self.warm = learner, plan, execute, together, warm
        self._rounds = not all(codec.dtype.is_floating_point for codec in learner.codec.codecs)
        self._generators = EpisodeGenerators()
        self._fresh = np.zeros(0, bool)
        self._wish: Conditions | None = None
        self._goal = self._wished = torch.empty(0)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget where an episode begins, and draw from its seed."""
        self._generators.reset(mask, seeds)
        if len(self._fresh) != len(mask):
            learner, count = self.learner, len(mask)
            zeros = torch.zeros(count, learner.history - 1 + learner.chunk, learner.codec.dim, device=learner.device)
            self._states = torch.zeros(count, learner.history, learner.observer.state.dim, device=learner.device)
            self._past, self._chunk = zeros.split((learner.history - 1, learner.chunk), dim=1)
            self._done = np.zeros(count, np.int64)  # actions of the chunk carried out
            self._fresh = np.ones(count, bool)
        self._fresh = self._fresh | mask

    @torch.inference_mode()
    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Actions for B observations, inside the action space.

        ``conditions.goal`` (B, D), or (B, G, D) for G consecutive goals, takes the place of the desired goal.

        Raises:
            ConditionError: a condition other than a goal; a goal of a wrong shape, not finite or outside the space;
                no goal where one is needed; an observation that is not finite.
            ConfigurationError: the policy was not reset for B environments.
        """
        learner, spec = self.learner, self.learner.spec
        assert spec is not None
        leaves = batch_of(spec.observation_space, observations)
        count = len(next(iter(leaves.values())))
        if len(self._fresh) != count:
            raise ConfigurationError(f"This policy remembers: reset it for {count} environments before it acts.")
        learner.observer.require_finite_state(leaves)
        if conditions is not None:
            conditions.require(type(learner).__name__, {"goal"} if learner.goal_length else set(), count)
        chosen = self.respond(learner.observer.state(leaves), lambda: self._goals(leaves, conditions, count))
        actions = learner.codec.decode(learner.scale.denormalize(chosen))
        return unflatten(spec.action_space, {path: leaf.cpu().numpy() for path, leaf in actions.items()})

    def respond(self, states: Tensor, goals: Callable[[], Tensor]) -> Tensor:
        """(B, A) actions in [-1, 1] for standardised states (B, S).

        Args:
            goals: gives standardised goals (B, G, D), NaN where there are none; asked for when a plan is due.
        """
        self._see(states)
        due = np.flatnonzero(self._fresh | (self._done == self.execute))
        if len(due):
            self._replan(due, goals())
        device, count = self.learner.device, len(states)
        at = torch.from_numpy(self._done).to(device, non_blocking=True)
        chosen = self._chunk[torch.arange(count, device=device), at]  # (B, A)
        if self._rounds:  # what is carried out is what is remembered
            codec, scale = self.learner.codec, self.learner.scale
            chosen = scale.normalize(codec.encode(codec.decode(scale.denormalize(chosen))))
        self._past = torch.cat((self._past, chosen[:, None]), dim=1)[:, 1:]  # (B, T - 1, A)
        self._done += 1
        self._fresh[:] = False
        return chosen

    def _see(self, state: Tensor) -> None:
        """Remember (B, S); where an episode begins, as if it had always been so."""
        self._states = torch.cat((self._states[:, 1:], state[:, None]), dim=1)  # (B, T, S)
        if self._fresh.any():
            fresh = torch.from_numpy(np.flatnonzero(self._fresh)).to(state.device)
            self._states[fresh] = state[fresh, None].expand(-1, self._states.shape[1], -1)
            self._past = self._past.index_fill(0, fresh, 0.0)

    def _replan(self, due: np.ndarray, goals: Tensor) -> None:
        """New chunks for the environments ``due``."""
        going_on = ~self._fresh[due] if self.warm else np.zeros(len(due), bool)
        with evaluating(self.learner):
            for rows in (due[going_on], due[~going_on]):
                for first in range(0, len(rows), self.together):
                    self._plan(rows[first : first + self.together], goals)
        self._done[due] = 0

    def _plan(self, rows: np.ndarray, goals: Tensor) -> None:
        """A chunk for ``rows``, which all begin an episode or all go on."""
        index = torch.from_numpy(rows).to(goals.device)
        observed, past, noise = Observed(self._states[index], goals[index]), self._past[index], self._noise(rows)
        if self.warm is None or self._fresh[rows[0]]:
            chunk = self.plan(observed, past, noise)
        else:
            chunk = self.warm(observed, past, noise, self._rest(index))
        self._chunk = self._chunk.index_copy(0, index, chunk.clamp(-1, 1))

    def _rest(self, index: Tensor) -> Tensor:
        """(B, K, A) what is left of the last chunk, its last action repeated."""
        chunk = self._chunk[index]
        return torch.cat((chunk[:, self.execute :], chunk[:, -1:].expand(-1, self.execute, -1)), dim=1)

    def _noise(self, rows: np.ndarray) -> Noise:
        """Each row's numbers from its own episode's generator, in the order in which they are asked for."""
        generators = [self._generators[slot] for slot in rows]

        def noise(step: int, like: Tensor) -> Tensor:
            drawn = np.stack([generator.standard_normal(like.shape[1:], np.float32) for generator in generators])
            return torch.from_numpy(drawn).to(like)

        return noise

    def _goals(self, leaves: Leaves, conditions: Conditions | None, count: int) -> Tensor:
        """(B, G, D) standardised goals; NaN where there are none and the policy can do without."""
        learner, columns = self.learner, self.learner.observer.goal
        if conditions is not None and conditions.given():
            goal: Any = conditions.goal
            known = conditions is self._wish and len(self._wished) == count and torch.equal(goal, self._goal)
            if not known:  # looked at once, however often given
                goals = checked(goal, columns, count, learner.goal_length)
                self._wish, self._goal = conditions, goal.clone()
                self._wished = columns.normalize(goals.to(learner.device))
            return self._wished
        shape = (count, learner.goal_length, columns.dim)
        if not learner.goal_length or (learner.goal_free and not learner.observer.layout.desired):
            return self._states.new_full(shape, torch.nan)
        require_finite(leaves, learner.observer.layout.desired)
        return columns.normalize(learner.observer.desired(leaves))[:, None].expand(shape)
