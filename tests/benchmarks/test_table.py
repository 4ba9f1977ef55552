"""The README's tables: made from result files, found stale, and true to the runner's own output."""

import json

import pytest

from benchmarks.cells import grid
from benchmarks.runner import Benchmark
from benchmarks.runner import main as run
from benchmarks.table import main, markdown

RESULT = {
    "iqm.real": 0.42, "low.real": 0.35, "high.real": 0.5, "iqm.both": 0.731, "low.both": 0.6, "high.both": 1.0,
    "gain.both": 0.25, "gain_low.both": 0.125, "gain_high.both": 0.375, "copying": 0.5125,
    "overhead.heun.mlp1": 1.15, "overhead.heun.unet256": 1.02, "overhead.euler.mlp1": 1.1,
    "windows_per_s": 2612345.6,
    "seeds": 3, "cells.done": 6, "cells.planned": 8, "tried.real": 1, "tried.both": 4, "preliminary": True,
    "settings": {"seeds_counted": {"a": [0, 1, 2], "b": [0, 1]}, "machine": {"processor": "Z80", "threads": 1}},
}  # fmt: skip

EXPECTED = """\
|  | iqm | gain |
| --- | ---: | ---: |
| real | 0.42 [0.35, 0.5] |  |
| both | 0.731 [0.6, 1] | 0.25 [0.125, 0.375] |

| overhead | mlp1 | unet256 |
| --- | ---: | ---: |
| heun | 1.15 | 1.02 |
| euler | 1.1 |  |

|  | value |
| --- | ---: |
| copying | 0.512 |
| windows_per_s | 2,612,346 |

<sub>2 to 3 seeds; 6 of 8 cells done; **preliminary**; settings tried: real 1, both 4; Z80, 1 thread</sub>"""


@pytest.fixture
def readme(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "demo.json").write_text(json.dumps(RESULT))
    path = tmp_path / "README.md"
    path.write_text(
        "# genrl\n\n<!-- table:demo -->\nold\n<!-- /table:demo -->\nbetween\n"
        "<!-- table:absent -->\nkept\n<!-- /table:absent -->\nend\n"
    )
    return path


def test_tables_follow_the_keys():
    assert markdown(RESULT) == EXPECTED


def test_a_table_of_earlier_code_and_odd_seeds_say_so():
    settings = {**RESULT["settings"], "code": "a", "seeds_counted": {"hopper": [2, 3]}}
    result = {**RESULT, "settings": settings, "cells.carried": 4}
    assert "hopper seeds 2, 3; 6 of 8 cells done; 4 cells carried over from earlier code; " in markdown(result)
    assert "earlier code**" not in markdown(result, "a")
    assert markdown(result, "b").endswith("1 thread; **of earlier code**</sub>")


def test_only_what_stands_between_markers_changes(readme, capsys):
    arguments = [str(readme), "--results", str(readme.parent / "results")]
    assert main([*arguments, "--check"]) == 1
    assert "old" in readme.read_text()
    assert main(arguments) == 0
    assert readme.read_text() == (
        f"# genrl\n\n<!-- table:demo -->\n{EXPECTED}\n<!-- /table:demo -->\nbetween\n"
        "<!-- table:absent -->\nkept\n<!-- /table:absent -->\nend\n"
    )
    assert main([*arguments, "--check"]) == 0
    assert "no result file" in capsys.readouterr().err
    (readme.parent / "results" / "demo.json").write_text(json.dumps(RESULT | {"copying": 0.6}))
    assert main([*arguments, "--check"]) == 1


def compute(cell, workspace):
    return {"score": float(cell.seed)}


def aggregate(results):
    return {"iqm.ours": results.summary("ours", "score").value}


def test_a_real_result_file_makes_a_table(tmp_path):
    cells = grid(["ours"], seeds=range(5))
    benchmark = Benchmark("toy", cells, compute, aggregate, cells[:1], ["benchmarks/cells.py"])
    run(benchmark, ["--folder", str(tmp_path)])
    text = markdown(json.loads((tmp_path / "results" / "toy.json").read_text()))
    assert "| ours | 2 |" in text
    assert "<sub>5 seeds; " in text
