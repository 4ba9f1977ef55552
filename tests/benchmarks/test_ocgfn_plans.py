"""The benchmark of plans by outcome: what its figures are made of, and that every arm runs."""

import numpy as np
import pytest

from benchmarks import ocgfn_plans
from benchmarks.cells import Cell
from benchmarks.ocgfn_plans_cells import ARMS, compute, erased
from benchmarks.results import Results
from benchmarks.runner import result_file
from benchmarks.table import markdown

TINY = {"episodes": 12, "outcomes": 1, "plans": 2, "steps": 20, "ocgfn_updates": 2}
TINY |= {"diffusion_updates": 2, "diffusion_long_updates": 2}


def test_loops_are_left_out():
    assert erased([1, 2, 3, 2, 4]) == (1, 2, 4)
    assert erased([1, 2, 3, 1, 5]) == (1, 5)
    assert erased([7]) == (7,)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_runs(arm, tmp_path):
    values = compute(Cell(arm, seed=3, settings=TINY), tmp_path)
    assert 0 <= values["reached"] <= 1
    assert values["routes"] <= 2
    assert np.isfinite(values["seconds"])


def test_figures_are_means_and_differences():
    def value(cell):
        place = list(ARMS).index(cell.arm)
        return {"reached": 0.9 - 0.1 * place, "routes": 4.0 - place + 0.1 * cell.seed, "seconds": 60.0}

    cells = ocgfn_plans.BENCHMARK.cells
    results = Results(cells, {cell: value(cell) for cell in cells})
    figures = ocgfn_plans.aggregate(results)
    assert figures["routes.ocgfn"] == pytest.approx(4.1)
    assert figures["gain_routes.nearest"] == pytest.approx(3)
    assert figures["gain_reached.trajectory_diffusion"] == pytest.approx(0.1)
    assert "ocgfn" in markdown(result_file(ocgfn_plans.BENCHMARK, results))
    assert [len(panel.patches) for panel in ocgfn_plans.picture(results).axes] == [len(ARMS)] * 2
    assert ocgfn_plans.BENCHMARK.fingerprint()
