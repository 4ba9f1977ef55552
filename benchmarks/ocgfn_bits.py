"""OC-GFN on strings of bits: how often the string that is asked for is built, of all 2^16, 2^32 or 2^64 there are.

``success.LENGTH.VARIANT`` is the exact probability P(x = y) in the mean over 1,000 fixed strings, drawn evenly from
all; an explorer comes to most of those of 16 bits in a fit, and to next to none of the longer ones. ``ot`` has the
reward on every edge (outcome teleportation, as published), ``db`` at the end alone, ``ot_then_db`` goes from the one to
the other. Strings of 16 are built bit by bit, longer ones by words of four. ``above_half`` is the share of strings that
are built more often than not.
"""

from __future__ import annotations

from dataclasses import asdict

from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.ocgfn_cells import CODE, compute_bits
from benchmarks.ocgfn_settings import BITS, BITS_ARMS, TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.style import colours, label, legend
from genrl.evaluation.style import grid as panels

SEEDS = range(3)


def aggregate(results: Results) -> dict[str, float]:
    """Means over seeds, and the least seed's."""
    figures: dict[str, float] = {}
    for where in results.environments:
        for arm in [arm for arm in results.arms if results.cells(arm, where)]:
            values = results.values(arm, "success", where)
            figures |= {f"success.{where}.{arm}": values.mean(), f"least_success.{where}.{arm}": values.min()}
            figures[f"above_half.{where}.{arm}"] = results.values(arm, "above_half", where).mean()
    return figures


def picture(results: Results) -> Figure:
    """Success by length, a line for each variant."""
    figure, (axes,) = panels(1, 1, 5.2, 3.2)
    for arm, colour in colours(results.arms).items():
        places = [where for where in results.environments if results.cells(arm, where)]
        lengths = [int(where[1:]) for where in places]
        values = [results.values(arm, "success", where) for where in places]
        axes.plot(lengths, [v.mean() for v in values], color=colour, marker="o", markersize=3, label=arm)
        axes.fill_between(lengths, [v.min() for v in values], [v.max() for v in values], color=colour, alpha=0.15)
    axes.set_xticks([int(where[1:]) for where in results.environments])
    label(axes, x="bits of a string", y="P(x = y); from least to largest seed")
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


QUICK = {"updates": 6, "batch": 16, "asked": 50}

BENCHMARK = Benchmark(
    name="ocgfn_bits",
    cells=[cell for cell in grid(BITS_ARMS, BITS, SEEDS) if cell.arm == "ot" or cell.environment != "L64"],
    compute=compute_bits,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "L16", 0, QUICK) for arm in BITS_ARMS],
    code=CODE,
    settings={where: asdict(place.sizes) for where, place in BITS.items()}
    | {"network": "MLPs of three layers of 256 units", "paper": "lengths of 20 to 100, success of 0.98"},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
