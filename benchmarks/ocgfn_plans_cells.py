"""One cell of the benchmark of plans by outcome: one maker of plans, all of them carried out by the same controller."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.cells import Cell
from benchmarks.stitch_models import files
from genrl.data.arrays import from_arrays
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.randomness import generator
from genrl.data.waypoint import NO_PATH, Grid, WaypointPolicy
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.pursuit import PointMass, Waypoints, pursue
from genrl.evaluation.simulated import Simulated
from genrl.methods.method import Block
from genrl.methods.ocgfn import OCGFN
from genrl.methods.outcome_plans import OutcomePlans
from genrl.methods.tokens import Bins, Tokens
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.mlp import MLP
from genrl.nets.window_mlp import WindowMLP
from genrl.training.fit import fit

ENV_ID, REPEATED = "PointMaze_Medium-v3", {"reset_target": True}


@dataclass(frozen=True)
class Sizes:
    """What all arms share, and how long each is fitted: about equally long on one core, but for the long fit."""

    episodes: int = 60
    noise: float = 0.5
    longest: int = 16
    outcomes: int = 8
    plans: int = 20
    steps: int = 900
    within: float = 0.3
    ocgfn_updates: int = 500
    ocgfn_batch: int = 128
    ocgfn_lr: float = 4e-3
    recombined: float = 0.5
    tries: int = 8
    diffusion_updates: int = 1600
    diffusion_long_updates: int = 20_000
    diffusion_batch: int = 128
    diffusion_lr: float = 2e-3
    diffusion_long_lr: float = 1e-3
    diffusion_width: int = 512
    thinned: int = 30
    horizon: int = 12


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Of one arm: the share of plans that end in the goal's cell, the ways they took, and the seconds of its fit."""
    sizes = replace(Sizes(), **cell.settings)
    episodes = data(cell.seed, sizes)
    tokens = Tokens.of(episodes, Bins())
    asked = outcomes(episodes, tokens, cell.seed, sizes)
    begun = time.process_time()
    plan = ARMS[cell.arm](episodes, tokens, cell.seed, sizes)
    seconds = time.process_time() - begun
    wanted = asked.repeat_interleave(sizes.plans, 0)
    ways = carried_out(plan(wanted), wanted, episodes, tokens, sizes)
    arrived = [way[-1] == goal for way, goal in zip(ways, wanted[:, 1].tolist(), strict=True)]
    routes = {
        (row // sizes.plans, erased(way)) for row, (way, good) in enumerate(zip(ways, arrived, strict=True)) if good
    }
    return {"reached": sum(arrived) / len(ways), "routes": len(routes) / len(asked), "seconds": seconds}


def data(seed: int, sizes: Sizes) -> Episodes:
    """Journeys from goal to goal by the shortest way, with noise on the actions."""
    policy = WaypointPolicy.for_env(make_env(ENV_ID, REPEATED), noise=sizes.noise)
    return replace(collect(ENV_ID, policy, sizes.episodes, seed, env_options=REPEATED), infos={})


def outcomes(episodes: Episodes, tokens: Tokens, seed: int, sizes: Sizes) -> Tensor:
    """(Y, 2) first and last cells, drawn among those at least three steps apart that several ways join.

    A way goes through no cell twice and is short enough for a plan, both in the maze and with the steps in the data.
    """
    grid = _grid()
    paths = [_ways(grid, start, sizes.longest) for start in range(grid.free.size)]
    pairs = [
        (start, goal)
        for start in range(grid.free.size)
        for goal in range(grid.free.size)
        if paths[start].count(goal) > 1 and _apart(grid, start, goal) > 2
    ]
    places = torch.from_numpy(grid.centre(torch.tensor(pairs).flatten().numpy()))
    named = tokens.name_points(places).reshape(-1, 2)
    joined = tokens.walks(episodes, sizes.longest).distances() > 2
    able = named[joined[named[:, 0], named[:, 1]]]
    return able[torch.randperm(len(able), generator=generator(seed, "outcomes"))[: sizes.outcomes]]


def erased(way: list[int]) -> tuple[int, ...]:
    """A way without its loops: where it comes back to a cell, what lay between is forgotten."""
    simple: list[int] = []
    for cell in way:
        simple = [*simple[: simple.index(cell)], cell] if cell in simple else [*simple, cell]
    return tuple(simple)


def carried_out(
    plans: tuple[Tensor, Tensor], wanted: Tensor, episodes: Episodes, tokens: Tokens, sizes: Sizes
) -> list[list[int]]:
    """The cells that each plan came through in the simulator; plans are waypoints (B, L, S) and their numbers (B,)."""
    states, counts = plans
    waypoints = Waypoints(
        states.double(), counts, list(tokens.columns), torch.tensor(tokens.unit, dtype=torch.float64), sizes.within
    )
    starts = tokens.decode(wanted[:, 0])
    goals = tokens.decode(wanted[:, 1])[:, tokens.layout.achieved]
    simulator = Simulated.of(episodes.card).dynamics().towards(goals)
    made = pursue(simulator, PointMass(), waypoints, starts, sizes.steps, BlockNoise(0, 0))
    named = tokens.name(made.states.flatten(0, 1)).reshape(made.states.shape[:2])
    return [
        row[: length + 1].unique_consecutive().tolist()
        for row, length in zip(named, made.lengths.tolist(), strict=True)
    ]


Planner = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Outcomes (B, 2) to waypoints (B, L, S) and how many of each row are meant (B,)."""


def ocgfn(episodes: Episodes, tokens: Tokens, seed: int, sizes: Sizes) -> Planner:
    """An OC-GFN over the plans of the data, half of them made of steps from different ones."""
    plans = tokens.encode(episodes, longest=sizes.longest, seed=seed, recombined=sizes.recombined)
    how = {"batch_size": sizes.ocgfn_batch, "val_fraction": 0.0, "progress": False}
    model = OCGFN(net=partial(MLP, width=256, layers=3), explorer=None, lr=sizes.ocgfn_lr, seed=seed)
    planner = fit(model, plans, sizes.ocgfn_updates, **how)  # type: ignore[arg-type]
    method = OutcomePlans(planner, tokens, Simulated.of(episodes.card), tries=sizes.tries)

    def plan(wanted: Tensor) -> tuple[Tensor, Tensor]:
        made = method.waypoints(method.plan(wanted, BlockNoise(seed, 0)))
        return made.states, made.counts

    return plan


def trajectory_diffusion(episodes: Episodes, tokens: Tokens, seed: int, sizes: Sizes) -> Planner:
    """Diffusion over every few states of the data, given the first and the place of the last."""
    net = partial(WindowMLP, width=sizes.diffusion_width)
    method = TrajectoryDiffusion(net=net, horizon=sizes.horizon, overlap=0, lr=sizes.diffusion_lr, seed=seed)
    how = {"batch_size": sizes.diffusion_batch, "val_fraction": 0.0, "progress": False}
    thin = thinned(episodes, sizes.thinned)
    fit(method, thin, sizes.diffusion_updates, **how)  # type: ignore[arg-type]

    def plan(wanted: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.from_numpy(at_rest(tokens.decode(wanted[:, 0]).numpy()))
        goal = tokens.decode(wanted[:, 1])[:, tokens.layout.achieved]
        made = method.synthesize(Block(seed, 0, len(wanted)), Conditions(start=start.float(), goal=goal.float()))
        seen = tokens.layout.observation_codec.encode(made.observations)
        longest = int(made.lengths.max()) + 1
        places = made.observation_starts[:, None] + torch.arange(longest).clamp(max=made.lengths[:, None])
        return seen[places], made.lengths + 1

    return plan


def trajectory_diffusion_long(episodes: Episodes, tokens: Tokens, seed: int, sizes: Sizes) -> Planner:
    """The same, fitted for longer than all others: what it comes to when it has the time that it needs."""
    long = replace(sizes, diffusion_updates=sizes.diffusion_long_updates, diffusion_lr=sizes.diffusion_long_lr)
    return trajectory_diffusion(episodes, tokens, seed, long)


def nearest(episodes: Episodes, tokens: Tokens, seed: int, sizes: Sizes) -> Planner:
    """Plans of the data whose ends are nearest to those wanted; where several are equally near, all in turn."""
    plans = tokens.encode(episodes, longest=sizes.longest, seed=seed)
    last = plans.observation_starts + plans.lengths
    objects = plans.observations[""][last].unique(dim=0)
    counts = (objects >= 0).sum(1)
    centres = torch.tensor(tokens.centres)
    ends = centres[torch.stack((objects[:, 0], objects[torch.arange(len(objects)), counts - 1]), 1)]  # (N, 2, C)

    def plan(wanted: Tensor) -> tuple[Tensor, Tensor]:
        turns: dict[tuple[int, ...], int] = {}
        rows = []
        for outcome in wanted:
            away = (ends - centres[outcome]).norm(dim=-1).sum(1)
            ties = (away == away.min()).nonzero()[:, 0]
            turn = turns.get(key := tuple(outcome.tolist()), 0)
            turns[key] = turn + 1
            rows.append(int(ties[turn % len(ties)]))
        chosen = objects[rows]
        return tokens.decode(chosen.clamp(min=0)), counts[rows]

    return plan


def thinned(episodes: Episodes, every: int) -> Episodes:
    """Every few places of the episodes, from each of the first few on; at rest, since waypoints tell places alone."""
    observations, actions, rewards = [], [], []
    for episode in episodes:
        length = int(episode.lengths[0])
        for first in range(min(every, length - every + 1)):
            rows = slice(first, first + (length - first) // every * every + 1, every)
            seen = {path: leaf[rows].numpy() for path, leaf in episode.observations.items()}
            observations.append(seen | {"observation": at_rest(seen["observation"])})
            count = len(seen["observation"]) - 1
            actions.append(np.zeros((count, 2), np.float32))
            rewards.append(np.zeros(count))
    made = from_arrays(
        observations,
        actions,
        rewards,
        observation_space=episodes.observation_space,
        action_space=episodes.action_space,
    )
    return replace(made, card=episodes.card)


def at_rest(states: np.ndarray) -> np.ndarray:
    """States (N, 4) without velocity."""
    return np.concatenate((states[:, :2], np.zeros_like(states[:, 2:])), axis=1)


ARMS = {
    "ocgfn": ocgfn,
    "trajectory_diffusion": trajectory_diffusion,
    "trajectory_diffusion_long": trajectory_diffusion_long,
    "nearest": nearest,
}


def _grid() -> Grid:
    maze = make_env(ENV_ID).unwrapped.maze  # type: ignore[attr-defined]
    return Grid(maze.maze_map, maze.maze_size_scaling)


def _apart(grid: Grid, start: int, goal: int) -> int:
    """Steps on the shortest way."""
    steps = 0
    while start != goal and start != NO_PATH:
        start, steps = int(grid.towards[goal, start]), steps + 1
    return steps


def _ways(grid: Grid, start: int, longest: int) -> list[int]:
    """The last cell of every way from ``start`` of at most ``longest`` cells."""
    found: list[int] = []
    paths: list[tuple[int, ...]] = [(start,)] if grid.free.flat[start] else []
    while paths:
        path = paths.pop()
        found.append(path[-1])
        if len(path) < longest:
            around = np.flatnonzero(grid.towards[path[-1]] == path[-1]).tolist()  # itself among them
            paths += [(*path, cell) for cell in around if cell not in path]
    return found


CODE = [
    *files("benchmarks", "ocgfn_plans_cells"),
    "genrl/gflownets/*.py",
    *files("genrl/data", "construction", "waypoint"),
    *files("genrl/dynamics", "pursuit", "rollout"),
    *files("genrl/evaluation", "simulated", "simulators", "bodies"),
    *files("genrl/methods", "ocgfn", "outcome_plans", "tokens", "trajectory_diffusion"),
    *files("genrl/nets", "mlp", "window_mlp"),
]
"""What cells depend on."""
