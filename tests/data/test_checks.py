"""Sound data pass; every fault is refused by its own error that names data set, episode and step."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from made_episodes import any_episodes, hopper, make

from genrl.data.checks import check, mend_flags, problems
from genrl.data.errors import (
    AlignmentError,
    EmptyDatasetError,
    FlagError,
    NonFiniteError,
    OutOfSpaceError,
)

LENGTHS = [3, 1, 4, 2]


def refused(episodes, error, *words):
    with pytest.raises(error) as raised:
        check(episodes, "maze-v0")
    for word in ("maze-v0", *words):
        assert re.search(word, str(raised.value)), f"{word!r} is not in: {raised.value}"


@given(any_episodes())
@settings(max_examples=60, deadline=None)
def test_sound_data_of_any_space_pass(episodes):
    check(episodes, "sound")


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.data())
@settings(deadline=None)
def test_the_error_names_the_very_episode_and_step(lengths, data):
    episode = data.draw(st.integers(0, len(lengths) - 1))
    kind, extra = data.draw(st.sampled_from([("observations", 1), ("actions", 0), ("rewards", 0)]))
    step = data.draw(st.integers(0, lengths[episode] - 1 + extra))
    value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    episodes = hopper(lengths)
    leaf = getattr(episodes, kind)
    leaf = leaf if kind == "rewards" else leaf[""]
    leaf[sum(lengths[:episode]) + extra * episode + step] = value
    refused(episodes, NonFiniteError, f"episode {episode}, step {step}: {kind[:-1]}", "1 such row", "repair")


def test_a_part_of_a_stream_counts_episodes_from_its_first():
    episodes = hopper(LENGTHS)
    episodes.rewards[-1] = np.nan
    with pytest.raises(NonFiniteError, match="episode 103, step 1"):
        check(episodes, "stream", first=100)


def test_no_transition_is_an_empty_data_set():
    refused(hopper(LENGTHS).select([]), EmptyDatasetError, "no transition")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda e: {"observations": {"": e.observations[""][: e.num_transitions]}},
            ["10 rows instead of 14", "T \\+ 1"],
        ),
        (lambda e: {"actions": {"": e.observations[""][:, :3].float()}}, ["action '' has 14 rows instead of 10"]),
        (lambda e: {"rewards": e.rewards[:-1]}, ["rewards have shape \\(9,\\)"]),
        (lambda e: {"terminations": e.terminations[:, None]}, ["terminations have shape \\(10, 1\\)"]),
        (lambda e: {"infos": {"success": e.rewards[:-2]}}, ["info 'success' has 8 rows"]),
        (lambda e: {"observations": {"other": e.observations[""]}}, ["leaves are \\['other'\\]"]),
        (lambda e: {"lengths": torch.tensor([3, 0, 5, 2])}, ["episode 1 has length 0"]),
    ],
)
def test_rows_that_do_not_line_up(change, words):
    episodes = hopper(LENGTHS)
    refused(replace(episodes, **change(episodes)), AlignmentError, *words)


@pytest.mark.parametrize(
    ("terminate", "truncate", "words"),
    [
        ([], [2, 3, 7], ["episode 3, step 1", "without a flag", "set its truncation"]),
        ([2, 9], [2, 3, 7], ["episode 0, step 2", "both set", "keep the one"]),
        ([5], [2, 3, 7, 9], ["episode 2, step 1", "in the middle", "split the episode"]),
        ([], [2, 3, 6, 9], ["episode 2, step 3", "without a flag"]),
    ],
)
def test_end_flags_missing_doubled_or_in_the_middle(terminate, truncate, words):
    episodes = hopper(LENGTHS)
    flags = torch.zeros(2, 10, dtype=torch.bool)
    flags[0, terminate], flags[1, truncate] = True, True
    refused(replace(episodes, terminations=flags[0], truncations=flags[1]), FlagError, *words)


def test_mending_gives_every_episode_one_flag():
    flags = torch.zeros(2, 10, dtype=torch.bool)
    flags[0, [2, 3]], flags[1, [3, 7]] = True, True  # termination, both, truncation, none
    mended = mend_flags(replace(hopper(LENGTHS), terminations=flags[0], truncations=flags[1]))
    check(mended, "mended")
    assert mended.terminations.nonzero().flatten().tolist() == [2, 3]
    assert mended.truncations.nonzero().flatten().tolist() == [7, 9]


def test_mending_leaves_flags_in_the_middle_to_be_refused():
    episodes = hopper(LENGTHS)
    episodes.truncations[5] = True
    refused(mend_flags(episodes), FlagError, "episode 2, step 1", "middle")


def test_actions_outside_their_box_but_for_rounding():
    episodes = hopper(LENGTHS)
    episodes.actions[""][8, 1] = 1 + 1e-6  # a float64 controller, stored as float32
    check(episodes, "rounded")
    episodes.actions[""][8, 1] = 1.001
    refused(episodes, OutOfSpaceError, "episode 3, step 0", "action ''", "1.001", "clip")


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (spaces.Discrete(3, start=-1), 2),
        (spaces.Discrete(3, start=-1), -2),
        (spaces.MultiDiscrete([2, 3]), 2),
        (spaces.MultiDiscrete([2, 3], dtype=np.uint8), 3),
        (spaces.MultiBinary(2), 2),
    ],
)
@pytest.mark.parametrize("kind", ["observation", "action"])
def test_discrete_values_outside_their_space(kind, space, value):
    other = spaces.Discrete(2)
    episodes = make(*((space, other) if kind == "observation" else (other, space)), LENGTHS)
    getattr(episodes, f"{kind}s")[""][4] = value
    where = "episode 1, step 0" if kind == "observation" else "episode 2, step 0"
    refused(episodes, OutOfSpaceError, where, f"{kind} ''", type(space).__name__)


def test_discrete_values_must_be_integers():
    episodes = make(spaces.Discrete(2), spaces.Discrete(2), LENGTHS)
    refused(replace(episodes, actions={"": episodes.actions[""].double()}), OutOfSpaceError, "float64", "integers")


def test_observations_beyond_declared_bounds_are_let_through():
    episodes = make(spaces.Dict(a=spaces.Box(0, 1, (2,), np.float32)), spaces.Discrete(2), LENGTHS)
    episodes.observations["a"][3] = 1.7
    check(episodes, "real")


def test_rows_of_another_shape_than_their_space():
    episodes = hopper(LENGTHS)
    refused(replace(episodes, actions={"": episodes.actions[""][:, :2]}), OutOfSpaceError, "\\(2,\\)", "\\(3,\\)")


def test_all_problems_are_listed_together():
    episodes = hopper(LENGTHS)
    episodes.rewards[0], episodes.actions[""][1], episodes.truncations[:] = np.nan, 4.0, True
    kinds = [type(problem) for problem in problems(episodes, "bad")]
    assert kinds.count(NonFiniteError) == 1
    assert kinds.count(OutOfSpaceError) == 1
    assert FlagError in kinds
