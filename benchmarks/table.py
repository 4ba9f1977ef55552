"""The READMEs' tables from the result files: ``python -m benchmarks.table`` rewrites them, ``--check`` only looks.

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table:NAME -->``, NAME a file in benchmarks/results. Its
shape follows from the keys: ``ratio`` is a row of its own, ``iqm.both`` a row ``both`` with a column ``iqm`` (its
``low.both`` and ``high.both`` become the interval behind it, as ``gain_low.both`` does for ``gain.both``), and
``overhead.heun.mlp1`` a row ``heun`` and a column ``mlp1`` of a table ``overhead``; the last word of a longer key is
the column, all between belong to the row.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.cells import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
READMES = [REPOSITORY / "README.md", REPOSITORY / "benchmarks" / "README.md"]
MARKED = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- /table:\2 -->)", re.DOTALL)
BOOKKEEPING = {"seeds", "cells", "tried", "preliminary", "settings"}
BOUNDS = ("low", "high")
EARLIER = "; **of earlier code**"
"""Stands below a table whose cells are out of date."""

Rows = dict[str, dict[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """1 if ``--check`` finds a stale table, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, default=READMES)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a table is stale")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    options = parser.parse_args(arguments)
    stale = [path for path in options.files if _renew(path, options.results, write=not options.check)]
    for path in stale:
        print(f"{path}: tables {'are stale, run python -m benchmarks.table' if options.check else 'renewed'}")
    return 1 if options.check and stale else 0


def _renew(path: Path, results: Path, write: bool) -> bool:
    """Whether the file's tables differ from the results; they are rewritten if ``write``."""
    old = path.read_text(encoding="utf-8")

    def fresh(match: re.Match[str]) -> str:
        file = results / f"{match[2]}.json"
        if not file.exists():
            print(f"{path}: no result file {file}; run python -m benchmarks.{match[2]}", file=sys.stderr)
            return match[0]
        result = json.loads(file.read_text(encoding="utf-8"))
        return f"{match[1]}{markdown(result, _fingerprint(match[2]))}\n{match[3]}"

    new = MARKED.sub(fresh, old)
    if write and new != old:
        path.write_text(new, encoding="utf-8")
    return new.replace(EARLIER, "") != old.replace(EARLIER, "")  # nobody who changes code must renew tables for that


def _fingerprint(name: str) -> str | None:
    """Of the code as it is; None where no benchmark has that name."""
    try:
        return import_module(f"benchmarks.{name}").BENCHMARK.fingerprint()
    except ModuleNotFoundError:
        return None


def markdown(result: Mapping[str, Any], code: str | None = None) -> str:
    """All tables of one result file, and a line on how it came about; ``code`` is the fingerprint of today's code."""
    figures = {key: value for key, value in result.items() if key.split(".")[0] not in BOOKKEEPING}
    single: Rows = {}
    pairs: Rows = {}
    matrices: dict[str, Rows] = {}
    for key in figures:
        first, *rest = key.split(".")
        if _is_bound(key, figures):
            continue
        shown = _with_interval(key, figures)
        match rest:
            case []:
                single[first] = {"value": shown}
            case [row]:
                pairs.setdefault(row, {})[first] = shown
            case [*rows, column]:
                matrices.setdefault(first, {}).setdefault(".".join(rows), {})[column] = shown
    tables = [_table("", pairs), *(_table(name, rows) for name, rows in matrices.items()), _table("", single)]
    earlier = code is not None and result["settings"].get("code", code) != code
    return "\n\n".join([*filter(None, tables), _provenance(result, EARLIER if earlier else "")])


def _table(corner: str, rows: Rows) -> str:
    """A Markdown table, numbers to the right; empty where there is no row."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [[corner, *columns], ["---", *["---:"] * len(columns)]]
    lines += [[name, *(row.get(column, "") for column in columns)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bounds(key: str, figures: Iterable[str]) -> list[str]:
    """The keys of the interval of ``key``: ``gain_low.both`` of ``gain.both``, plain ``low.both`` of ``iqm.both``."""
    first, *rest = key.split(".")
    for prefix in (f"{first}_", "") if first == "iqm" else (f"{first}_",):
        keys = [".".join([f"{prefix}{bound}", *rest]) for bound in BOUNDS]
        if any(bound in figures for bound in keys):
            return keys
    return []


def _is_bound(key: str, figures: Mapping[str, Any]) -> bool:
    return any(key in _bounds(other, figures) for other in figures if other != key)


def _with_interval(key: str, figures: Mapping[str, Any]) -> str:
    bounds = [_number(figures[bound]) if bound in figures else "" for bound in _bounds(key, figures)]
    return f"{_number(figures[key])} [{', '.join(bounds)}]" if bounds else _number(figures[key])


def _number(value: float) -> str:
    """Three significant digits; whole thousands with separators."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _provenance(result: Mapping[str, Any], more: str) -> str:
    """Seeds, completeness, settings tried and the machine, in one line."""
    settings = result["settings"]
    counted = settings.get("seeds_counted", {"": settings.get("seeds", [])})
    counts = sorted(map(len, counted.values())) or [0]
    most = f"{counts[-1]} seeds" if counts[-1] > 1 else "one run"
    parts = [most if counts[0] == counts[-1] else f"{counts[0]} to {most}"]
    odd = {place: seeds for place, seeds in counted.items() if seeds != list(range(len(seeds)))}
    parts += [f"{place} seeds {', '.join(map(str, seeds))}".strip() for place, seeds in odd.items()]
    if result["cells.done"] < result["cells.planned"]:
        parts.append(f"{result['cells.done']} of {result['cells.planned']} cells done")
    if result.get("cells.carried"):
        parts.append(f"{result['cells.carried']} cells carried over from earlier code")
    if result["preliminary"]:
        parts.append("**preliminary**")
    tried = {key.removeprefix("tried."): count for key, count in result.items() if key.startswith("tried.")}
    if any(count > 1 for count in tried.values()):
        parts.append("settings tried: " + ", ".join(f"{arm} {count}" for arm, count in tried.items()))
    machine = settings["machine"]
    parts.append(f"{machine['processor']}, {machine['threads']} thread{'s' if machine['threads'] > 1 else ''}")
    return f"<sub>{'; '.join(parts)}{more}</sub>"


if __name__ == "__main__":
    raise SystemExit(main())
