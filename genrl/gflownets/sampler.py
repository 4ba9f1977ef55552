"""Trajectories drawn from a policy of torchgfn, the same that its own sampler draws, at a fraction of its cost.

torchgfn's sampler carries finished rows along, and asks Python whether each row is finished; here only the rows that go
on are looked at. The draws are the same: a sampler of torchgfn that begins with the same random state takes the same
actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from gfn.containers import Trajectories
from gfn.env import DiscreteEnv
from gfn.estimators import DiscretePolicyEstimator
from gfn.states import DiscreteStates
from torch import Tensor
from torch.distributions import Distribution

from genrl.diffusion.noise import BlockNoise

Draw = Callable[[Distribution, int, Tensor], Tensor]
"""``draw(distribution, step, rows)``: (B,) actions of the rows (B,) that are not finished by ``step``."""


def at_random(distribution: Distribution, step: int, rows: Tensor) -> Tensor:
    """Draw with torch's own generator, as torchgfn does."""
    return distribution.sample()[:, 0]


class BlockDraw:
    """Draws that depend on (seed, block, step, row) alone, so that neither the batch nor what was drawn before counts.

    Args:
        noise: of the block; ``rows`` count within the part that it begins at.
        size: rows of that part.
    """

    def __init__(self, noise: BlockNoise, size: int) -> None:
        self.noise, self.size = noise, size

    def __call__(self, distribution: Any, step: int, rows: Tensor) -> Tensor:
        """The first action whose cumulative probability exceeds a uniform number."""
        uniform = torch.special.ndtr(self.noise.normal(step, (self.size, 1), torch.float64))[rows.cpu()]
        cumulative = distribution.probs.double().cumsum(-1)
        above = cumulative > uniform.to(cumulative) * cumulative[:, -1:]
        return above.to(torch.uint8).argmax(-1)


@torch.no_grad()
def sample(
    env: DiscreteEnv,
    pf: DiscretePolicyEstimator,
    n: int,
    conditions: Tensor | None = None,
    draw: Draw = at_random,
    **policy: Any,
) -> Trajectories:
    """N whole trajectories from the source state.

    Args:
        env: the environment.
        pf: forward policy.
        n: how many.
        conditions: (N, C), for a conditional policy.
        draw: how actions are drawn.
        policy: what the estimator's distribution takes (``epsilon``, ``temperature``, ...).
    """
    states: Any = env.reset((n,))
    rows = torch.arange(n, device=states.device)
    exit_action = int(env.exit_action)
    seen, taken, lengths = [states.tensor.clone()], [], torch.zeros_like(rows)
    step = 0
    while rows.numel():
        conditioned = () if conditions is None else (conditions[rows],)
        distribution = pf.to_probability_distribution(states, pf(states, *conditioned), **policy)
        actions = draw(distribution, step, rows)
        taken.append(torch.full((n,), int(env.dummy_action), device=rows.device).index_copy(0, rows, actions))
        going = actions != exit_action
        if not bool(going.all()):
            lengths[rows[~going]] = step + 1
            rows, states, actions = rows[going], states[going], actions[going]
        states = env.step(states.clone(), env.actions_from_tensor(actions[:, None]))
        seen.append(env.sf.expand(n, -1).index_copy(0, rows, states.tensor))
        step += 1
    return trajectories(env, torch.stack(seen), torch.stack(taken), lengths, conditions)


def trajectories(
    env: DiscreteEnv, states: Tensor, actions: Tensor, lengths: Tensor, conditions: Tensor | None
) -> Trajectories:
    """torchgfn's container of (T + 1, N, S) states, (T, N) actions and (N,) lengths, the exit counted."""
    held: DiscreteStates = env.states_from_tensor(states)
    if conditions is not None:
        held.conditions = conditions.expand(len(states), -1, -1)
    return Trajectories(env, states=held, actions=env.actions_from_tensor(actions[..., None]), terminating_idx=lengths)


def replayed(env: DiscreteEnv, actions: Tensor, conditions: Tensor | None = None) -> Trajectories:
    """The trajectories that (N, T) actions lead through, -1 after the exit."""
    n, longest = actions.shape
    given = actions.T
    lengths = (actions >= 0).sum(1)
    states: Any = env.reset((n,))
    rows = torch.arange(n, device=actions.device)
    seen = [states.tensor.clone()]
    for step in range(longest):
        going = (given[step][rows] >= 0) & (given[step][rows] != int(env.exit_action))
        rows, states = rows[going], states[going]
        states = env.step(states.clone(), env.actions_from_tensor(given[step][rows][:, None]))
        seen.append(env.sf.expand(n, -1).index_copy(0, rows, states.tensor))
    taken = torch.where(given >= 0, given, int(env.dummy_action))
    return trajectories(env, torch.stack(seen), taken, lengths, conditions)


def terminal(made: Trajectories) -> Tensor:
    """(N, S) the objects that trajectories end in."""
    return made.terminating_states.tensor
