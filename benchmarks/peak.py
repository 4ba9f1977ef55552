"""Loads a data set in this fresh process and prints peak memory, bytes of the data and seconds as one JSON line.

    python -m benchmarks.peak ours DATASET_ID ROOT

Linux only: the kernel's high-water mark of resident memory is reset after the imports, so it counts the load alone.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py  # noqa: F401 - Minari imports it late; it belongs to the baseline
import minari
import numpy as np

from genrl.data.locate import DATA
from genrl.data.store import load


def ours(dataset_id: str, root: str) -> int:
    """Bytes of the tensors that ``load`` gives."""
    episodes = load(dataset_id, root)
    tensors = [*episodes.observations.values(), *episodes.actions.values(), *episodes.infos.values()]
    tensors += [episodes.rewards, episodes.terminations, episodes.truncations]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def reference(dataset_id: str, root: str) -> int:
    """Bytes of the arrays that Minari's episodes give, listed and then concatenated field by field."""
    episodes = list(minari.MinariDataset(Path(root) / dataset_id / DATA).iterate_episodes())
    names = ("observations", "actions", "rewards", "terminations", "truncations")
    arrays = [np.concatenate([getattr(episode, name) for episode in episodes]) for name in names]
    return sum(array.nbytes for array in arrays)


def resident(field: str) -> int:
    """Bytes of a field of /proc/self/status: VmRSS (now) or VmHWM (peak since the last reset)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def measure(loader: Callable[[str, str], int], dataset_id: str, root: str) -> dict[str, float]:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to VmRSS
    baseline, begun = resident("VmRSS"), time.perf_counter()
    held = loader(dataset_id, root)
    seconds = time.perf_counter() - begun
    return {"peak": resident("VmHWM") - baseline, "bytes": held, "seconds": seconds}


if __name__ == "__main__":
    arm, name, folder = sys.argv[1:]
    print(json.dumps(measure({"ours": ours, "reference": reference}[arm], name, folder)))
