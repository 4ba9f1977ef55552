"""Who may import whom inside genrl: read off the source, imports inside functions included."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "genrl"
ALLOWED = {
    "data": set(),
    "gflownets": {"data", "nets", "diffusion", "training"},
    "nets": set(),
    "diffusion": {"data", "nets"},
    "dynamics": {"data", "diffusion", "nets"},
    "training": {"data", "dynamics", "diffusion", "nets"},
    "methods": {"data", "training", "gflownets", "dynamics", "diffusion", "nets"},
    "learners": {"data", "training", "dynamics", "diffusion", "nets"},
    "synthesis": {"data", "gflownets", "methods", "learners", "training", "dynamics", "diffusion", "nets"},
    "evaluation": {"data", "gflownets", "methods", "learners", "training", "dynamics", "diffusion", "nets"},
}
ALLOWED["demo"] = {"synthesis", "evaluation"} | ALLOWED["synthesis"]
ALLOWED["cli"] = {"demo"} | ALLOWED["demo"]
ALLOWED["__main__"] = {"cli"}
NETS_NEED = {"torch", "einops", "math", "collections", "__future__", "typing"}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, but for type checkers alone: modules, and names in them."""
    tree, names = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("package", sorted({part(name) for name in modules() if "." in name}))
def test_arrows(package: str):
    assert package in ALLOWED, f"genrl.{package} is new; say in ALLOWED what it may import"
    for module, path in modules().items():
        if module.startswith(f"genrl.{package}"):
            inner = {part(name) for name in imports(path) if name.startswith("genrl.")}
            assert inner <= ALLOWED[package] | {package}, f"{module} imports {inner - ALLOWED[package] - {package}}"
            assert package == "cli" or "genrl" not in imports(path), f"{module} imports the whole of genrl"


def test_no_circles():
    known = modules()
    graph = {module: imports(path) & set(known) - {module, "genrl"} for module, path in known.items()}
    graph.pop("genrl")  # its lazy names point at everything
    while graph:
        leaves = {module for module, needs in graph.items() if not needs & set(graph)}
        assert leaves, f"these import one another in a circle: {sorted(graph)}"
        graph = {module: needs for module, needs in graph.items() if module not in leaves}


def test_networks_need_torch_alone():
    for module, path in modules().items():
        if module.startswith("genrl.nets"):
            others = {name.split(".")[0] for name in imports(path)} - NETS_NEED - {"genrl"}
            assert not others, f"{module} imports {others}"


def test_importing_genrl_costs_nothing():
    """The names that genrl offers are imported for type checkers alone."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    eager = [node for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)]
    assert {name for node in eager for name in ([node.module] if isinstance(node, ast.ImportFrom) else ["?"])} <= {
        "importlib",
        "typing",
    }
