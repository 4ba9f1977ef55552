import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError, EmptyDatasetError
from genrl.data.samplers import (
    GoalSampler,
    TransitionSampler,
    WindowSampler,
    geometric_future,
    uniform_future,
)

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=8)


def tagged_rows(lengths):
    """Rows that say which episode and which step they are: (R, 2)."""
    return torch.tensor([[e, t] for e, length in enumerate(lengths) for t in range(length)], dtype=torch.float32)


def everything(sampler, generator=None):
    return sampler.fetch(torch.arange(len(sampler)), generator)


def tagged_episodes(lengths):
    """Episodes of T_e transitions whose observations are (episode, step) and whose rewards count up."""
    total = sum(lengths)
    last = torch.tensor(lengths).cumsum(0) - 1
    terminations, truncations = torch.zeros(total, dtype=torch.bool), torch.zeros(total, dtype=torch.bool)
    terminations[last[::2]], truncations[last[1::2]] = True, True
    box = gym.spaces.Box(-np.inf, np.inf, (2,))
    return Episodes(
        box,
        gym.spaces.Box(-np.inf, np.inf, (1,)),
        {"": tagged_rows([length + 1 for length in lengths])},
        {"": torch.arange(total)[:, None].float()},
        torch.arange(total, dtype=torch.float64),
        terminations,
        truncations,
        torch.tensor(lengths),
    )


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 6), st.integers(1, 4))
def test_full_windows(lengths, horizon, stride):
    if max(lengths) < horizon:
        with pytest.raises(EmptyDatasetError, match=str(max(lengths))):
            WindowSampler(tagged_rows(lengths), torch.tensor(lengths), horizon, stride)
        return
    batch = everything(WindowSampler(tagged_rows(lengths), torch.tensor(lengths), horizon, stride))
    found = {(int(w[0, 0]), int(w[0, 1])) for w in batch.rows}
    expected = set()  # (episode, first step)
    for e, length in enumerate(lengths):
        if length >= horizon:
            expected |= {(e, t) for t in range(0, length - horizon + 1, stride)} | {(e, length - horizon)}
    assert found == expected
    assert len(batch.rows) == len(expected)
    assert (batch.rows[:, :, 0] == batch.rows[:, :1, 0]).all()  # one episode
    assert (batch.rows[:, :, 1].diff(dim=1) == 1).all()  # one step after the other
    assert batch.mask.all()
    assert batch.mask.shape == batch.rows.shape[:2]


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(2, 15), st.integers(1, 4))
def test_padded_windows(lengths, horizon, stride):
    if max(lengths) < 2:
        with pytest.raises(EmptyDatasetError):
            WindowSampler(tagged_rows(lengths), torch.tensor(lengths), horizon, stride, pad=True)
        return
    batch = everything(WindowSampler(tagged_rows(lengths), torch.tensor(lengths), horizon, stride, pad=True))
    expected = [(e, t) for e, length in enumerate(lengths) for t in range(0, length - 1, stride)]
    assert [(int(w[0, 0]), int(w[0, 1])) for w in batch.rows] == expected
    for (e, t), window, mask in zip(expected, batch.rows.tolist(), batch.mask.tolist(), strict=True):
        steps = [min(t + k, lengths[e] - 1) for k in range(horizon)]
        assert window == [[e, step] for step in steps]
        assert mask == [t + k < lengths[e] for k in range(horizon)]


def test_windows_of_a_slice_of_a_larger_tensor():
    rows = tagged_rows([5, 5, 5])
    batch = WindowSampler(rows[5:], torch.tensor([5, 5]), 3).fetch(torch.tensor([0, 5]))
    assert torch.equal(batch.rows, torch.stack([rows[5:8], rows[12:15]]))


def test_fetched_windows_are_copies():
    rows = tagged_rows([5])
    sampler = WindowSampler(rows, torch.tensor([5]), 3)
    sampler.fetch(torch.tensor([0])).rows.zero_()
    assert torch.equal(rows, tagged_rows([5]))


@settings(max_examples=100, deadline=None)
@given(LENGTHS)
def test_transitions(lengths):
    episodes = tagged_episodes(lengths)
    batch = everything(TransitionSampler(episodes.observations[""], episodes.actions[""], episodes))
    expected = [(e, t) for e, length in enumerate(lengths) for t in range(length)]
    assert batch.observations.tolist() == [[e, t] for e, t in expected]
    assert batch.next_observations.tolist() == [[e, t + 1] for e, t in expected]
    assert batch.actions.squeeze(-1).tolist() == batch.rewards.tolist() == list(range(len(expected)))
    assert batch.rewards.dtype == batch.terminated.dtype == torch.float32
    assert batch.terminated.tolist() == [float(t == lengths[e] - 1 and e % 2 == 0) for e, t in expected]


def test_transitions_agree_with_the_episodes_themselves():
    episodes = tagged_episodes([3, 4])
    sampler = TransitionSampler(episodes.observations[""], episodes.actions[""], episodes, rewards=episodes.rewards * 2)
    batch = sampler.fetch(torch.tensor([6, 2, 2]))
    second, first = episodes[1], episodes[0]
    assert torch.equal(batch.next_observations[0], second.observations[""][-1])
    assert torch.equal(batch.observations[1], first.observations[""][-2])
    assert batch.rewards.tolist() == [12, 4, 4]


FUTURES = st.one_of(st.just(uniform_future), st.floats(0.01, 0.999).map(geometric_future))


@settings(max_examples=100, deadline=None)
@given(LENGTHS, FUTURES, st.integers(0, 1000))
def test_goals_of_transitions_lie_in_their_future(lengths, future, seed):
    episodes = tagged_episodes(lengths)
    base = TransitionSampler(episodes.observations[""], episodes.actions[""], episodes)
    sampler = GoalSampler(base, episodes.observations[""], future)
    batch = everything(sampler, torch.Generator().manual_seed(seed))
    assert torch.equal(batch.goals[:, 0], batch.observations[:, 0])
    assert (batch.goals[:, 1] > batch.observations[:, 1]).all()
    assert torch.equal(batch.next_observations, everything(base).next_observations)


@settings(max_examples=100, deadline=None)
@given(LENGTHS.filter(lambda lengths: max(lengths) > 1), FUTURES, st.integers(2, 15))
def test_goals_of_windows_lie_in_their_future(lengths, future, horizon):
    rows = tagged_rows(lengths)
    sampler = GoalSampler(WindowSampler(rows, torch.tensor(lengths), horizon, pad=True), rows, future)
    batch = everything(sampler, torch.Generator().manual_seed(0))
    assert torch.equal(batch.goals[:, 0], batch.rows[:, 0, 0])
    assert (batch.goals[:, 1] >= batch.rows[:, -1, 1]).all()
    assert len(batch.mask) == len(sampler)


def test_future_steps_have_the_stated_distributions():
    draws = 100_000
    first, last = torch.full((draws,), 10), torch.full((draws,), 29)
    generator = torch.Generator().manual_seed(0)
    uniform = (uniform_future(first, last, generator) - 10).bincount(minlength=20)
    assert stats.chisquare(uniform.numpy()).pvalue > 1e-3
    geometric = (geometric_future(0.8)(first, last, generator) - 10).bincount(minlength=20)
    weights = 0.8 ** np.arange(20)
    assert stats.chisquare(geometric.numpy(), draws * weights / weights.sum()).pvalue > 1e-3


def test_goals_follow_the_generator():
    rows = tagged_rows([50, 50])
    sampler = GoalSampler(WindowSampler(rows, torch.tensor([50, 50]), 4), rows)
    index = torch.arange(40)
    one, same, other = (sampler.fetch(index, torch.Generator().manual_seed(s)).goals for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    with pytest.raises(ConfigurationError, match="Generator"):
        sampler.fetch(index)


def test_a_batch_moves_as_a_whole():
    rows = tagged_rows([4])
    batch = WindowSampler(rows, torch.tensor([4]), 2).fetch(torch.tensor([0, 1])).to("meta")
    assert batch.rows.device.type == batch.mask.device.type == "meta"


def test_bad_input_is_named():
    rows, lengths = tagged_rows([4, 3]), torch.tensor([4, 3])
    with pytest.raises(AlignmentError, match=r"8.*7"):
        WindowSampler(rows, torch.tensor([4, 4]), 2)
    with pytest.raises(ConfigurationError, match="Horizon"):
        WindowSampler(rows, lengths, 0)
    with pytest.raises(AlignmentError, match="7 observation rows"):
        GoalSampler(WindowSampler(rows, lengths, 2), rows[:-1])
    with pytest.raises(ConfigurationError, match="discount"):
        geometric_future(1.0)
    episodes = tagged_episodes([3, 2])
    with pytest.raises(AlignmentError, match="rows of observations"):
        TransitionSampler(rows[:5], episodes.actions[""], episodes)
    with pytest.raises(IndexError):
        WindowSampler(rows, lengths, 2).fetch(torch.tensor([5]))
