"""Pictures of lakes: shares against a count by hand, arrows against the environment's own steps."""

import gymnasium as gym
import numpy as np
import pytest
from matplotlib.quiver import Quiver

from genrl.data.collect import collect
from genrl.data.errors import UnsupportedSpaceError
from genrl.data.policies import CallablePolicy
from genrl.evaluation.lakes import ARROWS, lakes, visits


def right(observations):
    return np.full(len(observations), 2, np.int64)


def test_cells_are_counted_and_arrows_lead_where_the_lake_leads():
    env = gym.make("FrozenLake-v1", success_rate=1.0)
    played = collect("FrozenLake-v1", CallablePolicy(right), 1, 0, max_steps=5, env_options={"success_rate": 1.0})
    shares = visits(played, 16)  # 0, 1, 2, and then the wall
    np.testing.assert_allclose(shares[:4], [1 / 6, 1 / 6, 1 / 6, 1 / 2])
    for action, (column, row) in enumerate(ARROWS):
        (_, following, *_), *_ = [each for each in env.unwrapped.P[9][action] if each[0] == 1.0]
        assert following == 9 + 4 * row + column
    figure = lakes({"one": played, "two": played}, env, dict.fromkeys(("one", "two"), np.full(16, 2)))
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["one", "two"]
    (arrows,) = [part for part in figure.axes[0].collections if isinstance(part, Quiver)]
    assert len(arrows.U) == 11  # sixteen cells but for four holes and the goal
    assert (arrows.U > 0).all()


def test_other_environments_are_refused():
    with pytest.raises(UnsupportedSpaceError, match=r"env\.desc"):
        lakes({}, gym.make("CartPole-v1"))
