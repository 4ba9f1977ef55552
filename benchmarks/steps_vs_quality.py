"""How few network calls sampling takes: the quality of windows against calls, for every solver.

In each environment and for each training seed a diffusion model of windows is fitted once and sampled by eight solvers
in 4 to 512 network calls (4 to 256 steps; Heun and DPM-Solver++(2S) take two calls a step). A point is two independent
draws of windows, 10,000 together, fewer for the 64 to 256 calls that decide nothing; all solvers start from the same
noise. Measures, less is better in all of them, each the mean of the two draws:

- dynamics_median, dynamics_high: median and 90 % quantile of the dynamics error (``genrl.evaluation.dynamics_error``)
  of 20,000 transitions that can be judged; impossible: the share that begins in an impossible state, those below 1 %
  being all the same;
- marginal, correlation: against the training data (``genrl.evaluation.fidelity``);
- copying: share of windows nearer to the training data than held-out ones are (``genrl.data.copying``); all values
  below 0.5, which fresh data give, are the same.

A setting equals 512 calls if it holds on every measure against policy-guided diffusion's own sampler (Heun with churn,
256 steps): its interquartile mean over training seeds is not above the upper end of the 95 % interval of that of 512
calls, and the upper end of the 95 % interval of its paired ratio to 512 calls of the same model is at most 1.05 (see
``benchmarks.equivalence``). ``calls_ratio.ENV`` is 512 over the fewest calls, at most 32, at which any solver does; it
is left out where none does. ``calls_ratio_without_churn.ENV`` is the same against Heun without churn in 256 steps, the
solution of the equation that deterministic solvers converge to.

``fewest.SOLVER.ENV`` is the fewest calls, if any, at which a solver equals 512, ``worst.SOLVER.ENV.CALLS`` its largest
ratio on any measure, ``at_32.SOLVER.ENV.MEASURE`` the ratios at 32 calls. ``value.MEASURE.ENV`` is what 512 calls are
worth, ``error.MEASURE.ENV`` its sampling error relative to that. One seed has no interval and gives no verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.cells import Cell
from benchmarks.equivalence import WORSE, Comparison, as_good, compare, worst
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.steps_vs_quality_cells import (
    BATCH,
    CHURN,
    COMPARED,
    DRAWS,
    HELD_OUT,
    HORIZON,
    LAYERS,
    NOTHING,
    RATE,
    SHUFFLED,
    SOLVERS,
    TRANSITIONS,
    UPDATES,
    WIDTH,
    compute,
)
from genrl.evaluation.statistics import bootstrap, interquartile_mean
from genrl.evaluation.style import FAINT, INK, colours, grid, label, legend_below

ENVIRONMENTS = ("hopper", "halfcheetah", "pointmaze")
SEEDS = range(5)
FEW, BETWEEN, FULL = (4, 8, 16, 32), (64, 256), 512
PAPER, WITHOUT_CHURN = ("heun_churn", FULL), ("heun", FULL)
MANY_WINDOWS, FEWER_WINDOWS = 10_000, 2_000
FLOORS = {
    "dynamics_median": 0.0,
    "dynamics_high": 0.0,
    "impossible": 0.01,
    "marginal": 0.0,
    "correlation": 0.0,
    "copying": 0.5,
}
"""The measures; values below the floor are as good as one another."""

Point = tuple[str, int]
"""A solver and its network calls."""
Values = Mapping[str, np.ndarray]
"""Measure -> (n,) values, one a training seed."""


def aggregate(results: Results) -> dict[str, float]:
    """The keys that the module's docstring lists."""
    figures: dict[str, float] = {}
    for place in results.environments:
        points = points_of(results, place)
        for key, reference in (("calls_ratio", PAPER), ("calls_ratio_without_churn", WITHOUT_CHURN)):
            if reference in points:
                least = min(fewest(points, reference, FEW).values(), default=None)
                figures |= {} if least is None else {f"{key}.{place}": FULL / least}
        if PAPER in points:
            figures |= details(points, place)
        if SHUFFLED in results.arms:
            control = float(results.values(SHUFFLED, "dynamics_median", place).mean())
            figures[f"value.dynamics_median_of_shuffled_actions.{place}"] = control
    return figures


def points_of(results: Results, place: str) -> dict[Point, Values]:
    """The values of every point over the complete training seeds of an environment."""
    found: dict[Point, list[Mapping[str, float]]] = {}
    for solver in results.arms:
        for cell in results.cells(solver, place):
            if "calls" in cell.settings:
                found.setdefault((solver, cell.settings["calls"]), []).append(results.done[cell])
    return {point: {key: np.array([run[key] for run in runs]) for key in runs[0]} for point, runs in found.items()}


def compared(points: Mapping[Point, Values], point: Point, reference: Point = PAPER) -> dict[str, Comparison]:
    """Each measure of a point beside the reference's."""
    return {name: compare(points[point][name], points[reference][name], floor) for name, floor in FLOORS.items()}


def fewest(points: Mapping[Point, Values], reference: Point, among: Collection[int]) -> dict[str, int]:
    """Solver -> the fewest calls, ``among`` some, at which it is as good as the reference; left out if it never is."""
    found: dict[str, int] = {}
    for solver, calls in sorted(points, key=lambda point: -point[1]):
        if calls in among and as_good(compared(points, (solver, calls), reference)):
            found[solver] = calls
    return found


def details(points: Mapping[Point, Values], place: str) -> dict[str, float]:
    """Where each solver falls short, and what the reference itself is worth."""
    figures: dict[str, float] = {
        f"fewest.{solver}.{place}": calls for solver, calls in fewest(points, PAPER, (*FEW, *BETWEEN, FULL)).items()
    }
    for solver, calls in sorted(points, key=lambda point: point[1]):
        if any(NOTHING in values for values in points[solver, calls].values()):
            continue  # a measure could not be taken, so that there is no ratio
        comparisons = compared(points, (solver, calls))
        figures[f"worst.{solver}.{place}.{calls}"] = worst(comparisons)
        if calls == FEW[-1]:
            figures |= {f"at_{calls}.{solver}.{place}.{key}": each.ratio.value for key, each in comparisons.items()}
    paper = points[PAPER]
    for name in FLOORS:
        figures[f"value.{name}.{place}"] = float(interquartile_mean(paper[name]))
        figures[f"error.{name}.{place}"] = float(paper[f"{name}_error"].mean() / paper[name].mean())
    return figures | {f"parameters.{place}": int(paper["parameters"][0])}


def picture(results: Results) -> Figure:
    """A row for each environment, a column for each measure, a line for each solver: ratio to 512 calls over calls."""
    panels = [(place, name) for place in results.environments for name in FLOORS]
    figure, axes = grid(len(panels), len(FLOORS), 2.2, 2.2)
    lines = colours(SOLVERS)
    for (place, name), panel in zip(panels, axes, strict=True):
        points = points_of(results, place)
        paper = bootstrap(np.maximum(points[PAPER][name], FLOORS[name]))
        panel.axhspan(paper.low / paper.value, paper.high / paper.value, color=FAINT, alpha=0.4, linewidth=0)
        panel.axhline(WORSE, color=INK, linestyle=(0, (4, 2)), linewidth=0.9)
        for solver, colour in lines.items():
            calls, ratios = zip(*ratios_of(points, solver, name), strict=True)
            panel.plot(calls, ratios, color=colour, linewidth=1.3, marker="o", markersize=2.5)
        _scale(panel)
        label(panel, title=f"{name.replace('_', ' ')} ({paper.value:.2g})")
        if name == next(iter(FLOORS)):
            label(panel, x="network calls", y=f"{place}\nratio to 512 calls", title=panel.get_title("left"))
    shown = [Line2D([], [], color=colour, marker="o", markersize=2.5, label=solver) for solver, colour in lines.items()]
    band = Line2D([], [], color=FAINT, alpha=0.6, linewidth=6, label="512 calls, 95 %")
    limit = Line2D([], [], color=INK, linestyle=(0, (4, 2)), linewidth=0.9, label="5 % worse")
    legend_below(figure, [*shown, band, limit])
    return figure


def _scale(panel: Axes) -> None:
    """The same scales everywhere; what is more than three times as bad as 512 calls is off the panel."""
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_ylim(0.4, 3.0)
    panel.set_yticks([0.5, 1, 1.5, 2, 3], ["0.5", "1", "1.5", "2", "3"])
    panel.set_xticks([4, 16, 64, 256], ["4", "16", "64", "256"])
    panel.minorticks_off()


def ratios_of(points: Mapping[Point, Values], solver: str, name: str) -> Iterator[tuple[int, float]]:
    """Calls and ratio to the paper's sampler of one solver on one measure."""
    for calls in sorted(calls for each, calls in points if each == solver):
        yield calls, compared(points, (solver, calls))[name].ratio.value


def cells_of(place: str, seed: int) -> list[Cell]:
    """The references first, then the settings that may equal them, then those between, which only the picture shows."""
    order = [(solver, FULL, MANY_WINDOWS) for solver, _ in (PAPER, WITHOUT_CHURN)]
    order += [(solver, calls, MANY_WINDOWS) for calls in reversed(FEW) for solver in SOLVERS]
    order += [(solver, calls, FEWER_WINDOWS) for calls in BETWEEN for solver in SOLVERS]
    cells = [Cell(solver, place, seed, {"calls": calls, "windows": windows}) for solver, calls, windows in order]
    return [Cell(SHUFFLED, place, seed), *cells]


TRIED = {"euler": 11, "dpmpp_2m_sde": 6, "dpmpp_2s_ancestral": 38}
"""Choices of randomness and grid that were looked at on seeds from 1000 of Hopper, in 15 to 32 calls."""

QUICK = {"windows": 100, "updates": 100}

BENCHMARK = Benchmark(
    name="steps_vs_quality",
    cells=[cell for seed in SEEDS for place in ENVIRONMENTS for cell in cells_of(place, seed)],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[
        Cell(solver, "hopper", 0, {"calls": calls, **QUICK})
        for solver, calls in (PAPER, ("dpmpp_2m", 8), ("euler", 32))
    ],
    code=[
        "benchmarks/steps_vs_quality_cells.py",
        "benchmarks/locomotion.py",
        *(f"genrl/methods/{part}.py" for part in ("trajectory_diffusion", "packing", "known", "sampling")),
        "genrl/nets/window_mlp.py",
        "genrl/diffusion/gaussian.py",
        "genrl/diffusion/solvers.py",
        "genrl/evaluation/dynamics_error.py",
        "genrl/evaluation/fidelity.py",
        "genrl/data/copying.py",
    ],
    settings={
        "network": f"WindowMLP, {LAYERS} blocks of {WIDTH} (the paper: U-Net, 178 M, windows of 32)",
        "horizon": HORIZON,
        "updates": UPDATES,
        "batch": BATCH,
        "lr": RATE,
        "held_out": HELD_OUT,
        "windows": MANY_WINDOWS,
        "windows_between": FEWER_WINDOWS,
        "draws": DRAWS,
        "transitions_per_draw": TRANSITIONS,
        "windows_looked_up_per_draw": COMPARED,
        "churn": CHURN,
        "margin": WORSE,
        "floors": FLOORS,
        "data": "10,000 transitions: medium_10 of fixed actors of rl-trained-agents; play in PointMaze_UMaze-v3",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
