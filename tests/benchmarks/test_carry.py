"""Cells that a change of the code leaves valid are carried over, and say so."""

import json

from benchmarks.carry import carry, fingerprints
from benchmarks.cells import REPOSITORY, Cell, CellStore
from benchmarks.load import BENCHMARK
from benchmarks.runner import _finished


def test_cells_are_carried_and_tell_what_computed_them(tmp_path):
    first, second = Cell("ours", "maze", 0), Cell("ours", "maze", 1)
    CellStore(tmp_path / "reported", "a").write(first, {"score": 1.0}, 2.0)
    CellStore(tmp_path / "reported", "stale").write(second, {"score": 2.0}, 2.0)
    assert [carry(tmp_path, "a", "b"), carry(tmp_path, "a", "b"), carry(tmp_path, "b", "c")] == [1, 0, 1]
    store = CellStore(tmp_path / "reported", "c")
    assert store.read(first) == {"score": 1.0}
    assert store.read(second) is None
    assert json.loads((tmp_path / "reported" / first.path).read_text())["computed_by"] == "a"
    store.write(second, {"score": 3.0}, 2.0)
    assert _finished([first, second], store).carried == 1


def test_the_fingerprints_of_a_checkout_are_those_of_its_benchmarks():
    assert fingerprints(REPOSITORY, ["load"]) == {"load": BENCHMARK.fingerprint()}
