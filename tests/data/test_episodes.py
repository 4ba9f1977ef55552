"""Episodes in memory against plain Python lists."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from made_episodes import any_episodes, assert_same, hopper, make, same_bits

from genrl.data.episodes import concatenate, split
from genrl.data.errors import AlignmentError, EmptyDatasetError

some_lengths = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def rows_of(episodes, index):
    """Transition and observation rows of an episode, by counting."""
    lengths = episodes.lengths.tolist()
    start = sum(lengths[:index])
    return slice(start, start + lengths[index]), slice(start + index, start + index + lengths[index] + 1)


@given(some_lengths, st.data())
def test_select_takes_the_rows_of_each_episode(lengths, data):
    episodes = hopper(lengths)
    index = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=8))
    chosen = episodes.select(index)
    assert chosen.lengths.tolist() == [lengths[i] for i in index]
    for position, i in enumerate(index):
        transitions, observations = rows_of(episodes, i % len(lengths))
        new_transitions, new_observations = rows_of(chosen, position)
        assert same_bits(chosen.observations[""][new_observations], episodes.observations[""][observations])
        assert same_bits(chosen.actions[""][new_transitions], episodes.actions[""][transitions])
        assert same_bits(chosen.infos["success"][new_transitions], episodes.infos["success"][transitions])
        assert same_bits(chosen.infos["deep/position"][new_observations], episodes.infos["deep/position"][observations])
        assert same_bits(chosen.truncations[new_transitions], episodes.truncations[transitions])
        assert chosen.seeds[position] == episodes.seeds[i]


def test_selecting_by_mask_position_and_slice():
    episodes = hopper([3, 1, 4, 2])
    assert_same(episodes.select(torch.tensor([True, False, False, True])), episodes.select([0, 3]))
    assert_same(episodes.select([True, False, False, True]), episodes.select([0, 3]))
    assert_same(episodes[-1], episodes.select([3]))
    assert_same(episodes[np.int64(2)], episodes.select([2]))
    assert_same(episodes[1:], episodes.select([1, 2, 3]))
    assert_same(episodes[::-2], episodes.select([3, 1]))
    assert len(episodes[9:]) == 0


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_out_of_range_is_an_error(index):
    with pytest.raises(IndexError):
        hopper([3, 1, 4, 2])[index]


@given(any_episodes())
@settings(max_examples=40, deadline=None)
def test_concatenating_all_single_episodes_gives_the_whole(episodes):
    assert_same(concatenate(list(episodes)), episodes)
    assert_same(concatenate([episodes[:1], episodes[1:]]), episodes)


@given(some_lengths, st.floats(0, 1))
def test_returns_to_go_add_up_discounted_rewards_to_the_end(lengths, discount):
    episodes = hopper(lengths)
    expected = []
    for index in range(len(lengths)):
        rewards = episodes.rewards[rows_of(episodes, index)[0]].tolist()
        expected += [sum(discount**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]
    np.testing.assert_allclose(episodes.returns_to_go(discount).numpy(), expected, atol=1e-12)
    first = np.cumsum([0, *lengths[:-1]])
    np.testing.assert_allclose(episodes.returns.numpy(), episodes.returns_to_go().numpy()[first], atol=1e-12)


@given(some_lengths)
def test_observation_rows_lead_to_the_next_observation(lengths):
    episodes = hopper(lengths)
    expected = [row for index in range(len(lengths)) for row in range(10_000)[rows_of(episodes, index)[1]][:-1]]
    assert episodes.observation_rows.tolist() == expected


@given(st.integers(1, 12), st.floats(0, 1), st.integers(0, 99))
def test_a_split_is_by_whole_episodes_and_loses_none(number, fraction, seed):
    episodes = make(spaces.Discrete(1000), spaces.Discrete(2), list(range(1, number + 1)))
    train, held_out = split(episodes, fraction, seed)
    assert sorted(train.lengths.tolist() + held_out.lengths.tolist()) == list(range(1, number + 1))
    assert len(train) >= 1
    assert len(held_out) >= (1 if fraction > 0 and number > 1 else 0)
    assert_same(split(episodes, fraction, seed)[0], train)


def test_infos_of_different_form_are_left_out_of_a_concatenation():
    one, other = hopper([2, 3]), hopper([4])
    other.infos["success"] = torch.zeros(5, dtype=torch.bool)  # T + 1 rows here, T there
    other.infos["deep/position"] = torch.zeros(5, 3)
    other.infos["new"] = torch.zeros(4)
    assert set(concatenate([one, other]).infos) == {"deep/pixels"}


def test_unknown_seeds_become_minus_one():
    one, other = hopper([2, 3]), hopper([4])
    anonymous = concatenate([hopper([1]), other]).select([1])
    object.__setattr__(anonymous, "seeds", None)
    assert concatenate([one, anonymous]).seeds.tolist() == [*one.seeds.tolist(), -1]


def test_parts_of_other_observations_are_not_concatenated():
    goal = make(spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2)), spaces.Discrete(2), [2])
    plain = make(spaces.Dict(a=spaces.Discrete(2)), spaces.Discrete(2), [2])
    with pytest.raises(AlignmentError, match="Part 1 has the leaves"):
        concatenate([goal, plain])
    with pytest.raises(EmptyDatasetError):
        concatenate([])
