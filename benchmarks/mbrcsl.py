"""MBRCSL where only stitching helps: beside learners on the same data, and other learners on the same rollouts.

In the stitching maze half of the data pause half way, the other half take a detour; nobody goes straight to the goal.
``mbrcsl`` is RvS on the rollouts that surpass all data, as published; ``mbrcsl_rounds`` fits the behaviour to these and
surpasses them in turn, five rounds in all, and aims at more than the best that the last one kept. ``rvs``,
``decision_transformer``, ``percent_bc``, ``bc``, ``td3bc``, ``iql``, ``cql`` and ``mopo`` learn from the data, and
``*_on_rollouts`` from the rollouts of ``mbrcsl``. All take as many updates and play from the same starts; every seed
has data of its own. Nothing but the data reaches a fit, a threshold or the return that is aimed at.

``iqm.METHOD`` is the interquartile mean over seeds of the mean return of an episode, ``gain.METHOD`` the paired gain of
``mbrcsl_rounds`` over it. Beside them stand ``best_in_data``, and the way from the expert down to MBRCSL: ``expert``
sees the goal, ``without_sight`` goes to the middle of where goals are, ``predicted`` is the mean return of the accepted
rollouts in the world model, ``replayed`` that of the same actions in the simulator, ``predicted_last`` and
``replayed_last`` those of the last round. ``kept`` rollouts were accepted in the first, and ``acceptance`` is their
share of all that were made.
"""

from __future__ import annotations

from dataclasses import asdict

from matplotlib.figure import Figure

from benchmarks import stitch_models
from benchmarks.cells import Cell, grid
from benchmarks.mbrcsl_cells import ARMS, CODE, FIGURES, METHODS, compute
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.stitch_settings import BATCH, TRIED, Settings
from genrl.evaluation.curves import bars
from genrl.evaluation.style import INK, MUTED, legend_below

SEEDS = range(5)
OURS = "mbrcsl_rounds"
PUBLISHED = {
    "mbrcsl": (91.5, 7.1),
    "decision_transformer": (57.2, 4.1),
    "percent_bc": (54.0, 9.2),
    "cql": (34.8, 16.7),
    "mopo": (77.9, 41.9),
    "combo": (56.6, 50.1),
}
"""Mean and standard deviation over 4 seeds of 10 episodes (Zhou et al. 2023, https://arxiv.org/abs/2310.19308)."""


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each method's return with its interval, the paired gains of MBRCSL, and what is beside."""
    figures: dict[str, float] = {}
    methods = [arm for arm in results.arms if arm in METHODS]
    for arm in methods:
        figures |= results.scores(arm, "return")
        if arm != OURS and OURS in methods:
            figures |= results.gains(OURS, arm, "return", None, arm)
    for arm, names in FIGURES.items():
        if arm in results.arms:
            figures |= {name: results.summary(arm, name).value for name in names}
    if set(METHODS) <= set(results.arms):
        for name, (mean, std) in PUBLISHED.items():
            figures |= {f"published.{name}": mean, f"published_std.{name}": std}
    return figures


def picture(results: Results) -> Figure:
    """A bar for each method; lines for the best of the data and for the expert."""
    arms = {arm: results.summary(arm, "return") for arm in results.arms if arm in METHODS}
    seeds = len(results.complete[results.environments[0]])
    figure = bars(arms, f"return: interquartile mean over {seeds} seeds, 95 % interval", digits=1)
    (axes,) = figure.axes
    names = {
        "best_in_data": "best of the data",
        "without_sight": "expert without sight of the goal",
        "expert": "expert",
    }
    lines = [
        axes.axvline(results.summary(arm, arm).value, color=colour, linestyle=style, linewidth=1.2, label=names[arm])
        for arm, colour, style in zip(names, (MUTED, INK, INK), (":", "--", "-"), strict=True)
        if arm in results.arms
    ]
    legend_below(figure, lines)
    return figure


QUICK = {"trajectories": 24, "world_updates": 100, "behaviour_updates": 50, "updates": 50}
QUICK |= {"margin": -1000, "kept": 4, "tries": 16, "wave": 16, "starts": 5, "rounds": 2}

BENCHMARK = Benchmark(
    name="mbrcsl",
    cells=grid(ARMS, seeds=SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED | {"mbrcsl_rounds": 31},  # with its targets, and numbers of rounds
    quick_cells=[Cell(arm, "all", 0, QUICK) for arm in ("mbrcsl_rounds", "mbrcsl", "rvs", *FIGURES)],
    code=[*CODE, *stitch_models.CODE],
    settings=asdict(Settings())
    | {
        "batch": BATCH,
        "network": "two layers of 256 units (the paper: 1,024), the transformer three of 128",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
