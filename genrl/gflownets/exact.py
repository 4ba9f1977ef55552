"""Exact distributions over the objects of small environments, by passing probability through every state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gfn.env import DiscreteEnv
from torch import Tensor

from genrl.data.errors import ConfigurationError

MOST = 200_000
"""States that are listed at most."""


@dataclass(frozen=True)
class StateSpace:
    """All N states that can be reached, the first of them the source.

    Attributes:
        states: (N, S).
        child: (N, A - 1) number of the state that an action leads to, -1 where it cannot be taken.
        finished: (N,) whether the exit can be taken.
        longest: actions in the longest trajectory, the exit included.
    """

    states: Tensor
    child: Tensor
    finished: Tensor
    longest: int

    @classmethod
    def of(cls, env: DiscreteEnv) -> StateSpace:
        """List them, level by level from the source.

        Raises:
            ConfigurationError: there are too many, or actions lead back to where they began.
        """
        numbers: dict[tuple[int, ...], int] = {tuple(env.s0.tolist()): 0}
        levels, frontier = [env.s0[None]], env.s0[None]
        while len(frontier):
            rows, actions = _edges(env, frontier)
            after = _after(env, frontier[rows], actions).unique(dim=0)
            new = [state for state in map(tuple, after.tolist()) if state not in numbers]
            frontier = torch.tensor(new, dtype=torch.int64).reshape(len(new), env.s0.numel())
            numbers |= {state: len(numbers) + i for i, state in enumerate(new)}
            levels.append(frontier)
            if len(numbers) > MOST:
                raise ConfigurationError(f"There are more than {MOST} states: sum over fewer, or draw samples instead.")
        states = torch.cat(levels)
        rows, actions = _edges(env, states)
        child = torch.full((len(states), env.n_actions - 1), -1)
        child[rows, actions] = torch.tensor(
            [numbers[s] for s in map(tuple, _after(env, states[rows], actions).tolist())]
        )
        masks: Any = env.states_from_tensor(states)
        return cls(states, child, masks.forward_masks[:, -1], _longest(child))

    @property
    def objects(self) -> Tensor:
        """(X, S) all objects, in the order of their states."""
        return self.states[self.finished]

    def spread(self, probabilities: Tensor) -> Tensor:
        """(..., X) probability of every object under policies (..., N, A)."""
        rows, actions = (self.child >= 0).nonzero(as_tuple=True)
        into = self.child[rows, actions]
        now = torch.zeros(probabilities.shape[:-1], dtype=torch.float64)
        now[..., 0] = 1
        ended = torch.zeros_like(now)
        p = probabilities.double()
        for _ in range(self.longest):
            ended += now * p[..., -1]
            now = torch.zeros_like(now).index_add(-1, into, now[..., rows] * p[..., rows, actions])
        return ended[..., self.finished]


def _longest(child: Tensor) -> int:
    """Actions in the longest trajectory, the exit included; a state may be come to by ways of different length."""
    rows, actions = (child >= 0).nonzero(as_tuple=True)
    into, depth = child[rows, actions], torch.zeros(len(child), dtype=torch.int64)
    for _ in range(len(child)):
        deeper = depth.scatter_reduce(0, into, depth[rows] + 1, "amax")
        if torch.equal(deeper, depth):
            return int(depth.max()) + 1
        depth = deeper
    raise ConfigurationError("Actions of this environment lead back to where they began: a trajectory has no end.")


def _edges(env: DiscreteEnv, states: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of states, and actions but the exit that can be taken there."""
    held: Any = env.states_from_tensor(states)
    rows, actions = held.forward_masks[:, :-1].nonzero(as_tuple=True)
    return rows, actions


def _after(env: DiscreteEnv, states: Tensor, actions: Tensor) -> Tensor:
    if not len(actions):
        return states
    held: Any = env.states_from_tensor(states.clone())
    return env.step(held, env.actions_from_tensor(actions[:, None])).tensor


@torch.no_grad()
def table(
    space: StateSpace, env: DiscreteEnv, policy: Any, conditions: Tensor | None = None, chunk: int = 64
) -> Tensor:
    """(N, A) probabilities of an estimator's actions, or (Y, N, A) under conditions (Y, C)."""

    def ask(repeats: int, *given: Tensor) -> Tensor:
        states: Any = env.states_from_tensor(space.states.repeat(repeats, 1))
        probabilities: Tensor = policy.to_probability_distribution(states, policy(states, *given)).probs
        return probabilities.reshape(repeats, len(space.states), -1)

    if conditions is None:
        return ask(1)[0]
    parts = conditions.split(chunk)
    return torch.cat([ask(len(part), part.repeat_interleave(len(space.states), 0)) for part in parts])


def total_variation(p: Tensor, q: Tensor) -> float:
    """Half the sum of |p - q|, each made to sum to one."""
    return float((p / p.sum() - q / q.sum()).abs().sum() / 2)
