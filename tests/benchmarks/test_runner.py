"""The benchmark runner: resume, staleness, time limit, interrupts, complete comparisons, tuning apart, quick output."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cells import Cell, artefact, code_digest, grid
from benchmarks.machine import machine
from benchmarks.runner import Benchmark, main

ARMS = ("ours", "reference")


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Leaves a trace of every computation beside the workspace; fails, dawdles or is interrupted where told to."""
    with open(workspace.parent.parent.parent / "computed", "a") as file:
        file.write(f"{cell}\n")
    match cell.settings.get("fate"):
        case "fail":
            raise RuntimeError("the simulator fell over")
        case "nan":
            return {"score": float("nan")}
        case "interrupt":
            os.kill(os.getpid(), signal.SIGTERM)
        case "slow":
            time.sleep(0.5)
    return {"score": 10.0 * ARMS.index(cell.arm) + cell.seed, "pid": os.getpid()}


def quick_compute(cell: Cell, workspace: Path) -> dict[str, float]:
    print("chatter of a library")
    folder = artefact(workspace, f"data-{cell.seed}", lambda folder: (folder / "x").write_text(str(cell.seed)))
    return {"score": float((folder / "x").read_text()) + ARMS.index(cell.arm)}


def aggregate(results):
    figures = {}
    for arm in results.arms:
        summary = results.summary(arm, "score")
        figures |= {f"iqm.{arm}": summary.value, f"low.{arm}": summary.low}
    return figures


def benchmark(tmp_path: Path, cells, **changes) -> Benchmark:
    plain = Benchmark("toy", cells, compute, aggregate, grid(ARMS), ["benchmarks/cells.py"], {"steps": 3})
    return replace(plain, **changes)


def run(bench: Benchmark, folder: Path, *arguments: str) -> list[str]:
    """The cells that this run computed."""
    trace = folder / "cells" / "toy" / "computed"
    trace.unlink(missing_ok=True)
    main(bench, ["--folder", str(folder), *arguments])
    return trace.read_text().splitlines() if trace.exists() else []


def result(folder: Path) -> dict:
    return json.loads((folder / "results" / "toy.json").read_text())


def test_a_second_run_computes_only_what_is_missing(tmp_path):
    first = run(benchmark(tmp_path, grid(ARMS, seeds=range(2))), tmp_path)
    assert sorted(first) == ["all/ours/0", "all/ours/1", "all/reference/0", "all/reference/1"]
    assert run(benchmark(tmp_path, grid(ARMS, seeds=range(3))), tmp_path) == ["all/ours/2", "all/reference/2"]
    (tmp_path / "cells/toy/reported/all/ours.1.json").write_text('{"fingerprint": "cut o')  # as a crash might leave it
    assert run(benchmark(tmp_path, grid(ARMS, seeds=range(3))), tmp_path) == ["all/ours/1"]
    assert run(benchmark(tmp_path, grid(ARMS, seeds=range(3))), tmp_path) == []


def test_a_result_names_the_processors_of_its_cells_not_the_one_that_gathers_them(tmp_path, monkeypatch):
    cells, here = grid(ARMS), machine()["processor"]
    run(benchmark(tmp_path, cells), tmp_path)
    monkeypatch.setattr("benchmarks.cells.machine", lambda: {"processor": "Z80"})
    assert run(benchmark(tmp_path, cells), tmp_path) == []
    assert result(tmp_path)["settings"]["machine"]["processor"] == here
    (tmp_path / "cells/toy/reported/all/ours.0.json").unlink()
    run(benchmark(tmp_path, cells), tmp_path)
    assert result(tmp_path)["settings"]["machine"]["processor"] == ", ".join(sorted([here, "Z80"]))


def test_changed_settings_make_cells_stale(tmp_path):
    cells = grid(ARMS)
    assert len(run(benchmark(tmp_path, cells), tmp_path)) == 2
    assert len(run(benchmark(tmp_path, cells, settings={"steps": 4}), tmp_path)) == 2
    assert len(run(benchmark(tmp_path, cells, code=["benchmarks/results.py"]), tmp_path)) == 2
    assert len(run(benchmark(tmp_path, cells, code=["benchmarks/results.py"]), tmp_path)) == 0


def test_code_digest_sees_statements_and_not_comments(tmp_path):
    source = tmp_path / "genrl" / "net.py"
    source.parent.mkdir()

    def digest_of(text: str) -> str:
        source.write_text(text)
        return code_digest(["genrl/**/*.py"], root=tmp_path)

    plain = digest_of("def width():\n    return 3\n")
    assert digest_of('"""A net."""\n\ndef width():  # channels\n    """Channels."""\n    return 3\n') == plain
    assert digest_of("def width():\n    return 4\n") != plain
    with pytest.raises(FileNotFoundError, match=r"moved\.py"):
        code_digest(["genrl/moved.py"], root=tmp_path)


def test_only_complete_comparisons_count(tmp_path):
    broken = [Cell("reference", "all", 1, {"fate": "fail"}), Cell("reference", "all", 2, {"fate": "nan"})]
    cells = [*grid(ARMS), Cell("ours", "all", 1), Cell("ours", "all", 2), *broken]
    assert main(benchmark(tmp_path, cells), ["--folder", str(tmp_path)]) == 1
    written = result(tmp_path)
    assert written["iqm.ours"] == 0.0
    assert written["iqm.reference"] == 10.0
    assert "low.ours" not in written  # one seed tells no spread
    assert (written["seeds"], written["cells.done"], written["cells.planned"]) == (1, 4, 6)
    assert written["settings"]["missing"] == [str(cell) for cell in broken]
    assert written["preliminary"] is True


def test_an_environment_without_a_complete_seed_is_missing(tmp_path):
    cells = [*grid(ARMS, ["umaze"], range(5)), Cell("ours", "medium"), Cell("reference", "medium", 0, {"fate": "fail"})]
    run(benchmark(tmp_path, cells), tmp_path)
    assert result(tmp_path)["seeds"] == 0
    assert result(tmp_path)["preliminary"] is True
    run(benchmark(tmp_path, cells[:-2]), tmp_path)
    assert result(tmp_path)["seeds"] == 5
    assert result(tmp_path)["preliminary"] is False


def test_nothing_is_written_before_a_comparison_is_complete(tmp_path):
    run(benchmark(tmp_path, grid(ARMS)), tmp_path)
    before = result(tmp_path)
    run(benchmark(tmp_path, grid(ARMS), settings={"steps": 5}), tmp_path, "--minutes", "0")
    assert result(tmp_path) == before


def test_minutes_leave_whole_seeds_and_respect_known_times(tmp_path):
    cells = [Cell(arm, "all", seed, {"fate": "slow"}) for arm in ARMS for seed in range(5)]
    begun = time.monotonic()
    done = run(benchmark(tmp_path, cells), tmp_path, "--minutes", str(2.3 / 60))
    assert time.monotonic() - begun < 2.3 + 1
    assert done[:2] == ["all/ours/0 fate=slow", "all/reference/0 fate=slow"]
    assert 2 <= len(done) <= 4
    assert result(tmp_path)["seeds"] == len(done) // 2
    assert run(benchmark(tmp_path, cells), tmp_path, "--minutes", str(0.4 / 60)) == []


def test_an_interrupt_keeps_what_is_done(tmp_path):
    cells = [
        *grid(ARMS),
        Cell("ours", "all", 1),
        Cell("reference", "all", 1, {"fate": "interrupt"}),
        Cell("ours", seed=2),
    ]
    assert run(benchmark(tmp_path, cells), tmp_path)[-1] == "all/reference/1 fate=interrupt"
    assert result(tmp_path)["cells.done"] == 3
    assert result(tmp_path)["settings"]["seeds"] == [0]


def test_jobs_compute_in_other_processes(tmp_path):
    run(benchmark(tmp_path, grid(ARMS, seeds=range(2))), tmp_path, "--jobs", "2")
    records = [json.loads(path.read_text()) for path in (tmp_path / "cells/toy/reported/all").glob("*.json")]
    assert len(records) == 4
    assert os.getpid() not in {record["values"]["pid"] for record in records}
    assert result(tmp_path)["iqm.reference"] == 10.5


def test_quick_prints_only_what_it_computed_and_writes_nothing(tmp_path, capsys):
    quick = benchmark(
        tmp_path, grid(ARMS, seeds=range(3)), compute=quick_compute, quick_cells=grid(["reference"], seeds=[2])
    )
    assert main(quick, ["--quick", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out == '{"iqm.reference": 3.0}\n'
    assert list(tmp_path.iterdir()) == []


def test_tuning_is_apart(tmp_path):
    tuning = [Cell("ours", "all", seed, {"lr": lr}) for lr in (0.1, 0.2, 0.3) for seed in (1000, 1001)]
    bench = benchmark(tmp_path, grid(ARMS, seeds=range(2)), tuning_cells=tuning)
    run(bench, tmp_path, "--tuning")
    assert not (tmp_path / "results").exists()
    table = json.loads((tmp_path / "tuning" / "toy.json").read_text())
    assert [row["settings"] for row in table["tried"]] == [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    assert table["tried"][0]["mean"]["score"] == 1000.5
    run(bench, tmp_path)
    assert result(tmp_path)["tried.ours"] == 3
    assert result(tmp_path)["tried.reference"] == 1


def test_seeds_are_guarded(tmp_path):
    with pytest.raises(ValueError, match="reported seeds are 0 to 9"):
        benchmark(tmp_path, grid(ARMS, seeds=[1000]))
    with pytest.raises(ValueError, match="tuning seeds start at 1000"):
        benchmark(tmp_path, grid(ARMS), tuning_cells=grid(ARMS, seeds=[3]))
    with pytest.raises(ValueError, match="twice"):
        benchmark(tmp_path, [*grid(ARMS), *grid(ARMS)])


def test_keys_are_dotted_words(tmp_path):
    cells = grid(ARMS)
    for key in ("slip0.3", "a..b", "a b", ""):
        with pytest.raises(ValueError, match="is not a key"):
            main(benchmark(tmp_path, cells, aggregate=lambda results, key=key: {key: 1.0}), ["--folder", str(tmp_path)])
    main(benchmark(tmp_path, cells, aggregate=lambda results: {"std_error.heun.16": 1.0}), ["--folder", str(tmp_path)])
    assert result(tmp_path)["std_error.heun.16"] == 1.0


def test_a_picture_of_the_results_is_written(tmp_path):
    from matplotlib.figure import Figure

    run(benchmark(tmp_path, grid(ARMS), picture=lambda results: Figure()), tmp_path)
    assert (tmp_path / "results" / "toy.png").read_bytes().startswith(b"\x89PNG")


def test_an_artefact_is_built_once_and_never_half(tmp_path):
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "data").write_text("x")
        if len(built) == 1:
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError):
        artefact(tmp_path, "data-0", build)
    assert not (tmp_path / "data-0").exists()
    assert artefact(tmp_path, "data-0", build) == artefact(tmp_path, "data-0", build)
    assert len(built) == 2


def test_cells_with_an_obstacle_are_left_out_and_the_reason_is_said_once(tmp_path, capsys):
    def obstacle(cell: Cell) -> str:
        return "no reference here" if cell.arm == "reference" else ""

    bench = benchmark(tmp_path, grid(ARMS, ARMS, seeds=range(2)), obstacle=obstacle)
    assert sorted(run(bench, tmp_path)) == [f"{place}/ours/{seed}" for place in ARMS for seed in range(2)]
    assert capsys.readouterr().err.count("no reference here") == 1
