"""DoC on the bandit whose data mislead: what a policy earns that follows the best future, not the best luck.

The arms pay with probability p and 1 - p; the data draw the worse one with probability 1 - p. One setting for all p,
the same as in ``doc_frozenlake``; data and luck of its own for every seed; actions are drawn from the policy that was
learned. ``gap.P`` is |reward - (1 - p)| of DoC in the mean over seeds, ``worst_gap.P`` the largest; ``doc.P``, ``dt.P``
(Decision Transformer, asked for a return of 1) and so on are mean rewards: ``no_term`` is DoC without its constraint,
``opposite_sign`` is led to tell of luck, as the published code is, and ``random_posterior`` has latents that tell
nothing. ``mi.P`` is what DoC's latents tell of the reward beyond the arm, in nats, by counting; ``mi_no_term.P`` the
same without the constraint; ``latents.P`` how many of DoC's are in use.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.doc_cells import CODE, compute
from benchmarks.doc_settings import BANDITS, SIZES
from benchmarks.doc_tried import TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.style import INK, colours, label, legend
from genrl.evaluation.style import grid as panels

SEEDS = range(10)
ARMS = ("doc", "dt", "no_term", "opposite_sign", "random_posterior")


def aggregate(results: Results) -> dict[str, float]:
    """Gaps of DoC, and mean rewards of all arms."""
    figures: dict[str, float] = {}
    for where in results.environments:
        p = BANDITS[where].settings["p"]
        rewards = {arm: results.values(arm, "return", where) for arm in results.arms}
        if "doc" in rewards:
            gaps = np.abs(rewards["doc"] - (1 - p))
            figures |= {f"gap.{where}": gaps.mean(), f"worst_gap.{where}": gaps.max()}
        figures |= {f"optimum.{where}": 1 - p} | {f"{arm}.{where}": values.mean() for arm, values in rewards.items()}
        figures |= {
            f"{name}.{where}": results.values(arm, key, where).mean()
            for name, arm, key in (("mi", "doc", "mi"), ("mi_no_term", "no_term", "mi"), ("latents", "doc", "latents"))
            if arm in rewards
        }
    return figures


def picture(results: Results) -> Figure:
    """Reward over p: a line for each arm from its least to its largest seed, and the optimum."""
    figure, (axes,) = panels(1, 1, 5.6, 3.4)
    chances = [BANDITS[where].settings["p"] for where in results.environments]
    axes.plot(chances, 1 - np.array(chances), color=INK, linestyle="--", linewidth=1.2, label="optimum")
    for arm, colour in colours(results.arms).items():
        rewards = [results.values(arm, "return", where) for where in results.environments]  # some may have more seeds
        least, mean, most = (np.array([measure(each) for each in rewards]) for measure in (np.min, np.mean, np.max))
        axes.plot(chances, mean, color=colour, marker="o", markersize=3, label=arm)
        axes.fill_between(chances, least, most, color=colour, alpha=0.12, linewidth=0)
    axes.set_xticks(chances)
    label(axes, x="p, chance of the arm that the data prefer", y="mean reward; from least to largest seed")
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


QUICK = {"updates": 60, "starts": 100}

BENCHMARK = Benchmark(
    name="doc_bandit",
    cells=grid(ARMS, BANDITS, SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "p10", 0, QUICK) for arm in ARMS],
    code=CODE,
    settings={
        **asdict(SIZES["bandit"]),
        "network": "MLPs of two layers of 32 units, a transformer of two (the paper: tables)",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
