"""DoC in a maze with teleports: whether a latent tells of where one comes out, and of whether one goes in.

The data are of those who know the maze: three in four go by teleport where that is shorter, and a third of the time it
ends in a cell without a way out; one in four goes round. The return is 1 where the goal is reached within 1,000 steps.

``iqm.ENV.luck.METHOD`` is by how much higher the value of a stretch's latent is where a teleport, a few steps on, is
about to let out than where it is about to lock in: nothing but luck. ``iqm.ENV.choice.METHOD`` is the same at the first
step of episodes that go round against those that go by teleport: what an agent decides. ``is.ENV.luck`` and
``is.ENV.choice`` are the differences of the returns themselves, in the data, and ``iqm.ENV.return.METHOD`` is the mean
return of a policy. Interquartile means over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import doc_cells
from benchmarks.cells import Cell, grid
from benchmarks.doc_cells import CODE
from benchmarks.doc_settings import PLACES, SIZES, TELEPORT
from benchmarks.doc_tried import TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.stitch_models import files
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.maze_oracle import maze_of
from genrl.evaluation.curves import panels_of_bars
from genrl.evaluation.statistics import Interval
from genrl.learners.future_conditioned import FutureConditioned

SEEDS = range(5)
LATENT = ("doc", "no_term", "future_vae")
ARMS = (*LATENT, "dt", "percent_bc")
TOLD = ("luck", "choice")
JUMP = 2.0
"""Ten times the longest step on foot, and half a cell."""

AHEAD = 9
"""Steps from the beginning of a stretch to a teleport, at most: less than half of what a latent tells of."""


def compute(cell: Cell, workspace: Path) -> Mapping[str, float]:
    """The ``return``, and for latents ``luck`` and ``choice`` with what there ``is`` of both."""
    figures = doc_cells.compute(cell, workspace)
    if cell.arm not in LATENT:
        return figures
    sizes = replace(SIZES[PLACES[cell.environment].family], **cell.settings)
    episodes = doc_cells.data(cell.environment, cell.seed, sizes)
    learner: Any = doc_cells.fitted(cell.arm, cell.environment, cell.seed, sizes)
    returns = episodes.returns_to_go()
    for name, (better, worse) in {"luck": before_teleports(episodes), "choice": first_steps(episodes)}.items():
        figures[name] = float(value(learner, episodes, better).mean() - value(learner, episodes, worse).mean())
        figures[f"is_{name}"] = float(returns[better].mean() - returns[worse].mean())
    return figures


def value(learner: FutureConditioned, episodes: Episodes, rows: Tensor) -> Tensor:
    """(n,) V of the latents of the stretches that begin at ``rows`` (n,), in units of the return."""
    told = doc_cells.tell(learner, episodes, rows)
    with torch.inference_mode():
        V = (told.z.weight * learner.model.V(told.z.z, told.tau.states[:, 0])).sum(0)  # noqa: N806
        return learner.returns.normalizer.denormalize(V[:, None])[:, 0]


def before_teleports(episodes: Episodes) -> tuple[Tensor, Tensor]:
    """(n,) transitions up to ``AHEAD`` steps before a teleport that lets out, and those before one that locks in."""
    states, rows = episodes.observations["observation"], episodes.observation_rows
    episode = episodes.episode_of_transition
    jumps = ((states[rows + 1] - states[rows]).norm(dim=1) > JUMP).nonzero()[:, 0]
    maze = maze_of(make_env(PLACES[TELEPORT].env), "doc_teleport")
    landed = [maze.cell(state) for state in states[rows[jumps] + 1].numpy()]
    closed = torch.tensor([len(maze.steps_from(cell)) == 1 for cell in landed], dtype=torch.bool)
    before = jumps[:, None] - torch.arange(1, AHEAD + 1)  # (J, AHEAD)
    same = (before >= 0) & (episode[before.clamp(min=0)] == episode[jumps, None])
    return before[same & ~closed[:, None]], before[same & closed[:, None]]


def first_steps(episodes: Episodes) -> tuple[Tensor, Tensor]:
    """(n,) first transitions of those who go round, the last share of the episodes, and those of all others."""
    others = len(episodes) * (len(PLACES[TELEPORT].behaviours) - 1) // len(PLACES[TELEPORT].behaviours)
    return episodes.transition_starts[others:], episodes.transition_starts[:others]


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile means with their intervals, and the differences of the returns themselves."""
    figures: dict[str, float] = {}
    for where in results.environments:
        for arm in results.arms:
            for key in keys(arm):
                figures |= results.scores(arm, key, where, f"{where}.{key}.{arm}")
        if "doc" in results.arms:
            for key in TOLD:
                figures[f"is.{where}.{key}"] = results.summary("doc", f"is_{key}", where).value
    return figures


def keys(arm: str) -> tuple[str, ...]:
    """What there is to tell of a learner."""
    return ("return", *TOLD) if arm in LATENT else ("return",)


def picture(results: Results) -> Figure:
    """Bars for luck, choice and return, and those of the data beside what values say of them."""
    bars: dict[str, dict[str, Interval]] = {}
    for where in results.environments:
        for key in (*TOLD, "return"):
            bars[key] = {arm: results.summary(arm, key, where) for arm in results.arms if key in keys(arm)}
            if key in TOLD and "doc" in results.arms:
                bars[key]["returns"] = results.summary("doc", f"is_{key}", where)
    return panels_of_bars(bars, "difference of values, and return; IQM over seeds, 95 % interval", digits=2, columns=3)


QUICK = {"trajectories": 40, "updates": 15, "starts": 2}

BENCHMARK = Benchmark(
    name="doc_teleport",
    cells=grid(ARMS, [TELEPORT], SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, TELEPORT, 0, QUICK) for arm in ("doc", "dt")],
    code=[
        *CODE,
        *files("benchmarks", "doc_teleport"),
        *files("genrl/data", "maze_guide", "maze_oracle", "ogbench_envs"),
    ],
    settings=asdict(SIZES[TELEPORT]),
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
