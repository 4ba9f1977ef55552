"""Rows and back: the packing of trajectory diffusion."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.data.goals import GoalLayout
from genrl.data.normalizers import MinMax, ZScore
from genrl.methods.packing import ACTED, OBSERVED, Packing
from genrl.training.spec import DataSpec
from tests.methods.toy_methods import assert_close, box, line, linear, walks

SPACES = {
    "box": box(3),
    "wide": box(2, 5.0, np.float64),
    "discrete": gym.spaces.Discrete(4, start=-1),
    "multi": gym.spaces.MultiDiscrete([2, 3]),
    "binary": gym.spaces.MultiBinary(3),
    "nested": gym.spaces.Dict({"a": box(1), "b": gym.spaces.Tuple([gym.spaces.Discrete(3), box(2)])}),
}


def sampled(space: gym.Space, count: int, shrink: float) -> list:
    values = [space.sample() for _ in range(count)]
    return [value * np.float32(shrink) if isinstance(space, gym.spaces.Box) else value for value in values]


def stacked(values: list):
    if isinstance(values[0], dict):
        return {key: stacked([value[key] for value in values]) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(stacked([value[i] for value in values]) for i in range(len(values[0])))
    return np.stack([np.asarray(value) for value in values])


def random_episodes(observation: gym.Space, action: gym.Space, lengths: list[int], ends: list[bool], seed: int):
    observation.seed(seed)
    action.seed(seed)
    rng = np.random.default_rng(seed)
    flags = [np.arange(length) == length - 1 for length in lengths]
    return from_arrays(
        [stacked(sampled(observation, length + 1, 1.0)) for length in lengths],
        [stacked(sampled(action, length, 0.9)) for length in lengths],
        [rng.normal(size=length) for length in lengths],
        [flag & end for flag, end in zip(flags, ends, strict=True)],
        [flag & (not end) for flag, end in zip(flags, ends, strict=True)],
        observation_space=observation,
        action_space=action,
    )


def fitted(episodes: Episodes, squash: bool = True) -> Packing:
    packing = Packing(DataSpec.of(episodes), squash)
    packing.fit(episodes)
    return packing


def padded(packing: Packing, episodes: Episodes) -> torch.Tensor:
    """(E, R, D) the packed rows of each episode, the last repeated up to the longest."""
    rows = packing.pack(episodes)[:, : packing.dim]
    longest = int(episodes.lengths.max()) + 1
    parts = rows.split((episodes.lengths + 1).tolist())
    return torch.stack([torch.cat((part, part[-1:].expand(longest - len(part), -1))) for part in parts])


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(SPACES)),
    st.sampled_from(["box", "wide", "discrete", "multi", "binary", "nested"]),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 1000),
)
def test_episodes_come_back(observation, action, lengths, squash, seed):
    # without done an episode is truncated at its last row, so only the longest may be
    ends = [length < max(lengths) or bool(seed % 2) for length in lengths]
    episodes = random_episodes(SPACES[observation], SPACES[action], lengths, ends, seed)
    packing = fitted(episodes, squash)
    back = packing.unpack(padded(packing, episodes))
    assert torch.equal(back.lengths, episodes.lengths)
    assert torch.equal(back.terminations, episodes.terminations)
    assert torch.equal(back.truncations, episodes.truncations)
    assert back.rewards.dtype == episodes.rewards.dtype
    torch.testing.assert_close(back.rewards, episodes.rewards, atol=1e-5, rtol=1e-5)
    for group in ("observations", "actions"):
        for path, leaf in getattr(episodes, group).items():
            got = getattr(back, group)[path]
            assert got.dtype == leaf.dtype
            torch.testing.assert_close(got, leaf, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_copied_achieved_goal_is_modelled_once_and_copied_back(dtype):
    episodes = walks(dtype=dtype)
    packing = fitted(episodes)
    assert packing.dim == 3 + 2 + 2  # state, action, reward, done
    assert packing.achieved == [0, 2]
    back = packing.unpack(padded(packing, episodes))
    assert torch.equal(back.observations["achieved_goal"], back.observations["observation"][:, [0, 2]])
    assert back.observations["achieved_goal"].dtype == episodes.observations["achieved_goal"].dtype
    ends = (back.observation_starts + back.lengths).repeat_interleave(back.lengths + 1)
    assert torch.equal(back.observations["desired_goal"], back.observations["achieved_goal"][ends])
    goals = torch.randn(len(episodes), 2)
    asked = packing.unpack(padded(packing, episodes), goals).observations["desired_goal"]
    torch.testing.assert_close(asked.float(), goals.repeat_interleave(episodes.lengths + 1, 0))


def test_an_achieved_goal_of_its_own_is_modelled_beside_the_state():
    episodes = walks()
    own = torch.randn_like(episodes.observations["achieved_goal"])
    episodes = replace(episodes, observations=episodes.observations | {"achieved_goal": own})
    packing = fitted(episodes)
    assert packing.dim == 3 + 2 + 2 + 2
    back = packing.unpack(padded(packing, episodes))
    torch.testing.assert_close(back.observations["achieved_goal"], own, atol=1e-5, rtol=1e-5)


def test_goals_that_are_choices_come_back():
    choice = gym.spaces.Discrete(5)
    keys = ("observation", "achieved_goal", "desired_goal")
    space = gym.spaces.Dict(dict.fromkeys(keys, choice))
    cells = np.random.default_rng(0).integers(0, 5, (6, 5))
    episodes = from_arrays(
        [dict.fromkeys(keys, row) for row in cells],
        list(np.zeros((6, 4, 1), np.float32)),
        list(np.zeros((6, 4))),
        observation_space=space,
        action_space=box(1, 1.0),
    )
    packing = fitted(episodes)
    back = packing.unpack(padded(packing, episodes))
    assert torch.equal(back.observations["achieved_goal"], episodes.observations["achieved_goal"])


def test_actions_are_opened_up_and_fields_standardised():
    episodes = linear(50)
    packing = fitted(episodes)
    rows = packing.pack(episodes)
    acted = rows[:, ACTED] > 0
    action = rows[acted][:, packing.action]
    expected = torch.atanh(episodes.actions[""])
    expected = (expected - expected.mean()) / expected.std(correction=0)
    torch.testing.assert_close(action, expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(rows[:, packing.state].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows[:, packing.state].std(0, correction=0), torch.ones(2), atol=1e-4, rtol=0)
    assert (rows[~acted][:, packing.action.start : packing.dim] == 0).all()  # nothing stands where nothing was done


def test_actions_that_are_not_opened_up_keep_their_distances_and_end_inside():
    episodes = linear(50)
    actions = episodes.actions[""]
    packing = fitted(episodes, squash=False)
    rows = packing.pack(episodes)
    action = rows[rows[:, ACTED] > 0][:, packing.action]
    torch.testing.assert_close(action, (actions - actions.mean()) / actions.std(correction=0), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(packing.actions(action), actions, atol=1e-5, rtol=1e-4)
    beyond = padded(packing, episodes)
    beyond[..., packing.action] = 100.0
    assert (packing.unpack(beyond).actions[""] == 1.0).all()


@pytest.mark.parametrize("ends", [MinMax, ZScore])
def test_ends_are_signs_or_standardised(ends):
    episodes = random_episodes(box(2), box(1), [9, 11], [True, True], 0)
    packing = Packing(DataSpec.of(episodes), ends=ends)
    packing.fit(episodes)
    rows = packing.pack(episodes)
    done = rows[rows[:, ACTED] > 0][:, packing.done]
    share = 2 / 20
    low, high = (-1.0, 1.0) if ends is MinMax else (-((share / (1 - share)) ** 0.5), ((1 - share) / share) ** 0.5)
    expected = torch.where(episodes.terminations, high, low)
    torch.testing.assert_close(done, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(packing.unpack(padded(packing, episodes)).terminations, episodes.terminations)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 12), st.integers(0, 100))
def test_windows_never_cross_episodes(rows, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, 6).tolist()
    ends = [*(rng.random(6) < 0.5).tolist(), True]
    lengths.append(3)
    episodes = random_episodes(box(1), box(1, 1.0), lengths, ends, seed)
    # each observation says which episode it belongs to
    owner = torch.repeat_interleave(torch.arange(len(episodes)), episodes.lengths + 1)
    episodes = replace(episodes, observations={"": owner[:, None].float()})
    packing = fitted(episodes)
    windows = packing.windows(episodes, rows)
    got = windows.fetch(torch.arange(len(windows))).rows
    seen = got[..., 0]
    assert (seen == seen[:, :1]).all()
    per_episode = torch.where(  # a window starts at every transition, where it ends in time or at a terminal state
        torch.tensor(ends), episodes.lengths, (episodes.lengths + 1 - (rows - 1)).clamp(min=0)
    )
    assert len(windows) == int(per_episode.sum())


def test_a_terminal_state_is_absorbing():
    episodes = line(8)
    packing = fitted(episodes)
    got = packing.windows(episodes, 6).fetch(torch.arange(int(episodes.lengths.sum()))).rows
    raw = packing.normalizer.denormalize(got[..., : packing.dim])
    place, done = raw[..., 0], raw[..., packing.done] > 0.5
    over = place[:, :-1] >= 1
    torch.testing.assert_close(place[:, 1:][over], place[:, :-1][over], atol=1e-5, rtol=0)
    assert done[:, :-1][over].all()  # and stays so
    assert torch.equal(done[:, :-1], (place[:, 1:] >= 1))  # the step into it is the first to be done
    assert (got[..., OBSERVED] > 0).all()


def test_a_state_that_only_terminal_rows_change_is_learned():
    episodes = line(20)
    flag = torch.zeros(len(episodes.observations[""]), 1)
    flag[episodes.observation_starts + episodes.lengths] = 1.0
    both = torch.cat((episodes.observations[""], flag), 1)
    episodes = replace(episodes, observations={"": both}, observation_space=box(2))
    assert fitted(episodes).varies[1]


def test_columns_that_are_constant_are_found():
    packing = fitted(linear())
    assert packing.varies.tolist() == [True, True, True, True, False]  # nothing ever ends


def test_layout_of_goal_free_spaces_takes_the_whole_state_as_goal():
    packing = fitted(linear())
    assert GoalLayout.of(packing.spec.observation_space).desired == ()
    assert packing.achieved == [0, 1]


def test_cut_at_the_first_done_as_terminated_else_truncated():
    episodes = line()
    packing = fitted(episodes)
    rows = torch.zeros(3, 6, packing.dim)
    one, none = (packing.normalizer.normalize(torch.full((packing.dim,), v))[packing.done] for v in (1.0, 0.0))
    rows[..., packing.done] = none
    rows[0, 2, packing.done] = rows[0, 4, packing.done] = rows[1, 5, packing.done] = one
    back = packing.unpack(rows)
    assert back.lengths.tolist() == [3, 5, 5]  # the last row holds no transition, so its done says nothing
    assert back.terminations.nonzero().flatten().tolist() == [2]
    assert back.truncations.nonzero().flatten().tolist() == [7, 12]
    assert_close(back[0], packing.unpack(rows[:1, :4]))
