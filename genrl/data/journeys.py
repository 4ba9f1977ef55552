"""Journeys through the stitching maze: the controllers that its data come from, and the expert's.

Source: the data of "Free from Bellman Completeness" (Zhou et al. 2023), https://arxiv.org/abs/2310.19308, section 5.1
and appendix: proportional-derivative control from cell to cell, after the waypoint controller of D4RL's maze2d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.episode_seeds import EpisodeSeeds
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.data.ranges import require_whole
from genrl.data.stitch_maze import CROSSING, ENV_ID, GOAL, JITTER, STEPS, StitchMaze
from genrl.data.waypoint import Grid

P, D = 10.0, -1.0
"""Gains on the way that is left and on the velocity."""

ARRIVED, AT_REST = 0.5, 0.5
"""A stop is reached within this distance, at no more than this speed along each axis."""

PASSED, CUT = 0.1, 0.2
"""A cell on the way is passed within this distance; from the second on, its centre is aimed at less up to this."""

Cell = tuple[int, int]


@dataclass(frozen=True)
class Journey:
    """Where to go.

    Attributes:
        stops: cells to come to rest in, one after the other; the ball stays at the last.
        wander: act at random once the last stop is reached, at whatever speed.
        informed: go to the goal itself where it is observed, not to some place in its cell.
    """

    stops: tuple[Cell, ...]
    wander: bool = False
    informed: bool = False


PAUSE = Journey((CROSSING,))
DETOUR = Journey(((1, 1), (2, 1), GOAL))
WANDER = replace(DETOUR, wander=True)
MIXED = (PAUSE, DETOUR, WANDER)
"""The journeys in the data."""

DIRECT = Journey((GOAL,), informed=True)
"""The expert's: it begins as one that pauses and ends as one that came by the detour."""


class Traveller:
    """Makes one of several journeys in each episode, drawn by the episode's own seed.

    The next stop lies anywhere near the middle of its cell. On the way to it the force is P (p* - p) + D v, clipped to
    [-1, 1], where p* is the next cell on the shortest path, and at last the stop itself.

    Args:
        grid: cells of the maze.
        journeys: what to choose from.
        shares: how often each is made, any positive numbers; equally often by default.
    """

    def __init__(self, grid: Grid, journeys: Sequence[Journey], shares: Sequence[float] | None = None) -> None:
        weights = np.ones(len(journeys)) if shares is None else np.asarray(shares, float)
        self.grid, self.journeys, self.shares = grid, journeys, weights / weights.sum()
        self._trips: list[_Trip] = []

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """A new journey where an episode begins."""
        begins = mask if len(self._trips) == len(mask) else np.ones(len(mask), bool)
        trips = iter(self._trips if len(self._trips) == len(mask) else [None] * len(mask))
        self._trips = [
            self._begun(int(seed)) if new else trip  # type: ignore[misc]
            for new, seed, trip in zip(begins, seeds, trips, strict=True)
        ]

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, 2) float32 forces in [-1, 1].

        Raises:
            ConditionError: there are conditions; it goes where its journey leads.
        """
        states, goals = observations, [None] * len(self._trips)
        if isinstance(observations, dict):
            states, goals = observations["observation"], observations["desired_goal"]
        if conditions is not None:
            conditions.require("Traveller", set(), batch=len(states))
        return np.stack([trip.force(*each) for trip, *each in zip(self._trips, states, goals, strict=True)])

    def _begun(self, seed: int) -> _Trip:
        generator = np.random.default_rng(seed)
        journey = self.journeys[int(generator.choice(len(self.journeys), p=self.shares))]
        return _Trip(self.grid, journey, generator)


class _Trip:
    """One journey under way: the stop it makes for, and the cell that it makes for on the way there."""

    def __init__(self, grid: Grid, journey: Journey, generator: np.random.Generator) -> None:
        self.grid, self.journey, self.generator = grid, journey, generator
        self.ahead = list(journey.stops)
        self.begun = self.arrived = False
        self.stop = self.aim = np.zeros(2)
        self.last = self.cell = 0

    def force(self, state: np.ndarray, goal: np.ndarray | None) -> np.ndarray:
        """(2,) float32 what to do at ``state`` (4,), where the goal is at ``goal`` (2,) if that is known."""
        place, velocity = state[:2], state[2:]
        if not self.begun or (not self.arrived and self._reached(place, velocity)):
            self._go_on(place, goal)
        if self.arrived and self.journey.wander:
            return self.generator.uniform(-1, 1, 2).astype(np.float32)
        if self.cell != self.last and np.linalg.norm(self.aim - place) <= PASSED:
            self._pass_cell()
        return np.clip(P * (self.aim - place) + D * velocity, -1, 1).astype(np.float32)

    def _reached(self, place: np.ndarray, velocity: np.ndarray) -> bool:
        slow = bool((np.abs(velocity) <= AT_REST).all()) or (self.journey.wander and not self.ahead)
        return slow and bool(np.linalg.norm(place - self.stop) <= ARRIVED)

    def _go_on(self, place: np.ndarray, goal: np.ndarray | None) -> None:
        """Make for the next stop, from the cell that holds ``place``; there may be none."""
        self.begun = True
        if not self.ahead:
            self.arrived = True
            return
        row, column = self.ahead.pop(0)
        self.last = row * self.grid.columns + column
        if goal is not None and self.journey.informed:
            self.stop = goal
        else:
            self.stop = self._centre(self.last) + self.generator.uniform(-JITTER, JITTER, 2)
        self.cell = int(self.grid.towards[self.last, self.grid.cell(place[None])[0]])
        self.aim = self._centre(self.cell)

    def _pass_cell(self) -> None:
        self.cell = int(self.grid.towards[self.last, self.cell])
        arriving = self.cell == self.last
        self.aim = self.stop if arriving else self._centre(self.cell) - self.generator.uniform(0, CUT, 2)

    def _centre(self, cell: int) -> np.ndarray:
        return self.grid.centre(np.array([cell]))[0]


def expert(env: gym.Env) -> Traveller:
    """Straight from the start to the goal: to the very place where it is observed (``hide_goal`` false).

    Raises:
        UnsupportedSpaceError: another environment than the stitching maze.
    """
    return Traveller(_grid(env), [DIRECT])


def journeys(env: gym.Env, detours: float = 0.5) -> Traveller:
    """The policy of the data: trajectories of three kinds in random order.

    Args:
        env: the stitching maze.
        detours: share of trajectories that take the detour; the others pause at the crossing.

    Raises:
        UnsupportedSpaceError: another environment.
        ConfigurationError: the share is not between 0 and 1.
    """
    return Traveller(_grid(env), MIXED, _shares(detours))


def _grid(env: gym.Env) -> Grid:
    if not isinstance(env.unwrapped, StitchMaze):
        raise UnsupportedSpaceError(f"Journeys lead through {ENV_ID}, not {env}.")
    return Grid(env.unwrapped.maze.maze_map, env.unwrapped.maze.maze_size_scaling)


def _shares(detours: float) -> list[float]:
    """Of the kinds in ``MIXED``: half of the journeys that take the detour end in wandering."""
    if not 0 <= detours <= 1:
        raise ConfigurationError(f"detours is a share of the trajectories, from 0 to 1, not {detours}.")
    return [1 - detours, detours / 2, detours / 2]


def stitching(episodes: int = 1000, detours: float = 0.5, seed: int = 0, *, progress: bool = False) -> Episodes:
    """The published data set, made here and now, with so many trajectories of each kind exactly.

    Args:
        episodes: how many in all.
        detours: share that takes the detour, half of which ends in wandering; the others pause at the crossing.
        seed: the one source of all randomness.
        progress: show a progress bar over the episodes of each kind.

    Raises:
        ConfigurationError: the share is not between 0 and 1, or there is no episode.
    """
    counts = _counts(episodes, _shares(detours))
    grid = _grid(make_env(ENV_ID))
    parts = [
        collect(ENV_ID, Traveller(grid, [journey]), count, EpisodeSeeds.of(seed, kind).reset, progress=progress)
        for kind, (journey, count) in enumerate(zip(MIXED, counts, strict=True))
        if count
    ]
    card = replace(
        parts[0].card,
        algorithm_name="journeys",
        description=f"{episodes} trajectories of {STEPS} steps, {detours:g} of them by the detour: the stitching data"
        " of MBRCSL, made anew.",
    )
    return replace(concatenate(parts), card=card)


def _counts(episodes: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to ``shares``, rounded so that they add up."""
    require_whole(1, episodes=episodes)
    edges = np.round(np.cumsum(shares) * episodes).astype(int)
    return np.diff(edges, prepend=0).tolist()
