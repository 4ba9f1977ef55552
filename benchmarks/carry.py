"""Carry finished cells over a change of code that alters no figure: ``python -m benchmarks.carry BEFORE``.

A cell counts for one fingerprint of settings and code. A change that is known to alter no figure, because the same fits
and draws were compared before and after it to the bit, need not cost the days that the cells took: those that were up
to date in BEFORE, a checkout of the code as it was, are given the fingerprint of the code as it is. Each of them says
from then on which code computed it, and result files and tables count them as carried over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cells import REPOSITORY, write_json

CELLS = REPOSITORY / "benchmarks" / "cells"
FINGERPRINTS = """
import importlib, json, sys
modules = {name: importlib.import_module("benchmarks." + name) for name in sys.argv[1:]}
print(json.dumps({name: module.BENCHMARK.fingerprint() for name, module in modules.items()}))
"""


def main() -> int:
    """Carry the cells of all benchmarks and say how many."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.carry", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path, help="a checkout of the code as it was")
    names = sorted(path.name for path in CELLS.iterdir() if (REPOSITORY / "benchmarks" / f"{path.name}.py").exists())
    before, now = (fingerprints(tree, names) for tree in (parser.parse_args().before, REPOSITORY))
    for name in names:
        if count := carry(CELLS / name, before[name], now[name]):
            print(f"{name}: {count} cells")
    return 0


def fingerprints(tree: Path, names: list[str]) -> Mapping[str, str]:
    """Benchmark -> the fingerprint of its settings and code in the checkout ``tree``."""
    call = [sys.executable, "-c", FINGERPRINTS, *names]
    environment = os.environ | {"PYTHONPATH": str(tree.resolve())}
    told = subprocess.run(call, cwd=tree, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(told.splitlines()[-1])


def carry(folder: Path, before: str, now: str) -> int:
    """Give the cells below ``folder`` with the fingerprint ``before`` that of ``now``; how many there were."""
    count = 0
    for path in sorted(folder.glob("*/*/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if before != now and record.get("fingerprint") == before:
            write_json(path, {**record, "fingerprint": now, "computed_by": record.get("computed_by", before)})
            count += 1
    return count


if __name__ == "__main__":
    raise SystemExit(main())
