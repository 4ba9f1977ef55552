"""Noise is a pure function of seed, block, step and row."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genrl.diffusion.noise import BlockNoise

SHAPES = [(7, 2), (7,), (7, 32, 20)]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_drawn_before_does_not_matter(shape):
    like = torch.zeros(shape)
    noise = BlockNoise(3, 5)
    forward = [noise(step, like) for step in range(80)]
    backward = [noise(step, like) for step in reversed(range(80))][::-1]
    fresh = [BlockNoise(3, 5)(step, like) for step in (0, 1, 50, 79)]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert all(torch.equal(a, forward[step]) for a, step in zip(fresh, (0, 1, 50, 79), strict=True))
    assert len({tuple(z.flatten().tolist()) for z in forward}) == 80


@given(seed=st.integers(0, 2**63), block=st.integers(0, 2**40), step=st.integers(0, 10_000), rows=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_parts_of_a_batch_see_their_rows(seed, block, step, rows):
    noise = BlockNoise(seed, block)
    whole = noise.normal(step, (10, 4))
    assert torch.equal(noise.normal(step, (rows, 4)), whole[:rows])
    assert torch.equal(noise.part(rows)(step, torch.zeros(10 - rows, 4)), whole[rows:])
    assert torch.equal(noise.part(rows - 1).part(1).normal(step, (10 - rows, 4)), whole[rows:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_comes_in_the_asked_dtype(dtype):
    assert BlockNoise(0, 0)(1, torch.zeros(3, 2, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("shape", [(2000, 5), (20, 50, 20)])
def test_it_is_gaussian_and_independent_across_seed_block_and_step(shape):
    columns = [
        BlockNoise(seed, block).normal(step, shape).flatten().numpy()
        for seed, block, step in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (0, 0, 64))
    ]
    for column in columns:
        assert stats.kstest(column, stats.norm.cdf).pvalue > 1e-3
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 5 / np.sqrt(columns[0].size)


def test_the_global_generators_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    BlockNoise(0, 0).normal(3, (4, 4))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_an_empty_batch_gets_empty_noise():
    assert BlockNoise(0, 0)(0, torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("starts", [(0, 8, 16, 24), (24, 8, 8, 0), (16, 0, 24, 16)])
def test_parts_in_any_order_are_those_of_the_whole(dtype, starts):
    steps = (5, 1, 70, 64, 5)
    whole = [BlockNoise(3, 1).normal(step, (32, 5, 2), dtype) for step in steps]
    block = BlockNoise(3, 1)
    for start in starts:
        part = block.part(start)
        for step, expected in zip(steps, whole, strict=True):
            assert torch.equal(part.normal(step, (8, 5, 2), dtype), expected[start : start + 8])


def test_many_parts_draw_as_many_numbers_as_one():
    """Each goes on where the one before has stopped; to draw all rows before it anew would be quadratic."""

    def seconds(rows: int) -> float:
        block, began = BlockNoise(0, 0), time.process_time()
        for start in range(0, 1024, rows):
            part = block.part(start)
            for step in range(4):
                part.normal(step, (rows, 512))
        return time.process_time() - began

    assert seconds(8) < 10 * seconds(1024)  # 64 times as many numbers otherwise
