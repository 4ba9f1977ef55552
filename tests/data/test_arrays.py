"""Episodes from plain arrays: every way in gives the same episodes, and mix-ups are refused."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from made_episodes import any_episodes, assert_same, hopper, same_bits

from genrl.data.arrays import from_arrays, from_transitions, to_transitions
from genrl.data.checks import check
from genrl.data.errors import (
    AlignmentError,
    EmptyDatasetError,
    FlagError,
    NonFiniteError,
    OutOfSpaceError,
    UnsupportedSpaceError,
)
from genrl.data.inference import infer_space
from genrl.data.spaces import flatten, to_tensors, unflatten


def nested(leaves, space, rows=slice(None)):
    return unflatten(space, {path: leaf[rows].numpy() for path, leaf in leaves.items()})


def flat_arguments(episodes):
    return {
        "observations": nested(episodes.observations, episodes.observation_space),
        "actions": nested(episodes.actions, episodes.action_space),
        "rewards": episodes.rewards.numpy(),
        "terminations": episodes.terminations.numpy(),
        "truncations": episodes.truncations.numpy(),
        "infos": {path: leaf.numpy() for path, leaf in episodes.infos.items()},
    }


@given(any_episodes())
@settings(max_examples=40, deadline=None)
def test_lists_lengths_and_ends_give_the_same_episodes(episodes):
    known = {name: getattr(episodes, name) for name in ("observation_space", "action_space", "seeds")}
    flat = flat_arguments(episodes)
    assert_same(from_arrays(**flat, lengths=episodes.lengths.tolist(), **known), episodes)
    assert_same(from_arrays(**flat, episode_ends=episodes.lengths.cumsum(0).numpy(), **known), episodes)
    alone = [flat_arguments(episode) for episode in episodes]
    assert_same(from_arrays(**{key: [part[key] for part in alone] for key in flat}, **known), episodes)


@given(any_episodes())
@settings(max_examples=40, deadline=None)
def test_inferred_spaces_hold_the_data(episodes):
    flat = {key: value for key, value in flat_arguments(episodes).items() if key != "infos"}
    inferred = from_arrays(**flat, lengths=episodes.lengths.tolist())
    check(inferred, "inferred")
    for group in ("observations", "actions"):
        ours, theirs = getattr(inferred, group), getattr(episodes, group)
        assert all(same_bits(leaf, theirs[path]) for path, leaf in ours.items())


@pytest.mark.parametrize(
    ("array", "actions", "expected"),
    [
        (np.array([[0.5, -1.0]]), True, spaces.Box(-1, 1, (2,), np.float64)),
        (np.array([[0.5, -3.0], [2, 1]], np.float32), True, spaces.Box(np.float32([0.5, -3]), np.float32([2, 1]))),
        (np.array([[0.5, -1.0]]), False, spaces.Box(-np.inf, np.inf, (2,), np.float64)),
        (np.array([0, 2, 1]), True, spaces.Discrete(3)),
        (np.array([-1, 2]), False, spaces.Discrete(4, start=-1)),
        (np.array([[0, 4], [1, 0]], np.int32), True, spaces.MultiDiscrete([2, 5], dtype=np.int32)),
        (np.zeros((2, 4, 4, 3), np.uint8), False, spaces.Box(0, 255, (4, 4, 3), np.uint8)),
        (np.zeros((2, 3), bool), False, spaces.MultiBinary(3)),
        ({"a": np.array([1])}, False, spaces.Dict(a=spaces.Discrete(2))),
        (
            (np.array([1]), np.array([0.0])),
            False,
            spaces.Tuple([spaces.Discrete(2), spaces.Box(-np.inf, np.inf, (), np.float64)]),
        ),
    ],
)
def test_inferred_spaces(array, actions, expected):
    assert infer_space([array], actions) == expected


def test_flags_left_out_mean_truncation():
    rows = np.zeros((4, 2))
    episodes = from_arrays([rows, rows], [rows[1:], rows[1:]], [np.zeros(3)] * 2, [[0, 0, 1], [0, 0, 0]])
    assert episodes.terminations.nonzero().flatten().tolist() == [2]
    assert episodes.truncations.nonzero().flatten().tolist() == [5]


def test_big_endian_and_integer_rewards_are_converted():
    episodes = from_arrays([np.zeros((3, 2), ">f4")], [np.zeros((2, 1), ">f8")], [[1, 2]])
    assert episodes.observations[""].dtype == torch.float32
    assert episodes.rewards.dtype == torch.float64


T = np.zeros


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            ([T((3, 2))], [T((3, 1))], [T(3)]),
            AlignmentError,
            "episode 0: observation '' has 3 rows where 3 rewards need 4",
        ),
        (
            ([T((4, 2)), T((4, 2))], [T((3, 1)), T((4, 1))], [T(3)] * 2),
            AlignmentError,
            "episode 1: action '' has 4 rows",
        ),
        (([T((4, 2))], [T((3, 1))], [T(3)], [T(2)]), AlignmentError, "episode 0: terminations has 2 rows"),
        (([T((4, 2))] * 2, [T((3, 1))], [T(3)]), AlignmentError, "observations has 2 episodes and rewards 1"),
        ((T((4, 2)), T((3, 1)), T(3)), AlignmentError, "pass lengths or episode_ends"),
        (([{"a": T(4)}, {"b": T(4)}], [T((3, 1))] * 2, [T(3)] * 2), AlignmentError, "not the same leaves"),
        (([T((4, 2)), T((4, 3))], [T((3, 1))] * 2, [T(3)] * 2), AlignmentError, "different shapes"),
        (([T((1, 2))], [T((0, 1))], [T(0)]), AlignmentError, "episode 0 has no transition"),
        (([], [], []), EmptyDatasetError, "no episode"),
        (([np.array(["a", "b"])], [T((1, 1))], [T(1)]), UnsupportedSpaceError, "dtype <U1"),
        (([T((4, 2))], [T((3, 1))], [T(3)], [[0, 1, 1]]), FlagError, "episode 0, step 1"),
        (([T((4, 2))], [T((3, 1))], [[0, np.nan, 0]]), NonFiniteError, "episode 0, step 1: reward"),
    ],
)
def test_lists_that_do_not_line_up(arguments, error, words):
    with pytest.raises(error, match=words):
        from_arrays(*arguments)


@pytest.mark.parametrize("lengths", [[3, 3], [2, 4]])
def test_flat_observations_without_the_final_ones_are_refused(lengths):
    with pytest.raises(AlignmentError, match=r"observations have 6 rows; 2 episodes of together 6 transitions need 8"):
        from_arrays(T((6, 2)), T((6, 1)), T(6), lengths=lengths)


@pytest.mark.parametrize(
    ("rows", "shape"), [((3, 8, 8), (8, 8, 3)), ((3, 2), (2, 3)), ((6,), (2, 3)), ((2, 1, 3), (3, 2))]
)
def test_rows_of_another_shape_are_not_reshaped(rows, shape):
    space = spaces.Box(0, 255, shape, np.uint8)
    with pytest.raises(UnsupportedSpaceError, match="episode 0: observation '' comes as rows of shape"):
        from_arrays([T((4, *rows), np.uint8)], [T((3, 1))], [T(3)], observation_space=space)


@pytest.mark.parametrize(("rows", "shape"), [((), (1,)), ((1,), ()), ((1, 2), (2,)), ((2, 3), (2, 1, 3))])
def test_axes_of_length_one_may_differ(rows, shape):
    values = np.arange(4 * np.prod(rows, dtype=int)).reshape(4, *rows)
    space = spaces.Box(0, 99, shape, np.int64)
    episodes = from_arrays([values], [T((3, 1))], [T(3)], observation_space=space)
    assert np.array_equal(episodes.observations[""].numpy(), values.reshape(4, *shape))


def test_given_spaces_are_held_to():
    with pytest.raises(OutOfSpaceError, match=r"clumsy.*episode 0, step 0: action"):
        from_arrays([T((2, 1))], [[[2.0]]], [[0.0]], action_space=spaces.Box(-1, 1, (1,)), name="clumsy")
    with pytest.raises(AlignmentError, match="1 episodes and 2 seeds"):
        from_arrays([T((2, 1))], [[[1.0]]], [[0.0]], seeds=[1, 2])


def d4rl(episodes):
    """The flat dictionary that D4RL would hold for these episodes."""
    now = episodes.observation_rows
    return {
        "observations": nested(episodes.observations, episodes.observation_space, now),
        "next_observations": nested(episodes.observations, episodes.observation_space, now + 1),
        "actions": nested(episodes.actions, episodes.action_space),
        "rewards": episodes.rewards.numpy(),
        "terminals": episodes.terminations.numpy(),
        "timeouts": episodes.truncations.numpy(),
        "infos/qpos": np.zeros(3),
    }


@given(any_episodes())
@settings(max_examples=40, deadline=None)
def test_transitions_are_put_back_into_episodes(episodes):
    bare = from_transitions(
        d4rl(episodes), observation_space=episodes.observation_space, action_space=episodes.action_space
    )
    for group in ("observations", "actions"):
        assert all(same_bits(leaf, getattr(episodes, group)[path]) for path, leaf in getattr(bare, group).items())
    for name in ("rewards", "terminations", "truncations", "lengths"):
        assert same_bits(getattr(bare, name), getattr(episodes, name))


@given(any_episodes())
@settings(max_examples=20, deadline=None)
def test_episodes_are_handed_to_others_as_transitions(episodes):
    given, expected = to_transitions(episodes), d4rl(episodes)
    for name, space in (
        ("observations", episodes.observation_space),
        ("next_observations", episodes.observation_space),
        ("actions", episodes.action_space),
    ):
        one, other = (to_tensors(flatten(space, data[name])) for data in (given, expected))
        assert one.keys() == other.keys()
        assert all(same_bits(one[path], other[path]) for path in one)
    for name in ("rewards", "terminals", "timeouts"):
        np.testing.assert_array_equal(given[name], expected[name])


def test_the_end_of_the_data_cuts_the_last_episode():
    data = d4rl(hopper([3, 4]))
    data["timeouts"][-1] = data["terminals"][-1] = False
    episodes = from_transitions(data)
    assert episodes.lengths.tolist() == [3, 4]
    assert episodes.truncations[-1]


def test_a_gap_in_the_data_is_an_episode_without_a_mark():
    data = d4rl(hopper([3, 4, 2]))
    data["timeouts"][6] = data["terminals"][6] = False
    with pytest.raises(AlignmentError, match=r"row 6 \(episode 1\): its next observation is not row 7's"):
        from_transitions(data)


def test_without_next_observations_the_last_transition_can_be_left_out():
    whole = hopper([3, 1, 4])
    data = d4rl(whole)
    del data["next_observations"]
    with pytest.raises(AlignmentError, match=r"no next_observations.*drop_last=True"):
        from_transitions(data)
    episodes = from_transitions(data, drop_last=True)
    assert episodes.lengths.tolist() == [2, 3]  # a single row holds no whole transition
    assert same_bits(episodes.observations[""], whole.observations[""][[0, 1, 2, 6, 7, 8, 9]])
    assert same_bits(episodes.actions[""], whole.actions[""][[0, 1, 4, 5, 6]])
    assert not episodes.terminations.any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"terminals": None}, "lacks terminals"),
        ({"actions": T((6, 3))}, "actions have 6 rows and rewards 7"),
        ({"timeouts": T(8, bool)}, "timeouts have 8 rows and rewards 7"),
        ({"next_observations": T((6, 11))}, "next_observations have 6 rows"),
    ],
)
def test_transitions_that_do_not_line_up(change, words):
    data = d4rl(hopper([3, 4])) | change
    with pytest.raises(AlignmentError, match=words):
        from_transitions({key: value for key, value in data.items() if value is not None})


def test_no_transitions_at_all():
    empty = {"observations": T((0, 2)), "next_observations": T((0, 2)), "actions": T((0, 1)), "rewards": T(0)}
    with pytest.raises(EmptyDatasetError):
        from_transitions(empty | {"terminals": T(0, bool)})
    with pytest.raises(EmptyDatasetError):  # one row each, and no final observation
        from_transitions(
            {"observations": T((2, 2)), "actions": T((2, 1)), "rewards": T(2), "terminals": T(2) == 0}, drop_last=True
        )


def test_final_observations_keep_what_the_others_cannot_hold():
    seen = np.arange(12).reshape(6, 2)
    after = np.concatenate([seen[1:], [[0.7, -3.5]]])
    made = from_transitions(
        {"observations": seen, "next_observations": after, "actions": np.zeros((6, 1)), "rewards": np.zeros(6)}
        | {"terminals": np.zeros(6)}
    )
    assert made.observations[""][-1].tolist() == [0.7, -3.5]
