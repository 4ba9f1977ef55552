"""DoC on frozen lakes, by how slippery the ice is and how good the data are.

``iqm.SIZE.SLIP.EPSILON.METHOD`` is the interquartile mean over seeds of the mean return (the share of episodes that
come to the goal within 100 steps): 4 or 8 cells a side, a slip of 0, 1/3 or 2/3 (the standard slippery lake), and data
of 1,000 episodes of value iteration's policy with a share epsilon of random actions. ``gain.*.METHOD`` is the paired
gain of DoC over it, ``optimum.SIZE.SLIP`` the largest return that any policy can expect, by dynamic programming. Equal
numbers of updates and batches; every seed has data and luck of its own. Latents tell of two steps, and then the best is
chosen anew, as Decision Transformer asks anew for what is left of its return. All policies draw their actions: the
likeliest action of a clone is the optimal one here, for that is what most of the data's are. The auto-encoder is there
twice: ``future_vae`` with a tenth of its divergence, chosen on tuning seeds because it serves it, and ``elbo_vae`` with
the whole.
"""

from __future__ import annotations

from dataclasses import asdict

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.doc_cells import CODE, compute
from benchmarks.doc_settings import EPSILONS, LAKES, SIZES, SLIPS
from benchmarks.doc_tried import TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.data.environments import make_env
from genrl.data.value_iteration import Tables
from genrl.evaluation.style import INK, colours, label, legend_below
from genrl.evaluation.style import grid as panels

SEEDS, MORE_SEEDS = range(5), range(5, 10)
SLIPPERIEST = [where for where in LAKES if "slip67" in where]
"""Where arms are to be told apart: with more seeds, for five did not tell future-conditioned auto-encoder from DoC."""

ARMS = ("doc", "dt", "future_vae", "elbo_vae", "percent_bc", "bc")
STEPS = 100
SHOWN = [(side, epsilon) for side in (4, 8) for epsilon in EPSILONS]


def optimum(where: str) -> float:
    """The largest expected return."""
    return Tables.of(make_env(LAKES[where].env, LAKES[where].settings)).optimum(STEPS)


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each method's return with its interval, the paired gains of DoC, and the optima."""
    figures: dict[str, float] = {}
    for where in results.environments:
        name = where.replace("-", ".")
        for arm in results.arms:
            figures |= results.scores(arm, "return", where, f"{name}.{arm}")
    for where in results.environments:
        name = where.replace("-", ".")
        for arm in [arm for arm in results.arms if arm != "doc" and "doc" in results.arms]:
            figures |= results.gains("doc", arm, "return", where, f"{name}.{arm}")
        figures[f"optimum.{name.rpartition('.')[0]}"] = optimum(where)
    return figures


def picture(results: Results) -> Figure:
    """A panel for each size and epsilon of which there is something to show: return over slip."""
    rows = {(side, epsilon): [f"lake{side}-{slip}-eps{100 * epsilon:.0f}" for slip in SLIPS] for side, epsilon in SHOWN}
    rows = {row: places for row, places in rows.items() if set(places) & set(results.environments)}
    figure, axes = panels(len(rows), len(EPSILONS), 2.7, 2.5)
    for panel, ((side, epsilon), places) in zip(axes, rows.items(), strict=True):
        _draw(panel, results, places)
        label(panel, x="slip", y="return, IQM, 95 %", title=f"{side} x {side}, epsilon {epsilon:g}")
    legend_below(figure, axes[0].get_lines())
    return figure


def _draw(axes: Axes, results: Results, places: list[str]) -> None:
    """The lines of one size and epsilon."""
    done = [(slip, where) for slip, where in zip(SLIPS.values(), places, strict=True) if where in results.environments]
    slips = [slip for slip, _ in done]
    axes.plot(slips, [optimum(where) for _, where in done], "--_", color=INK, linewidth=1.2, label="optimum")
    for arm, colour in colours(results.arms).items():
        values = [results.summary(arm, "return", where) for _, where in done]
        axes.plot(slips, [value.value for value in values], color=colour, marker="o", markersize=3, label=arm)
        low, high = [value.low for value in values], [value.high for value in values]
        axes.fill_between(slips, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.vlines(slips, low, high, color=colour, alpha=0.4, linewidth=1.2)
    axes.set_xticks(list(SLIPS.values()), ["0", "1/3", "2/3"])
    axes.set_xlim(-0.05, 0.72)
    axes.set_ylim(-0.03, 1.03)


QUICK = {"trajectories": 100, "updates": 40, "starts": 20}

BENCHMARK = Benchmark(
    name="doc_frozenlake",
    cells=[*grid(ARMS, LAKES, SEEDS), *grid(ARMS, SLIPPERIEST, MORE_SEEDS)],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "lake4-slip33-eps50", 0, QUICK) for arm in ARMS],
    code=CODE,
    settings={**asdict(SIZES["lake"]), "network": "MLPs of two layers of 32 units, a transformer of two"},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
