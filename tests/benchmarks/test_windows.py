import numpy as np
import pytest
import torch

from benchmarks import windows
from benchmarks.cells import Cell
from benchmarks.results import Results
from genrl.data.samplers import WindowSampler


def test_both_ways_cut_the_same_windows():
    fields = windows.hopper_sized(0, episodes=3, steps=40)
    rows, dataset = windows.packed(fields), windows.ItemByItem(fields, windows.HORIZON)
    sampler = WindowSampler(rows, torch.full((3,), 41), windows.HORIZON)
    ours = sampler.fetch(torch.arange(len(sampler))).rows.unflatten(0, (3, -1))
    for (episode, start, _), item in zip(dataset.indices, map(dataset.__getitem__, range(len(dataset))), strict=True):
        window = ours[episode, start]
        observations = item.trajectories[:, windows.ACTION :]
        # each way normalises by its own statistics: compare up to a shift and a scale per column
        for mine, theirs in zip(window.T[: windows.OBSERVATION], observations.T, strict=True):
            assert np.corrcoef(mine, theirs)[0, 1] > 0.9999
        np.testing.assert_array_equal(item.conditions[0], observations[0])
    assert len(dataset) == 3 * 9


def test_the_better_loader_counts():
    seconds = {"gather": 1e-4, "copy": 5e-5, "items.workers0": 3e-3, "items.workers2": 2e-3}
    figures = windows.aggregate(Results([Cell("turns")], {Cell("turns"): seconds}))
    assert figures == pytest.approx(
        {
            "ratio": 20,
            "fraction_of_memcpy": 0.5,
            "windows_per_second": 2.56e6,
            "baseline_windows_per_second": 1.28e5,
        }
    )
