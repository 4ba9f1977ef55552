"""Windows around transitions against a plain loop, and goals that stay in their episode."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.data.history import HistorySampler


def numbered(lengths: list[int]) -> Episodes:
    """Episodes whose observations and actions count rows from 1, over all episodes."""
    rows, total = sum(lengths) + len(lengths), sum(lengths)
    return from_arrays(
        np.arange(1, rows + 1, dtype=np.float32)[:, None],
        np.arange(1, total + 1, dtype=np.float32)[:, None],
        np.zeros(total),
        lengths=lengths,
    )


def sampler(episodes: Episodes, history: int, chunk: int, goal_length: int) -> HistorySampler:
    states, actions = episodes.observations[""], episodes.actions[""]
    return HistorySampler(states, actions, states, episodes, history, chunk, goal_length)


def plainly(lengths: list[int], history: int, chunk: int) -> list[tuple[list, list, list]]:
    """What the windows should hold, step by step."""
    expected, first_row, first_action = [], 1, 1
    for length in lengths:
        for t in range(length):
            states = [first_row + max(t - back, 0) for back in range(history - 1, -1, -1)]
            times = range(t - history + 1, t + chunk)
            mask = [0 <= time < length for time in times]
            actions = [first_action + time if there else 0 for time, there in zip(times, mask, strict=True)]
            expected.append((states, actions, mask))
        first_row, first_action = first_row + length + 1, first_action + length
    return expected


LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(LENGTHS, st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_windows_hold_what_a_loop_would_take(lengths, history, chunk, goal_length):
    windows = sampler(numbered(lengths), history, chunk, goal_length)
    assert len(windows) == sum(lengths)
    batch = windows.fetch(torch.arange(len(windows)), torch.Generator().manual_seed(0))
    for row, (states, actions, mask) in enumerate(plainly(lengths, history, chunk)):
        assert batch.states[row, :, 0].tolist() == states
        assert batch.actions[row, :, 0].tolist() == actions
        assert batch.mask[row].tolist() == mask


@settings(deadline=None, max_examples=40)
@given(LENGTHS, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**31))
def test_goals_are_consecutive_and_from_the_future_of_the_same_episode(lengths, history, goal_length, seed):
    episodes = numbered(lengths)
    windows = sampler(episodes, history, 2, goal_length)
    batch = windows.fetch(torch.arange(len(windows)), torch.Generator().manual_seed(seed))
    last = (episodes.observation_starts + episodes.lengths)[episodes.episode_of_transition] + 1
    goals, now = batch.goals[..., 0], batch.states[:, -1, 0]
    assert (goals > now[:, None]).all()
    assert (goals[:, -1] <= last).all()
    steps = goals.diff(dim=1)
    assert ((steps == 1) | ((steps == 0) & (goals[:, :-1] == now[:, None] + 1))).all()


def test_every_future_state_is_drawn_as_often():
    windows = sampler(numbered([5]), 1, 1, 1)
    goals = windows.fetch(torch.zeros(20_000, dtype=torch.int64), torch.Generator().manual_seed(0)).goals
    counts = goals.flatten().long().bincount(minlength=7)[2:]
    assert counts.sum() == 20_000
    torch.testing.assert_close(counts / 20_000, torch.full((5,), 0.2), atol=0.015, rtol=0)


def test_rows_that_do_not_fit_and_windows_without_anything_are_refused():
    episodes = numbered([3, 2])
    states, actions = episodes.observations[""], episodes.actions[""]
    with pytest.raises(AlignmentError, match="7 observations and 5 actions"):
        HistorySampler(states[:-1], actions, states, episodes)
    with pytest.raises(ConfigurationError, match="at least one state"):
        HistorySampler(states, actions, states, episodes, history=0)
    with pytest.raises(ConfigurationError, match=r"torch\.Generator"):
        HistorySampler(states, actions, states, episodes).fetch(torch.zeros(1, dtype=torch.int64))
