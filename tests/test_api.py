"""The way in: ``import genrl`` is light, and every name it offers leads where type checkers are told."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import genrl


def announced() -> dict[str, str]:
    """name -> module:attribute, from the imports that type checkers see."""
    tree = ast.parse(Path(genrl.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    return {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_and_users_see_the_same_names():
    assert sorted(announced()) == sorted(genrl.__all__)
    assert set(genrl.__all__) <= set(dir(genrl))


@pytest.mark.parametrize("name", genrl.__all__)
def test_every_name_is_the_object_of_its_module(name):
    module, _, attribute = announced()[name].partition(":")
    assert getattr(genrl, name) is getattr(import_module(module), attribute)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'lod'.*load_dataset"):
        genrl.lod  # noqa: B018


def test_importing_genrl_loads_nothing_heavy():
    """A subprocess, since this one has loaded everything; modules are counted because time depends on the machine."""
    code = "import sys; before = set(sys.modules); import genrl; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "genrl" in loaded
    assert not {"torch", "numpy", "lightning", "gymnasium", "matplotlib"} & set(loaded)
    assert [name for name in loaded if name.startswith("genrl.")] == []


def test_the_package_runs_as_a_module():
    """``python -m genrl`` is the command line."""
    told = subprocess.run([sys.executable, "-m", "genrl", "--help"], capture_output=True, text=True, check=True)
    assert all(command in told.stdout for command in ("collect", "info", "fit", "synthesize", "evaluate", "verify"))
