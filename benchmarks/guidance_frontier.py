"""Target-policy likelihood against dynamics error: windows under policy guidance beside rollouts in a world model.

Data for a target policy should be likely under it and yet follow the dynamics, and what moves them to the one costs the
other. Guided diffusion is moved by the scale of its guidance; the world model, an ensemble early-stopped on held-out
episodes and trained with at least as many updates, by rolling out policies part of the way from behaviour to target, as
many steps as a window holds. Target: TD3+BC on the same tenth of the medium data; its actions count as drawn from
N(mu(s), 1), as in the paper. Errors: the simulator is put into every synthetic state and steps the synthetic action;
the next state's distance in standard deviations of real changes. Controls: real data, whose error is 0, and real data
with their actions shuffled. States that no running episode has are counted, not compared; so are those whose velocities
stand at the limit to which Hopper's observations clip them.

Key: error_at_equal_likelihood, see ``log_ratio``; below 1 guided diffusion is nearer to the dynamics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.integrate import trapezoid

from benchmarks.cells import Cell, grid
from benchmarks.guidance_frontier_cells import (
    BATCH,
    CLONE_UPDATES,
    KIND,
    MEASURED,
    TARGET_UPDATES,
    WINDOWS,
    compute,
)
from benchmarks.guidances import SUBSTEPS
from benchmarks.locomotion import ENVIRONMENTS
from benchmarks.locomotion_models import CALLS, CODE, HORIZON, UPDATES
from benchmarks.pgd import TRIED as FITTED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.statistics import bootstrap
from genrl.evaluation.style import INK, MUTED, REAL, SYNTHETIC, label, legend_below
from genrl.evaluation.style import grid as panels

SCALES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SETTINGS: Mapping[str, list[dict[str, Any]]] = {
    "guided": [{"scale": scale} for scale in SCALES],
    "world_model": [{"share": share} for share in SHARES],
    "real": [{}],
    "shuffled": [{}],
}
SEEDS, TUNING_SEEDS = range(5), (1000,)
BEYOND: list[dict[str, Any]] = [
    *({"scale": scale, "substeps": None} for scale in (3.0, 10.0, 30.0, 100.0, 300.0)),
    *({"scale": scale, "substeps": None, "schedule": "published"} for scale in (0.01, 0.03, 0.1, 0.3, 1.0)),
    *({"scale": scale, "substeps": 1, "schedule": "published"} for scale in (0.03, 0.1, 0.3, 1.0)),
    *({"scale": scale, "schedule": "published", "normalize": True} for scale in (0.03, 0.1, 0.3, 1.0)),
    *({"scale": scale, "substeps": None, "schedule": "constant"} for scale in (0.1, 0.3, 1.0, 3.0)),
]
"""Stronger guidance, and other schedules of it, on the tuning seed alone."""


def log_ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean of ln(our error / their error) at equal likelihood; NaN where the curves share no range of it.

    A curve is its points sorted by likelihood, ln(error) running straight between neighbours. The mean is over
    likelihood, uniformly, on the range that both curves reach: the exact integral of the two broken lines' difference,
    divided by the length of the range.

    Args:
        ours, theirs: (n, 2) points [log-likelihood, error], in any order, errors above 0.
    """
    one, other = (curve[np.argsort(curve[:, 0], kind="stable")] for curve in (ours, theirs))
    low, high = max(one[0, 0], other[0, 0]), min(one[-1, 0], other[-1, 0])
    if low >= high:
        return float("nan")
    knots = np.unique(np.clip(np.concatenate((one[:, 0], other[:, 0])), low, high))
    apart = np.interp(knots, one[:, 0], np.log(one[:, 1])) - np.interp(knots, other[:, 0], np.log(other[:, 1]))
    return float(trapezoid(apart, knots) / (high - low))


def key_of(cell: Cell) -> str:
    """``guided-0_1`` and the like: the arm and its one setting."""
    numbers = [f"{value:g}".replace(".", "_") for name, value in cell.settings.items() if name in ("scale", "share")]
    return "-".join([cell.arm, *numbers])


def curve(results: Results, arm: str, environment: str, seed: int, error: str) -> np.ndarray:
    """(n, 2) likelihood and error of one arm and seed, in the order of its settings."""
    done = [results.done[cell] for cell in results.cells(arm, environment) if cell.seed == seed]
    return np.array([[values["likelihood"], values[error]] for values in done])


def aggregate(results: Results) -> dict[str, float]:
    """The ratio of errors at equal likelihood with its interval over seeds, and the means of all figures.

    No ratio is given where in any seed the curves share no range of likelihood.
    """
    figures: dict[str, float] = {}
    for place in results.environments:
        if {"guided", "world_model"} <= set(results.arms):
            for name, error in (("error", "error"), ("error_90", "error_90")):
                figures |= ratio(results, place, f"{name}_at_equal_likelihood", error)
        for cell in {key_of(cell): cell for arm in results.arms for cell in results.cells(arm, place)}.values():
            same = [results.done[other] for other in results.cells(cell.arm, place) if key_of(other) == key_of(cell)]
            for name in same[0]:
                figures[f"{place}.{key_of(cell)}.{name}"] = float(np.mean([values[name] for values in same]))
    return figures


def ratio(results: Results, place: str, key: str, error: str) -> dict[str, float]:
    """Interquartile mean over seeds of ``log_ratio``, and its interval, as factors."""
    logs = [
        log_ratio(*(curve(results, arm, place, seed, error) for arm in ("guided", "world_model")))
        for seed in results.complete[place]
    ]
    if not np.isfinite(logs).all():
        return {}
    interval = bootstrap(logs)
    bounds = {"": interval.value, "_low": interval.low, "_high": interval.high}
    return {f"{key}{bound}.{place}": float(np.exp(value)) for bound, value in bounds.items()}


PANELS = {
    "error": "error of next state, median (real std)",
    "error_90": "error of next state, 90 % (real std)",
    "impossible": "share of impossible states",
}
COLOURS = {"guided": SYNTHETIC, "world_model": REAL}


def picture(results: Results) -> Figure:
    """A row for each environment: both frontiers, each point with its scale or share, seeds faint behind the mean."""
    figure, axes = panels(len(results.environments) * len(PANELS), len(PANELS), 3.6, 3.1)
    places = [(place, name) for place in results.environments for name in PANELS]
    for panel, (place, name) in zip(axes, places, strict=True):
        means = {arm: _draw_frontier(panel, results, arm, place, name, colour) for arm, colour in COLOURS.items()}
        for arm, mean in means.items():
            _name_points(panel, mean, [f"{next(iter(settings.values())):g}" for settings in SETTINGS[arm]])
        for control in ("real", "shuffled") if name != "impossible" else ():
            _draw_control(panel, control, float(results.values(control, name, place).mean()))
        panel.set_ylim(bottom=0.0)
        label(panel, x="log-likelihood under the target", y=PANELS[name], title=place)
    marks = [
        Line2D([], [], color=SYNTHETIC, marker="o", markersize=4, label="guided diffusion, by scale"),
        Line2D([], [], color=REAL, marker="o", markersize=4, label="world model, by the target's share"),
    ]
    legend_below(figure, marks)
    return figure


def _draw_control(panel: Axes, name: str, level: float) -> None:
    """A dashed line across, its name beyond the right end where no curve is."""
    panel.axhline(level, color=MUTED, linestyle=(0, (4, 2)), linewidth=1.0, zorder=0.5)
    panel.annotate(
        name, (1.01, level), xycoords=("axes fraction", "data"), fontsize=7.5, color=MUTED, va="center",
        annotation_clip=False,
    )  # fmt: skip


def _draw_frontier(panel: Axes, results: Results, arm: str, place: str, error: str, colour: str) -> np.ndarray:
    """A line for the mean and a faint one for each seed; (n, 2) the mean."""
    curves = [curve(results, arm, place, seed, error) for seed in results.complete[place]]
    for each in curves if len(curves) > 1 else []:
        panel.plot(*each.T, color=colour, linewidth=0.7, alpha=0.3)
    mean = np.mean(curves, axis=0)
    panel.plot(*mean.T, color=colour, linewidth=1.6, marker="o", markersize=4)
    return mean


def _name_points(panel: Axes, points: np.ndarray, names: list[str]) -> None:
    """The last of (n, 2) points, and those before it that are far enough from one that is named."""
    apart, last = 0.08 * float(np.ptp(panel.get_xlim())), np.inf
    for point, name in zip(points[::-1], names[::-1], strict=True):
        if abs(point[0] - last) > apart:
            panel.annotate(name, point, (3, 4), textcoords="offset points", fontsize=7.5, color=INK)
            last = point[0]


def cells(seeds: Iterable[int]) -> list[Cell]:
    """Every setting of every arm, seed by seed."""
    return [
        replace(cell, settings=settings)
        for cell in grid(SETTINGS, ENVIRONMENTS, seeds)
        for settings in SETTINGS[cell.arm]
    ]


QUICK = {"kind": "medium_1", "updates": 300}

BENCHMARK = Benchmark(
    name="guidance_frontier",
    cells=cells(SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    quick_cells=[Cell(arm, place, 0, QUICK) for place in ENVIRONMENTS for arm in ("real", "shuffled")],
    code=[
        "benchmarks/guidance_frontier_cells.py",
        "benchmarks/guidances.py",
        "benchmarks/mixtures.py",
        *CODE,
        *(f"genrl/methods/{part}.py" for part in ("scores", "steered", "policy_guided_diffusion")),
        *(f"genrl/methods/{part}.py" for part in ("model_rollouts", "imagination")),
        *(f"genrl/evaluation/{part}.py" for part in ("dynamics_error", "simulators", "bodies", "likelihood")),
        "genrl/diffusion/guidance.py",
        "genrl/dynamics/rollout.py",
        "genrl/learners/td3bc.py",
        "genrl/learners/bc.py",
    ],
    settings={
        "data": f"{KIND} of fixed actors of rl-trained-agents, not D4RL",
        "windows": WINDOWS,
        "transitions_measured": MEASURED,
        "horizon": HORIZON,
        "network_calls": CALLS,
        "guidance_substeps": SUBSTEPS,
        "model_updates": UPDATES,
        "target_updates": TARGET_UPDATES,
        "clone_updates": CLONE_UPDATES,
        "batch": BATCH,
    },
    tuning_cells=[
        *cells(TUNING_SEEDS),
        *(Cell("guided", place, seed, led) for seed in TUNING_SEEDS for place in ENVIRONMENTS for led in BEYOND),
    ],
    tried={"guided": len(SCALES) + len(BEYOND) + FITTED["unguided"], "world_model": 1},  # guidance, and what it leads
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
