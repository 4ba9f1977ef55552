"""Runs a benchmark cell by cell: stores what is done, computes only what is missing or stale, stops in time.

A benchmark is a module that ends in::

    BENCHMARK = Benchmark(
        name="windows",
        cells=grid(arms=["ours", "reference"], seeds=range(5)),
        compute=compute,          # (cell, workspace) -> {"windows_per_s": 2.4e6}
        aggregate=aggregate,      # (results) -> {"ratio": 24.1}; of complete comparisons only
        quick_cells=grid(arms=["ours", "reference"]),
        code=["benchmarks/windows.py", "genrl/data/samplers.py"],
        settings={"horizon": 32},
    )

    if __name__ == "__main__":
        raise SystemExit(main(BENCHMARK))
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from benchmarks.cells import REPOSITORY, Cell, CellStore, code_digest, digest, write_json
from benchmarks.machine import machine
from benchmarks.results import Results

REPORTED_SEEDS = range(10)
FIRST_TUNING_SEED = 1000
PRELIMINARY_BELOW = 5
QUICK_SECONDS = 60.0

_DOTTED = re.compile(r"\w[\w-]*(\.\w[\w-]*)*")
_DECIMAL = re.compile(r"\d\.\d")

Values = Mapping[str, float]


@dataclass(frozen=True)
class Benchmark:
    """What is measured and how.

    Attributes:
        name: names the result files.
        cells: what is reported, seeds 0 to 9. Any order: they are computed seed by seed.
        compute: ``(cell, workspace) -> values``, a module-level function, deterministic given the cell but for times.
            ``workspace`` is a folder that all cells of this code and settings share, see ``cells.artefact``.
        aggregate: ``(results) -> values``: the flat figures of the result file, from complete comparisons only. It
            meets ``results`` with fewer arms than planned at ``--quick`` and must then give the keys it can.
        quick_cells: a few real cells that end within 60 seconds together.
        code: globs from the repository's root: the files whose change makes a stored cell stale (comments and
            docstrings do not count). Where cells are dear, keep ``compute`` in a file apart from ``aggregate``.
        settings: what all cells share; written to the result file; a change makes stored cells stale.
        picture: draws ``results`` (optional).
        tuning_cells: seeds from 1000, what ``--tuning`` computes; their settings are the ones tried.
        tried: number of settings tried per arm; from ``tuning_cells`` where not given, else one.
        statistical: False where seeds mean nothing (a deviation from a closed form); never preliminary then.
        obstacle: why a cell cannot be computed here and now (what it is held against is not installed), "" where it
            can: it is left out and the reason is said.
    """

    name: str
    cells: Sequence[Cell]
    compute: Callable[[Cell, Path], Values]
    aggregate: Callable[[Results], Values]
    quick_cells: Sequence[Cell]
    code: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    picture: Callable[[Results], Figure] | None = None
    tuning_cells: Sequence[Cell] = ()
    tried: Mapping[str, int] = field(default_factory=dict)
    statistical: bool = True
    obstacle: Callable[[Cell], str] = lambda cell: ""

    def __post_init__(self) -> None:
        for cell in (*self.cells, *self.quick_cells):
            if cell.seed not in REPORTED_SEEDS:
                raise ValueError(f"{cell}: reported seeds are 0 to {REPORTED_SEEDS[-1]}.")
        for planned in (self.cells, self.quick_cells, self.tuning_cells):
            if len({cell.path for cell in planned}) < len(planned):
                raise ValueError(f"{self.name} plans the same cell twice.")
        for cell in self.tuning_cells:
            if cell.seed < FIRST_TUNING_SEED:
                raise ValueError(f"{cell}: tuning seeds start at {FIRST_TUNING_SEED}, apart from the reported ones.")

    def fingerprint(self) -> str:
        """Digest of settings and code that stored cells must carry to count."""
        return digest([self.settings, code_digest(self.code)])

    def tried_per_arm(self) -> dict[str, int]:
        """How many settings each reported arm was given."""
        arms = dict.fromkeys(cell.arm for cell in self.cells)
        tuned = {arm: {digest(cell.settings) for cell in self.tuning_cells if cell.arm == arm} for arm in arms}
        return {arm: self.tried.get(arm, len(tuned[arm]) or 1) for arm in arms}


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """The command line of a benchmark; 0 if every cell asked for was done or left for lack of time."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark.name}")
    parser.add_argument("--quick", action="store_true", help="a few real cells within a minute, printed as JSON")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no cell that would end later")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--only", default="", help="compute no cells but those with this in their name")
    parser.add_argument("--tuning", action="store_true", help="the tuning cells (seeds from 1000), written apart")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "benchmarks", help="holds cells/ and results/")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.quick:
        return _quick(benchmark)
    cells = benchmark.tuning_cells if options.tuning else benchmark.cells
    part = f"{benchmark.name}/{'tuning' if options.tuning else 'reported'}"
    store = CellStore(options.folder / "cells" / part, benchmark.fingerprint())
    chosen = [cell for cell in cells if options.only in str(cell)]
    failed = compute_missing(benchmark, chosen, store, options.minutes, options.jobs)
    results = _finished(cells, store)
    if options.tuning:
        write_json(options.folder / "tuning" / f"{benchmark.name}.json", tuning_table(results))
    else:
        _write_results(benchmark, results, options.folder / "results")
    return 1 if failed else 0


def compute_missing(benchmark: Benchmark, cells: Sequence[Cell], store: CellStore, minutes: float, jobs: int) -> int:
    """Compute the cells that are missing or stale, seed by seed, and store each when done; the number that failed.

    An interrupt (Ctrl-C or SIGTERM) ends the run and keeps what is done.
    """
    end = time.monotonic() + 60 * minutes
    pending = sorted((cell for cell in cells if store.read(cell) is None), key=lambda cell: cell.seed)
    _say(f"{benchmark.name}: {len(cells) - len(pending)} of {len(cells)} cells are done, {len(pending)} to compute")
    pending = _possible(benchmark, pending)
    failed = 0
    if not pending or minutes <= 0:
        return failed
    running: dict[Future, Cell] = {}
    try:
        with _interrupts(), _executor(jobs) as submit:
            while True:
                while len(running) < jobs and (cell := _next_in_time(pending, cells, store, end)):
                    pending.remove(cell)
                    running[submit(partial(_timed, benchmark.compute, cell, store.workspace()))] = cell
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    failed += _keep(future, running.pop(future), store, len(pending) + len(running))
    except KeyboardInterrupt:
        _say("interrupted; what is done is kept")
    except BrokenExecutor as error:
        _say(f"a process died ({error}); what is done is kept")
        failed += len(running)
    if left := len(pending) + len(running):
        _say(f"{left} cells are left for a later run")
    return failed


def tuning_table(results: Results) -> dict[str, Any]:
    """For every arm, environment and setting tried: the mean of each value over the tuning seeds done."""
    rows: dict[str, dict[str, Any]] = {}
    for cell, values in results.done.items():
        key = digest([cell.arm, cell.environment, cell.settings])
        row = rows.setdefault(
            key, {"arm": cell.arm, "environment": cell.environment, "settings": dict(cell.settings), "runs": []}
        )
        row["runs"].append(values)
        row.setdefault("seeds", []).append(cell.seed)
    for row in rows.values():
        runs = row.pop("runs")
        told = [key for key in runs[0] if all(key in run for run in runs)]
        row["mean"] = {key: sum(run[key] for run in runs) / len(runs) for key in told}
    return {"tried": list(rows.values()), "missing": [str(cell) for cell in results.missing]}


def result_file(benchmark: Benchmark, results: Results) -> dict[str, Any]:
    """What the result file holds: the aggregate's figures, how complete it is, and ``settings``."""
    seeds = sorted({seed for counted in results.complete.values() for seed in counted})
    fewest = min((len(counted) for counted in results.complete.values()), default=0)
    planned = {cell.environment for cell in benchmark.cells}
    everywhere = planned == set(results.complete)
    figures = dict(_finite(benchmark.aggregate(results)))
    return {
        **figures,
        "seeds": fewest if everywhere else 0,
        "cells.done": len(results.done),
        "cells.planned": len(results.planned),
        "cells.carried": results.carried,
        **{f"tried.{arm}": count for arm, count in benchmark.tried_per_arm().items()},
        "preliminary": benchmark.statistical and (fewest < PRELIMINARY_BELOW or not everywhere),
        "settings": {
            **benchmark.settings,
            "seeds": seeds,
            "seeds_counted": {place or "": counted for place, counted in results.complete.items()},
            "missing": [str(cell) for cell in results.missing],
            "machine": machine() | {"processor": ", ".join(results.processors)},
            "code": benchmark.fingerprint(),
        },
    }


def _quick(benchmark: Benchmark) -> int:
    """Compute the quick cells afresh, here and now, and print the keys they give as the last line."""
    begun = time.monotonic()
    cells = _possible(benchmark, benchmark.quick_cells)
    with tempfile.TemporaryDirectory() as workspace, contextlib.redirect_stdout(sys.stderr):
        done = {cell: benchmark.compute(cell, Path(workspace)) for cell in cells}
        results = Results(benchmark.quick_cells, done)
        figures = dict(_finite(benchmark.aggregate(results))) if results.complete else {}
    if (seconds := time.monotonic() - begun) > QUICK_SECONDS:
        _say(f"the quick cells took {seconds:.0f} s, more than {QUICK_SECONDS:.0f} s")
    print(json.dumps(figures))
    return 0


def _possible(benchmark: Benchmark, cells: Sequence[Cell]) -> list[Cell]:
    """The cells without an obstacle; the obstacles of the others are said, each once."""
    obstacles = {cell: benchmark.obstacle(cell) for cell in cells}
    for reason in dict.fromkeys(filter(None, obstacles.values())):
        _say(reason)
    return [cell for cell in cells if not obstacles[cell]]


def _write_results(benchmark: Benchmark, results: Results, folder: Path) -> None:
    """Result file and picture; nothing is overwritten while no comparison is complete."""
    if not results.complete:
        _say("no comparison is complete yet: the result file is left as it is")
        return
    write_json(folder / f"{benchmark.name}.json", result_file(benchmark, results))
    if benchmark.picture is not None:
        benchmark.picture(results).savefig(folder / f"{benchmark.name}.png", dpi=130, bbox_inches="tight")
    _say(f"wrote {folder / benchmark.name}.json; {len(results.missing)} of {len(results.planned)} cells are missing")


def _finished(cells: Sequence[Cell], store: CellStore) -> Results:
    done = {cell: values for cell in cells if (values := store.read(cell)) is not None}
    return Results(cells, done, sorted({store.processor(cell) for cell in done}), sum(map(store.carried, done)))


def _finite(figures: Values) -> Iterator[tuple[str, float]]:
    """Figures as JSON numbers; one that is undefined (an interval of a single run) is left out."""
    for key, value in figures.items():
        if not _DOTTED.fullmatch(key) or _DECIMAL.search(key):
            raise ValueError(f"{key!r} is not a key: dotted words of letters, digits, '_' and '-', without decimals.")
        if math.isfinite(value):
            yield key, value if isinstance(value, int) else float(value)


def _next_in_time(pending: Sequence[Cell], cells: Sequence[Cell], store: CellStore, end: float) -> Cell | None:
    """The first pending cell that would end in time."""
    left = end - time.monotonic()
    return next((cell for cell in pending if left > 0 and _slowest(cell, cells, store) <= left), None)


def _slowest(cell: Cell, cells: Sequence[Cell], store: CellStore) -> float:
    """Seconds that the slowest took of the cells like it but for the seed, else of its arm, else of all; else 0."""
    alike = [other for other in cells if replace(other, seed=cell.seed) == cell]
    for kind in (alike, [other for other in cells if other.arm == cell.arm], cells):
        if seconds := [taken for other in kind if (taken := store.seconds(other)) is not None]:
            return max(seconds)
    return 0.0


def _timed(compute: Callable[[Cell, Path], Values], cell: Cell, workspace: Path) -> tuple[dict[str, float], float]:
    begun = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        values = {key: float(value) for key, value in compute(cell, workspace).items()}
    if undefined := [key for key, value in values.items() if not math.isfinite(value)]:
        raise ValueError(f"not a finite number: {', '.join(undefined)}")
    return values, time.monotonic() - begun


def _keep(future: Future, cell: Cell, store: CellStore, remaining: int) -> int:
    """Store a finished cell, or say why it failed; 1 if it did."""
    if (error := future.exception()) is not None:
        _say(f"{cell} failed: {type(error).__name__}: {error}")
        return 1
    values, seconds = future.result()
    store.write(cell, values, seconds)
    _say(f"{cell}: {seconds:.1f} s, {remaining} to go")
    return 0


@contextlib.contextmanager
def _executor(jobs: int) -> Iterator[Callable[[Callable], Future]]:
    """A function that starts work: in this process for one job, else in fresh processes of one thread each."""
    if jobs <= 1:
        yield _here
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        try:
            yield pool.submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():  # do not wait for cells that would take minutes
                child.terminate()
            raise


def _here(work: Callable) -> Future:
    future: Future = Future()
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
    return future


def _one_thread() -> None:
    """In a worker: one thread, and interrupts are the parent's business."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """SIGTERM means the same as Ctrl-C while cells are computed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
