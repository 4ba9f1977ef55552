"""Carrying plans out: a controller makes for one waypoint after the other, in a model or in a simulator.

The plan says where, the controller how; what it does depends on the state that was really reached, so a plan that
cannot be followed shows as one that does not arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genrl.data.setting import Setting
from genrl.dynamics.protocol import Dynamics, Outcome
from genrl.dynamics.rollout import Noise, Rollout, rollout

Controller = Callable[[Tensor, Tensor], Tensor]
"""``controller(states, targets)``: actions (B, A) that lead from states (B, S) towards other states (B, S)."""


@dataclass(frozen=True)
class PointMass(Setting):
    """Straight to the target, a proportional-derivative controller with bounded speed for states [place, velocity].

    The law is that of ``genrl.data.waypoint.WaypointPolicy``, which knows the walls as well; this one knows nothing of
    them.

    Attributes:
        speed: fastest wanted speed, in units of length per second.
        approach: wanted speed per distance to the target, 1 / s.
        damping: action per velocity error, s / unit of length.
    """

    speed: float = 3.0
    approach: float = 6.0
    damping: float = 0.5

    def __call__(self, states: Tensor, targets: Tensor) -> Tensor:
        """(B, A) forces in [-1, 1] for states (B, 2 A)."""
        place, velocity = states.chunk(2, dim=-1)
        wanted = self.approach * (targets[:, : place.shape[1]] - place)
        wanted = wanted * self.speed / wanted.norm(dim=-1, keepdim=True).clamp(min=self.speed)
        return (self.damping * (wanted - velocity)).clamp(-1, 1)


@dataclass(frozen=True)
class Waypoints:
    """Where B plans lead.

    Attributes:
        states: (B, L, S) waypoints; of each row the first ``counts`` are meant.
        counts: (B,) int64, at least 1.
        columns: those in which a waypoint is come to.
        unit: (C,) unit of length along each of them.
        within: distance at which a waypoint is passed, in these units.
    """

    states: Tensor
    counts: Tensor
    columns: list[int]
    unit: Tensor
    within: float

    def near(self, states: Tensor, at: Tensor) -> Tensor:
        """(B,) whether states (B, S) have come to the waypoints at places ``at`` (B,)."""
        away = (states - self.target(at))[:, self.columns] / self.unit.to(states)
        return away.norm(dim=-1) <= self.within

    def target(self, at: Tensor) -> Tensor:
        """(B, S) waypoints at places ``at`` (B,)."""
        return self.states[torch.arange(len(at), device=at.device), at]

    def passed(self, states: Tensor, at: Tensor) -> Tensor:
        """(B,) the places to make for next, the last one at most."""
        return torch.where(self.near(states, at), at + 1, at).minimum(self.counts - 1)


class Pursuit:
    """Dynamics in which an episode ends when the last waypoint is come to, and the policy that makes for it.

    Args:
        dynamics: a model or a simulator.
        controller: leads from state to state.
        waypoints: of B rows, which are stepped together.
    """

    def __init__(self, dynamics: Dynamics, controller: Controller, waypoints: Waypoints) -> None:
        self.dynamics, self.controller, self.waypoints = dynamics, controller, waypoints
        self.state_dim, self.action_dim, self.noise_dim = dynamics.state_dim, dynamics.action_dim, dynamics.noise_dim
        self.at = torch.zeros_like(waypoints.counts)

    def act(self, states: Tensor, noise: Tensor) -> Tensor:
        """(B, A) actions towards the next waypoint."""
        self.at = self.waypoints.passed(states, self.at)
        return self.controller(states, self.waypoints.target(self.at))

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """A step of the dynamics; its own ends are told as ``info["ended"]``."""
        outcome = self.dynamics.step(state, action, noise)
        last = self.waypoints.counts - 1
        arrived = (self.at == last) & self.waypoints.near(outcome.next_state, last)
        return replace(outcome, terminated=outcome.terminated | arrived, info={"ended": outcome.terminated})


def pursue(
    dynamics: Dynamics,
    controller: Controller,
    waypoints: Waypoints,
    start: Tensor,
    horizon: int,
    noise: Noise,
    bounds: tuple[Tensor, Tensor] | None = None,
) -> Rollout:
    """Carry plans out from ``start`` (B, S), see ``rollout``; a row ends where it arrives, or after ``horizon`` steps.

    ``terminated`` are rows that the dynamics ended.
    """
    pursuit = Pursuit(dynamics, controller, waypoints)
    made = rollout(pursuit, pursuit.act, start, horizon, noise, bounds)
    last = (made.lengths - 1).clamp(min=0)
    ended = made.info["ended"][torch.arange(len(last)), last]
    return replace(made, terminated=made.terminated & ended, info={})
