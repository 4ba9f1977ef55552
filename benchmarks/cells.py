"""Cells of a benchmark and where they are kept: one JSON file each, valid for one fingerprint of settings and code."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

REPOSITORY = Path(__file__).resolve().parent.parent
_WORD = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Cell:
    """One unit of work: an arm in an environment with a seed, and whatever else tells it from other cells.

    ``settings`` holds primitives that differ between cells (a tuning value, a noise level); what all cells share
    belongs to the benchmark's own settings.
    """

    arm: str
    environment: str = "all"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in (self.arm, self.environment):
            if not _WORD.fullmatch(name):
                raise ValueError(f"{name!r} cannot name an arm or environment: letters, digits, '_' and '-' only.")

    @property
    def path(self) -> str:
        """Relative path of the cell's file: environment/arm.seed(.settings).json."""
        tail = f".{digest(self.settings)[:10]}" if self.settings else ""
        return f"{self.environment}/{self.arm}.{self.seed}{tail}.json"

    def __str__(self) -> str:
        extra = "".join(f" {key}={value}" for key, value in self.settings.items())
        return f"{self.environment}/{self.arm}/{self.seed}{extra}"


def grid(arms: Iterable[str], environments: Iterable[str] = ("all",), seeds: Iterable[int] = (0,)) -> list[Cell]:
    """Every arm in every environment with every seed, seed by seed: an early stop leaves complete comparisons."""
    arms, environments = list(arms), list(environments)
    return [Cell(arm, place, seed) for seed in seeds for place in environments for arm in arms]


def digest(value: Any) -> str:
    """SHA-256 of a JSON-like value, the same in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def code_digest(globs: Iterable[str], root: Path = REPOSITORY) -> str:
    """SHA-256 of all files that match ``globs`` below ``root``; comments, docstrings and layout of Python do not count.

    Raises:
        FileNotFoundError: a glob matches nothing, so that a moved file cannot pass as unchanged.
    """
    files: set[Path] = set()
    for pattern in globs:
        found = [path for path in root.glob(pattern) if path.is_file() and "__pycache__" not in path.parts]
        if not found:
            raise FileNotFoundError(f"No file matches {pattern!r} below {root}; mend the benchmark's list of code.")
        files.update(found)
    return digest({path.relative_to(root).as_posix(): _meaning(path) for path in sorted(files)})


def _meaning(path: Path) -> str:
    """What of a file can change a figure: Python without comments and docstrings, the digest of anything else."""
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree).replace(", type_params=[]", "")  # which Python 3.12 adds: the digest is any Python's


def write_json(path: Path, value: Any) -> None:
    """Write all of the file or nothing: to a temporary name, flushed to disk, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            json.dump(value, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            os.unlink(file.name)
            raise
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


@dataclass(frozen=True)
class CellStore:
    """The finished cells of a benchmark below ``folder``, valid for ``fingerprint`` (its settings and code)."""

    folder: Path
    fingerprint: str

    def read(self, cell: Cell) -> dict[str, float] | None:
        """The cell's values, or None where it is missing, stale or unreadable."""
        record = self._record(cell)
        fresh = record.get("fingerprint") == self.fingerprint and record.get("settings") == _plain(cell.settings)
        return record.get("values") if fresh else None

    def seconds(self, cell: Cell) -> float | None:
        """How long the cell took when it was last computed, stale or not."""
        return self._record(cell).get("seconds")

    def processor(self, cell: Cell) -> str:
        """What the cell was computed on; cells of an earlier form do not say."""
        return self._record(cell).get("processor", "processor not recorded")

    def carried(self, cell: Cell) -> bool:
        """Whether an earlier state of the code computed it, see ``benchmarks.carry``."""
        return "computed_by" in self._record(cell)

    def write(self, cell: Cell, values: Mapping[str, float], seconds: float) -> None:
        """Store the cell that was finished here."""
        record = {**_plain(asdict(cell)), "fingerprint": self.fingerprint, "seconds": seconds, "values": dict(values)}
        record["processor"] = machine()["processor"]
        write_json(self.folder / cell.path, record)

    def workspace(self) -> Path:
        """A folder that all cells of this fingerprint share (see ``artefact``); those of other fingerprints go."""
        mine = self.folder / ".shared" / self.fingerprint[:16]
        mine.mkdir(parents=True, exist_ok=True)
        for other in mine.parent.iterdir():
            if other != mine:
                shutil.rmtree(other)
        return mine

    def _record(self, cell: Cell) -> dict[str, Any]:
        try:
            return json.loads((self.folder / cell.path).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}


def artefact(workspace: Path, name: str, build: Callable[[Path], None]) -> Path:
    """A folder that several cells need (the data of a seed, its fitted model), built once by whichever comes first.

    ``build(folder)`` fills an empty folder; a build that is cut off leaves nothing behind that counts.
    """
    if not _WORD.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an artefact: letters, digits, '_' and '-' only.")
    target = workspace / name
    with open(workspace / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            staging = Path(tempfile.mkdtemp(dir=workspace, prefix=f".{name}."))
            try:
                build(staging)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
            staging.rename(target)
    return target


def _plain(value: Any) -> Any:
    """The value as it comes back from JSON (tuples as lists)."""
    return json.loads(json.dumps(value, default=str))
