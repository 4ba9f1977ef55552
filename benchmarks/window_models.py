"""What the choices behind a diffusion model of locomotion's windows are worth, one changed at a time.

``plain`` is the model of ``benchmarks.locomotion_models`` (U-Net, clipped gradients, arctanh of actions where the actor
of the data ends in a tanh, ends at -1 and 1, the ancestral DPM-Solver++(2S) in 31 network calls) after 5,000 updates.
Beside it: ``heun``, Heun's method in as many calls; ``other_squash``, arctanh where plain has none and none where it
has; ``standardised_ends``, the paper's normaliser of done; ``longer``, 20,000 updates, as ``benchmarks.pgd`` has them;
``bf16_sampling``, the network in bfloat16 when it samples (``Sampling.precision``), and ``bf16`` also in the fit (the
Trainer's ``precision``). ``real`` is the data themselves: the error that rounding makes, and how far their own actions
are from the actor's mean.

Of 1,000 windows each: ``error`` and ``error_90``, median and 90 % quantile of the dynamics error in standard deviations
of real changes; ``impossible``, the share of transitions that begin in an impossible state; ``distance``, the mean
squared distance of the actions to the mean of the actor behind the data; ``ended``, how many of 1,000 transitions end
an episode. ``ratio.ENV.ARM.MEASURE`` is the arm over plain of the same seed.
"""

from __future__ import annotations

from dataclasses import replace

from matplotlib.figure import Figure

from benchmarks.cells import grid
from benchmarks.equivalence import compare
from benchmarks.locomotion import ENVIRONMENTS
from benchmarks.locomotion_models import CODE, HORIZON
from benchmarks.locomotion_models import UPDATES as LONGER_UPDATES
from benchmarks.pgd import TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.window_models_cells import ARMS, KIND, MEASURED, REAL, UPDATES, WINDOWS, compute
from genrl.evaluation.curves import panels_of_bars

SEEDS = range(5)
MEASURES = ("error", "error_90", "impossible", "distance", "ended")
COMPARED, PLAIN = ("error", "error_90", "distance"), "plain"


def aggregate(results: Results) -> dict[str, float]:
    """Every measure of every arm with its interval, and its paired ratio to plain."""
    figures: dict[str, float] = {}
    for place in results.environments:
        for arm in results.arms:
            for name in MEASURES:
                figures |= results.scores(arm, name, place, f"{place}.{arm}.{name}")
        for arm in (arm for arm in results.arms if arm not in (REAL, PLAIN) and PLAIN in results.arms):
            for name in COMPARED:
                ratio = compare(results.values(arm, name, place), results.values(PLAIN, name, place)).ratio
                key = f"{place}.{arm}.{name}"
                figures |= {f"ratio.{key}": ratio.value}
                figures |= {f"ratio_low.{key}": ratio.low, f"ratio_high.{key}": ratio.high}
    return figures


def picture(results: Results) -> Figure:
    """A panel for each environment, a bar for each arm: the median error."""
    panels = {
        f"{place}, seeds: {len(results.complete[place])}": {
            arm: results.summary(arm, "error", place) for arm in results.arms if arm != REAL
        }
        for place in results.environments
    }
    return panels_of_bars(panels, "median dynamics error in real std: IQM over seeds, 95 % interval", digits=3)


QUICK = {"updates": 20, "windows": 20, "kind": "medium_1"}

BENCHMARK = Benchmark(
    name="window_models",
    cells=grid(ARMS, ENVIRONMENTS, SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried={arm: TRIED["unguided"] for arm in ARMS if arm != REAL},
    quick_cells=[
        replace(cell, settings=QUICK) for cell in grid(["real", "plain", "bf16_sampling"], ENVIRONMENTS, range(1))
    ],
    code=[
        "benchmarks/window_models_cells.py",
        *CODE,
        "genrl/diffusion/precision.py",
        "genrl/evaluation/dynamics_error.py",
    ],
    settings={
        "updates": UPDATES,
        "longer_updates": LONGER_UPDATES,
        "kind": KIND,
        "horizon": HORIZON,
        "windows": WINDOWS,
        "measured_transitions": MEASURED,
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
