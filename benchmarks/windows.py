"""Random windows from one million transitions: one gather a batch against a data set read item by item.

The reference works in the manner of Diffuser's SequenceDataset (Janner et al. 2022, arXiv:2205.09991): normalised
fields in padded arrays, numpy slices and a concatenation for every item, a dictionary of conditions, a shuffling
DataLoader; the better of 0 and 2 workers counts. All ways, and the plain copy of as many bytes, are timed in turns.
"""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.cells import Cell, grid
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.data.normalizers import ZScore
from genrl.data.samplers import WindowSampler

EPISODES, STEPS, OBSERVATION, ACTION = 1000, 1000, 11, 3  # Hopper
HORIZON, BATCH = 32, 256
COPY_BYTES = 256 * 2**20  # each of the two buffers of the plain copy: far larger than any cache
ROUNDS = 30
WORKERS = (0, 2)

Fields = Mapping[str, np.ndarray]
Item = namedtuple("Item", "trajectories conditions")


def hopper_sized(seed: int, episodes: int = EPISODES, steps: int = STEPS) -> Fields:
    """Random numbers in the shape of Hopper episodes: fields (episodes, steps (+ 1), columns), float32."""
    generator = np.random.default_rng(seed)
    return {
        "observations": generator.standard_normal((episodes, steps + 1, OBSERVATION), dtype=np.float32),
        "actions": generator.uniform(-1, 1, (episodes, steps, ACTION)).astype(np.float32),
        "rewards": generator.standard_normal((episodes, steps, 1), dtype=np.float32),
        "dones": np.zeros((episodes, steps, 1), np.float32),
    }


def packed(fields: Fields) -> Tensor:
    """(R, 16) normalised rows [observation, action, reward, done]; zeros beside each last observation."""
    columns = [np.pad(leaf, ((0, 0), (0, 1), (0, 0))) for key, leaf in fields.items() if key != "observations"]
    rows = torch.from_numpy(np.concatenate([fields["observations"], *columns], axis=-1)).flatten(0, 1)
    return ZScore(rows.shape[1]).fit(rows).normalize(rows)


class ItemByItem(Dataset):
    """Diffuser's way: every window is cut and concatenated by itself."""

    def __init__(self, fields: Fields, horizon: int) -> None:
        self.horizon = horizon
        self.observations = self._normed(fields["observations"][:, :-1])
        self.actions = self._normed(fields["actions"])
        episodes, steps = self.actions.shape[:2]
        self.indices = [(e, t, t + horizon) for e in range(episodes) for t in range(steps - horizon + 1)]

    @staticmethod
    def _normed(field: np.ndarray) -> np.ndarray:
        return (field - field.mean((0, 1))) / field.std((0, 1))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        episode, start, end = self.indices[index]
        observations = self.observations[episode, start:end]
        actions = self.actions[episode, start:end]
        conditions = {0: observations[0]}
        return Item(np.concatenate([actions, observations], axis=-1), conditions)


def gathers(rows: Tensor, steps: int, seed: int) -> Iterator[Any]:
    """Endless batches of ours, the random choice of windows included."""
    sampler = WindowSampler(rows, torch.full((len(rows) // (steps + 1),), steps + 1), HORIZON)
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield sampler.fetch(torch.randint(len(sampler), (BATCH,), generator=generator))


def loads(dataset: Dataset, workers: int, seed: int) -> Iterator[Any]:
    """Endless batches of a DataLoader."""
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, drop_last=True, generator=generator)
    while True:
        yield from loader


def copies(size: int) -> Iterator[None]:
    """Endless copies of ``size`` bytes, from place to place in buffers that no cache holds."""
    source, target = torch.ones(COPY_BYTES, dtype=torch.uint8), torch.zeros(COPY_BYTES, dtype=torch.uint8)
    while True:
        for start in range(0, COPY_BYTES - size, size):
            target[start : start + size].copy_(source[start : start + size])
            yield


def times(batches: Iterator[Any], count: int) -> list[float]:
    """Seconds that each of ``count`` batches took."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        next(batches)
        taken.append(time.perf_counter() - begun)
    return taken


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Seconds for one batch of each way, timed in turns."""
    fields = hopper_sized(cell.seed)
    rows, dataset = packed(fields), ItemByItem(fields, HORIZON)
    size = BATCH * HORIZON * rows.shape[1] * rows.element_size()
    ways: dict[str, tuple[Iterator[Any], int, int]] = {  # batches, how many to warm up with, how many to time
        "gather": (gathers(rows, STEPS, cell.seed), 20, 200),
        "copy": (copies(size), 20, 200),
        **{f"items.workers{n}": (loads(dataset, n, cell.seed), 8, 20) for n in WORKERS},
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (batches, warm, count) in ways.items():
            times(batches, warm)
            one_turn = times(batches, count)
            taken[name] += [mean(one_turn)] if name == "items.workers2" else one_turn  # workers deliver in bursts
    return {name: median(seconds) for name, seconds in taken.items()}


def aggregate(results: Results) -> dict[str, float]:
    """Speeds and ratios, medians over the runs."""

    def seconds(name: str) -> float:
        return float(np.median(results.values("turns", name)))

    reference = min(seconds(f"items.workers{n}") for n in WORKERS)
    return {
        "ratio": reference / seconds("gather"),
        "fraction_of_memcpy": seconds("copy") / seconds("gather"),
        "windows_per_second": BATCH / seconds("gather"),
        "baseline_windows_per_second": BATCH / reference,
    }


BENCHMARK = Benchmark(
    name="windows",
    cells=grid(["turns"], seeds=range(5)),
    compute=compute,
    aggregate=aggregate,
    quick_cells=grid(["turns"]),
    code=["benchmarks/windows.py", "genrl/data/samplers.py", "genrl/data/batch.py"],
    settings={
        "transitions": EPISODES * STEPS,
        "columns": OBSERVATION + ACTION + 2,
        "baseline_columns": OBSERVATION + ACTION,  # as in Diffuser, without reward and done
        "horizon": HORIZON,
        "batch": BATCH,
        "workers": list(WORKERS),
        "rounds": ROUNDS,
        "copy_buffer_bytes": COPY_BYTES,
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
