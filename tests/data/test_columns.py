"""Columns: each of one leaf, whatever the leaves are called; windows of them."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from gymnasium import spaces
from made_episodes import make

from genrl.data.columns import Columns
from genrl.data.copying import copying
from genrl.data.errors import EmptyDatasetError

NUMBER, CHOICE = spaces.Box(-1, 1, (1,), np.float32), spaces.Discrete(2)


@pytest.mark.parametrize(
    ("observations", "actions", "names"),
    [
        (NUMBER, CHOICE, {"observation[0]": 1, "action": 2, "reward": 1}),
        ({"x": NUMBER, "y": CHOICE}, {"z": NUMBER}, {"x[0]": 1, "y": 2, "z[0]": 1, "reward": 1}),
        (
            {"action": CHOICE, "reward": CHOICE, "x": NUMBER},
            CHOICE,
            {"observation/action": 2, "observation/reward": 2, "x[0]": 1, "action": 2, "reward": 1},
        ),
        (
            {"x": CHOICE, "y": NUMBER},
            {"x": CHOICE, "reward": NUMBER},
            {"observation/x": 2, "y[0]": 1, "action/reward[0]": 1, "action/x": 2, "reward": 1},
        ),
        (NUMBER, {"observation": CHOICE}, {"observation[0]": 1, "action/observation": 2, "reward": 1}),
        (
            OrderedDict([("a", CHOICE), ("b", CHOICE), ("a=9", NUMBER)]),
            NUMBER,
            {"a": 2, "b": 2, "a=9[0]": 1, "action[0]": 1, "reward": 1},
        ),
    ],
)
def test_every_variable_is_of_one_leaf(observations, actions, names):
    made = [spaces.Dict(space) if isinstance(space, dict) else space for space in (observations, actions)]
    episodes = make(*made, [3, 4])
    columns = Columns.of(episodes)
    found = columns.variables
    assert {name: part.stop - part.start for name, part in found.items()} == names
    assert sorted(d for part in found.values() for d in range(part.start, part.stop)) == list(range(len(columns.names)))
    observed = Columns.of_observations(episodes)
    assert columns.names[: len(observed.names)] == observed.names
    assert torch.equal(columns.rows[:, found["reward"]], episodes.rewards.float()[:, None])


@pytest.mark.parametrize("empty", range(3))
def test_no_windows_can_be_cut_from_no_episodes(empty):
    parts = [make(NUMBER, CHOICE, [20, 20], seed) for seed in range(3)]
    parts[empty] = parts[empty].select([])
    with pytest.raises(EmptyDatasetError, match=r"No episode has 16 steps \(the longest has 0\)"):
        copying(*parts)
