"""What latent futures tell of luck, on frozen lakes: with DoC's constraint, without it, and in an auto-encoder.

``iqm.SIZE.SLIP.EPSILON.METHOD`` is how much the latent of a stretch tells of where its first action led, given state
and action: I(s'; z | s, a) in nats, interquartile mean over seeds. It is counted over all stretches of the data that
the learner was fitted to, less what is counted when the next states are dealt anew among the stretches that begin with
the same state and action. ``ice.SIZE.SLIP.EPSILON`` is all that there is to tell, H(s' | s, a). The learners are those
of ``doc_frozenlake``, and what they return is there.
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
from benchmarks.doc_settings import LAKES, SIZES, TRIED
from benchmarks.information import conditional_information, dealt_anew
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.stitch_models import files
from genrl.data.episodes import Episodes
from genrl.data.randomness import generator
from genrl.evaluation.curves import panels_of_bars

SEEDS = range(5)
ARMS = ("doc", "no_term", "future_vae")
PLACES = [where for where in LAKES if where.startswith("lake8") and "slip0" not in where]


def compute(cell: Cell, workspace: Path) -> Mapping[str, float]:
    """``nats`` told of the ``ice`` by the latents of a fitted learner."""
    sizes = replace(SIZES["lake"], **cell.settings)
    episodes = doc_cells.data(cell.environment, cell.seed, sizes)
    learner: Any = doc_cells.fitted(cell.arm, cell.environment, cell.seed, sizes)
    sampler = learner.sampler(episodes)
    with torch.inference_mode():
        q = learner.tell(sampler.fetch(torch.arange(len(sampler))).trimmed(), generator(0)).q.softmax(-1)
    causes, outcomes = steps(episodes)
    anew = dealt_anew(causes, outcomes, generator(cell.seed))
    nats = conditional_information(q, causes, outcomes) - conditional_information(q, causes, anew)
    sure = torch.nn.functional.one_hot(outcomes)
    return {"nats": float(nats), "ice": float(conditional_information(sure, causes, outcomes))}


def steps(episodes: Episodes) -> tuple[Tensor, Tensor]:
    """(N,) state and action of each transition as one number, and (N,) the state that it led to."""
    states, actions, rows = episodes.observations[""].long(), episodes.actions[""].long(), episodes.observation_rows
    return states[rows] * (int(actions.max()) + 1) + actions, states[rows + 1]


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile means with their intervals, and what there is to tell."""
    figures: dict[str, float] = {}
    for where in results.environments:
        name = where.replace("-", ".")
        for arm in results.arms:
            figures |= results.scores(arm, "nats", where, f"{name}.{arm}")
        figures[f"ice.{name}"] = results.summary(results.arms[0], "ice", where).value
    return figures


def picture(results: Results) -> Figure:
    """Bars for each lake with luck."""
    bars = {
        where.replace("-", ", "): {arm: results.summary(arm, "nats", where) for arm in results.arms}
        for where in results.environments
    }
    return panels_of_bars(bars, "nats told of where an action leads: IQM over seeds, 95 % interval", digits=3)


QUICK = {"trajectories": 100, "updates": 40, "starts": 20}

BENCHMARK = Benchmark(
    name="doc_luck",
    cells=grid(ARMS, PLACES, SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "lake8-slip67-eps30", 0, QUICK) for arm in ARMS],
    code=[*CODE, *files("benchmarks", "doc_luck")],
    settings=asdict(SIZES["lake"]),
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
