"""Rolling any dynamics out with any batched action function: learned models and simulators alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genrl.dynamics.protocol import Dynamics, Outcome

Act = Callable[[Tensor, Tensor], Tensor]
"""``act(states, noise)``: actions (B, A) for states (B, S), drawn by standard normal numbers (B, A)."""

Noise = Callable[[int, Tensor], Tensor]
"""``noise(step, like)``: standard normal numbers with the shape of ``like``, see ``genrl.diffusion.noise``."""


@dataclass(frozen=True)
class Rollout:
    """B rollouts of at most T steps. Row b is sound up to its length; what stands behind is the last state repeated.

    Attributes:
        states: (B, T + 1, S).
        actions: (B, T, A).
        rewards: (B, T).
        lengths: (B,) int64, transitions; 0 where the first step diverged.
        terminated: (B,) bool, whether the last transition ends the episode; else it was cut off there.
        diverged: (B,) bool, whether it was cut off because the next step was not finite or out of bounds.
        info: name -> (B, T, ...), what the dynamics told beside.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    lengths: Tensor
    terminated: Tensor
    diverged: Tensor
    info: dict[str, Tensor]

    def divergence(self, first: int = 0) -> str | None:
        """One sentence that counts and names the rows that diverged, row 0 being called ``first``; None if none did."""
        rows = (self.diverged.nonzero().flatten() + first).tolist()
        if not rows:
            return None
        named = ", ".join(map(str, rows[:8])) + (", ..." if len(rows) > 8 else "")
        return (
            f"{len(rows)} of {len(self.diverged)} rollouts left the range of the data and were cut off (rows {named})"
        )


def rollout(
    dynamics: Dynamics,
    act: Act,
    start: Tensor,
    horizon: int,
    noise: Noise,
    bounds: tuple[Tensor, Tensor] | None = None,
) -> Rollout:
    """Roll ``dynamics`` out from ``start`` (B, S) for at most ``horizon`` steps.

    A row stops where it terminates, and before a step that is not finite or leads outside ``bounds``. Noise has one row
    per rollout whether it still runs or not, so that no row depends on the others.

    Args:
        act: the policy, see ``Act``.
        noise: asked for one step after the other, from 0 on, for (B, A + K) numbers.
        bounds: (S,) lowest and (S,) highest values of a state.
    """
    state, running = start, torch.ones(len(start), dtype=torch.bool, device=start.device)
    lengths, terminated, diverged = running.long() - 1, ~running, ~running
    drawn = start.new_empty(len(start), dynamics.action_dim + dynamics.noise_dim)
    states, actions, outcomes = [start], [], []
    for step in range(horizon):
        for_action, for_step = noise(step, drawn).split((dynamics.action_dim, dynamics.noise_dim), dim=-1)
        action = act(state, for_action)
        outcome = dynamics.step(state, action, for_step)
        sound = _sound(outcome, bounds)
        diverged = diverged | (running & ~sound)
        running = running & sound
        lengths = lengths + running
        state = torch.where(running[:, None], outcome.next_state, state)  # (B, S)
        terminated = terminated | (running & outcome.terminated)
        running = running & ~outcome.terminated
        states.append(state)
        actions.append(action)
        outcomes.append(outcome)
        if not running.any():
            break
    info = {name: torch.stack([outcome.info[name] for outcome in outcomes], 1) for name in outcomes[0].info}
    rewards = torch.stack([outcome.reward for outcome in outcomes], 1)
    return Rollout(torch.stack(states, 1), torch.stack(actions, 1), rewards, lengths, terminated, diverged, info)


def _sound(outcome: Outcome, bounds: tuple[Tensor, Tensor] | None) -> Tensor:
    """(B,) whether the next state is finite and inside the bounds, and the reward is finite."""
    sound = outcome.next_state.isfinite().all(-1) & outcome.reward.isfinite()
    if bounds is None:
        return sound
    low, high = bounds
    return sound & ((outcome.next_state >= low) & (outcome.next_state <= high)).all(-1)
