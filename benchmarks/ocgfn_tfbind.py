"""Modes of TFBind8 found with few rewards: one pre-trained OC-GFN for six rewards, against fits from scratch.

All rewards come from one table, by other powers, orders of positions, names of letters and masks. The modes of a reward
are its best 327 objects, 0.5 % of all. ``modes.REWARD.ARM`` is how many of them an arm has asked for among its first
8000 rewards, in the mean over seeds; ``modes_Q.ARM`` the mean over rewards at Q. The OC-GFN is pre-trained, and its N
and Q are warmed up, without a reward, once a seed; that costs ``pretraining_seconds`` on the CPU, an adaptation to one
reward ``seconds.ocgfn``, a fit from scratch ``seconds.tb``. ``break_even_rewards`` is the number of rewards from which
pre-training and adaptations take less time than as many fits from scratch, each to 8000 rewards asked for; it is -1
where that never happens: where an adaptation is no cheaper, or finds fewer modes, than a fit from scratch. Where an arm
meets no new object any more within its updates, it stays at what it has.
"""

from __future__ import annotations

import math
from dataclasses import asdict

from benchmarks.cells import Cell, grid
from benchmarks.ocgfn_tfbind_cells import ARMS, CODE, REWARDS, Sizes, compute, obstacle
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main

SEEDS = range(3)
QUICK = {"queries": 400, "marks": (400,), "pretraining": 20, "warming": 5, "updates": 10}


def aggregate(results: Results) -> dict[str, float]:
    """Modes by reward and arm, and from how many rewards on pre-training pays."""

    def mean(arm: str, key: str) -> float:
        found = [results.values(arm, key, where).mean() for where in results.environments]
        return float(sum(found) / len(found))

    first = results.cells(results.arms[0], results.environments[0])[0]
    marks = [int(key.partition("_")[2]) for key in results.done[first] if key.startswith("modes_")]
    last = max(marks)
    figures = {
        f"modes.{where}.{arm}": float(results.values(arm, f"modes_{last}", where).mean())
        for where in results.environments
        for arm in results.arms
    }
    figures |= {f"modes_{mark}.{arm}": mean(arm, f"modes_{mark}") for arm in results.arms for mark in marks}
    figures |= {f"seconds.{arm}": mean(arm, f"seconds_{last}") for arm in results.arms}
    figures |= {f"asked.{arm}": mean(arm, "asked") for arm in results.arms}
    figures["pretraining_seconds"] = mean("ocgfn", "pretraining")
    saved = figures["seconds.tb"] - figures["seconds.ocgfn"]
    pays = saved > 0 and figures[f"modes_{last}.ocgfn"] >= figures[f"modes_{last}.tb"]
    figures["break_even_rewards"] = float(math.ceil(figures["pretraining_seconds"] / saved)) if pays else -1.0
    return figures


BENCHMARK = Benchmark(
    name="ocgfn_tfbind",
    cells=grid(ARMS, REWARDS, SEEDS),
    compute=compute,
    aggregate=aggregate,
    tried={"ocgfn": 7, "tb": 3, "mcmc": 1, "uniform": 1},
    quick_cells=[Cell(arm, "sharp", 0, QUICK) for arm in ARMS],
    code=CODE,
    settings={**asdict(Sizes()), "network": "MLPs of two layers of 256 units"},
    obstacle=obstacle,
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
