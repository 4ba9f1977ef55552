"""What the README says can be done: its Python runs, and the commands it lists are the commands there are."""

import re
import subprocess
import sys
from pathlib import Path

from genrl.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OF_BENCHMARKS = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
SHORT = {"maze, controller, 40,": "maze, controller, 8,", "real, 3000": "real, 4", "model, 160": "model, 4"}
SHORT |= {"length=200": "length=20", "[real, synthetic], 2000": "[real, synthetic], 4", "maze, 50": "maze, 2"}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [code for name, code in found if name == language]


def test_the_python_runs(tmp_path):
    """In a process and a folder of its own, with smaller numbers."""
    (code,) = blocks("python")
    for long, short in SHORT.items():
        assert code.count(long) == 1
        code = code.replace(long, short)
    environment = {"MINARI_DATASETS_PATH": str(tmp_path / "datasets"), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert re.search(r"success rate \[95 %\] +[01]", run.stdout)
    assert (tmp_path / "trajectories.png").stat().st_size > 10_000


def test_data_of_ones_own_come_from_arrays(tmp_path):
    (code,) = (block for block in blocks("py") if "from_arrays" in block)
    code = "import genrl\n" + code.replace("own, 200", "own, 4").replace(", 500)", ", 30)")
    environment = {"MINARI_DATASETS_PATH": str(tmp_path / "datasets"), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert "<html" in (tmp_path / "report.html").read_text()


def test_the_commands_are_those_there_are():
    (commands,) = (block for block in blocks("") if "genrl info" in block)
    assert set(re.findall(r"^genrl (\w+)", commands, re.MULTILINE)) == set(COMMANDS) - {"demo"}
    assert ".venv/bin/genrl demo" in README


def test_files_and_folders_they_name_exist():
    folders = "genrl|configs|data|notebooks|benchmarks|tests"
    for text, here in ((README, ROOT), (OF_BENCHMARKS, ROOT / "benchmarks")):
        named = re.findall(rf"[` (]((?:{folders})/[\w/.]*\w)(?![\w-])", text)  # not ids, such as genrl/cube-single-v0
        missing = [name for name in named if "NAME" not in name and not (ROOT / name).exists()]
        linked = re.findall(r"\]\((?!http)([^)#]+)", text)
        assert named
        assert linked
        assert missing == []
        assert [name for name in linked if not (here / name).exists()] == []


def test_every_benchmark_with_a_result_is_told_of_and_its_picture_shown():
    results = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    assert results
    for name in (path.stem for path in results):
        assert f"`{name}`" in README, name
        if name != "demo":
            assert f"### {name}\n" in OF_BENCHMARKS, name
        if (ROOT / "benchmarks" / "results" / f"{name}.png").exists():
            assert f"results/{name}.png)" in README + OF_BENCHMARKS, name
