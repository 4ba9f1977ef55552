"""What latent futures tell of luck: with DoC's constraint, and in an auto-encoder.

On slippery lakes ``iqm.SIZE.SLIP.EPSILON.METHOD`` is how much the latent of a stretch tells of where its first action
led, given state and action: I(s'; z | s, a) in nats, interquartile mean over seeds. It is counted over all stretches of
the data that the learner was fitted to, less what is counted when the next states are dealt anew among the stretches
that begin with the same state and action; ``ice.SIZE.SLIP.EPSILON`` is all that there is to tell, H(s' | s, a). On
Hopper, with noise on its actions, ``iqm.hopper.noise100.METHOD`` is the share of the variance of s' - s that a network
cannot foresee from s and a, and can from the latent beside them, on episodes that it was not fitted to;
``noise.hopper.noise100`` is the same where s' itself is told, for what such a network can find.

The learners are those of ``doc_frozenlake`` and ``doc_mujoco``; what they return is there. ``no_term`` is DoC without
its constraint.
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
from benchmarks.doc_settings import LAKES, PLACES, SIZES
from benchmarks.doc_tried import TRIED
from benchmarks.information import conditional_information, dealt_anew, foreseen
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.stitch_models import files
from genrl.data.episodes import Episodes
from genrl.data.randomness import generator
from genrl.evaluation.curves import panels_of_bars
from genrl.learners.future_conditioned import FutureConditioned

SEEDS = range(5)
ON_ICE, IN_NOISE = ("doc", "no_term", "future_vae"), ("doc", "future_vae")
SLIPPERY = [where for where in LAKES if where.startswith("lake8-slip67")]
NOISY = ["hopper-noise100"]
ROWS = 40_000
"""Stretches that a network is fitted to foresee, and tried on, at most."""


def compute(cell: Cell, workspace: Path) -> Mapping[str, float]:
    """``told`` of luck by the latents of a fitted learner, and how much there ``is`` to tell."""
    sizes = replace(SIZES[PLACES[cell.environment].family], **cell.settings)
    episodes = doc_cells.data(cell.environment, cell.seed, sizes)
    learner: Any = doc_cells.fitted(cell.arm, cell.environment, cell.seed, sizes)
    of = in_noise if cell.environment in NOISY else on_ice
    return of(learner, episodes, generator(cell.seed))


def on_ice(learner: FutureConditioned, episodes: Episodes, luck: torch.Generator) -> dict[str, float]:
    """By counting."""
    q = doc_cells.tell(learner, episodes, torch.arange(episodes.num_transitions)).q.softmax(-1)
    causes, outcomes = steps(episodes)
    anew = dealt_anew(causes, outcomes, luck)
    told = conditional_information(q, causes, outcomes) - conditional_information(q, causes, anew)
    sure = torch.nn.functional.one_hot(outcomes)
    return {"told": float(told), "is": float(conditional_information(sure, causes, outcomes))}


def in_noise(learner: FutureConditioned, episodes: Episodes, luck: torch.Generator) -> dict[str, float]:
    """By what a network foresees, of at most ``ROWS`` stretches."""
    every = -(-episodes.num_transitions // ROWS)
    told = doc_cells.tell(learner, episodes, torch.arange(0, episodes.num_transitions, every))
    causes = torch.cat((told.tau.states[:, 0], told.tau.actions[:, 0]), dim=1)
    found = [foreseen(z, causes, told.tau.changes()[:, 0, 1:], luck) for z in (told.z.z[0], told.tau.next_states[:, 0])]
    return dict(zip(("told", "is"), found, strict=True))


def steps(episodes: Episodes) -> tuple[Tensor, Tensor]:
    """(N,) state and action of each transition as one number, and (N,) the state that it led to."""
    states, actions, rows = episodes.observations[""].long(), episodes.actions[""].long(), episodes.observation_rows
    return states[rows] * (int(actions.max()) + 1) + actions, states[rows + 1]


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile means with their intervals, and what there is to tell."""
    figures: dict[str, float] = {}
    for where in results.environments:
        name = where.replace("-", ".")
        for arm in arms(where):
            figures |= results.scores(arm, "told", where, f"{name}.{arm}")
        figures[f"{'ice' if where in SLIPPERY else 'noise'}.{name}"] = results.summary("doc", "is", where).value
    return figures


def arms(where: str) -> tuple[str, ...]:
    """The learners in a place."""
    return IN_NOISE if where in NOISY else ON_ICE


def picture(results: Results) -> Figure:
    """Bars for each place."""
    bars = {
        where.replace("-", ", "): {arm: results.summary(arm, "told", where) for arm in arms(where)}
        for where in results.environments
    }
    return panels_of_bars(bars, "told of luck: nats on ice, share of variance in noise; IQM, 95 % interval", digits=3)


QUICK = {"trajectories": 100, "updates": 40, "starts": 20}

BENCHMARK = Benchmark(
    name="doc_luck",
    cells=[*grid(ON_ICE, SLIPPERY, SEEDS), *grid(IN_NOISE, NOISY, SEEDS)],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "lake8-slip67-eps30", 0, QUICK) for arm in ON_ICE],
    code=[*CODE, *files("benchmarks", "doc_luck")],
    settings={family: asdict(SIZES[family]) for family in ("lake", "hopper")},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
