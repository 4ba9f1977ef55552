"""Every notebook runs from top to bottom, in a short form, and what is committed is its output and nothing private."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@dataclass(frozen=True)
class Short:
    """A notebook in a short form: other constants, and what it shows and stores all the same."""

    constants: dict[str, int]
    pictures: int
    datasets: tuple[str, ...] = ()


SHORT = {
    "01_quickstart": Short(
        {"FRAGMENTS": 8, "FIT": 4, "EPISODES": 4, "LENGTH": 20, "LEARN": 4, "ATTEMPTS": 2},
        pictures=2,
        datasets=("quickstart/umaze-synthetic-v0",),
    ),
    "02_policy_guided_diffusion": Short(
        {"FRAGMENTS": 8, "FIT": 4, "CLONE": 4, "EPISODES": 4, "LENGTH": 14}
        | {"LEARN": 4, "EVERY": 2, "RENEW": 2, "ATTEMPTS": 2, "LOOK": 2, "LOOKED": 2},
        pictures=6,
    ),
    "03_play_policies": Short(
        {"PLAY": 6, "FIT": 2, "LEARN": 2} | {"SAMPLES": 2, "ATTEMPTS": 2, "LOOK": 2, "WHOLE": 4, "EPISODES": 2},
        pictures=7,
        datasets=("play/island-beso-v0",),
    ),
    "04_stitching": Short(
        {"TRAJECTORIES": 8, "FIT": 4, "BEHAVE": 4, "LEARN": 4}
        | {"ROLLOUTS": 4, "MARGIN": -1000, "BETTER": 4, "TRIES": 5, "ATTEMPTS": 2},
        pictures=5,
    ),
    "05_dichotomy_of_control": Short({"EPISODES": 40, "FIT": 2, "PULLS": 4}, pictures=2),
    "06_objects_by_outcome": Short({"FIT": 4, "JOURNEYS": 8, "PLAN": 4, "PLANS": 3}, pictures=3),
}
every_notebook = pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@every_notebook
def test_it_runs_in_a_short_form(path, tmp_path, monkeypatch):
    """With other constants after its first code cell, data sets in a folder of their own, and no file to begin with."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook, short = nbformat.read(path, as_version=4), SHORT[path.stem]
    constants = code_cells(notebook)[0]
    for name, value in short.constants.items():
        assert re.search(rf"\b{name}\b", constants.source)
        constants.source += f"\n{name} = {value}"
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    pictures = [
        output for cell in code_cells(notebook) for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == short.pictures
    for dataset in short.datasets:
        assert (tmp_path / "datasets" / dataset / "genrl.json").exists()


@every_notebook
def test_it_imports_genrl_and_defines_nothing(path):
    source = "\n".join(cell.source for cell in code_cells(nbformat.read(path, as_version=4)))
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.AsyncFunctionDef)
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert all(module.split(".")[0] == "genrl" for module in modules)


@every_notebook
def test_it_is_committed_with_its_output(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 500_000
    assert "/site-packages/" not in text
    assert not re.search(r"/(home|root|Users|tmp|work)/", text)
