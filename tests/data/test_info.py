"""``info`` against the same figures computed from the episodes."""

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from made_episodes import any_episodes, hopper, image, make

from genrl.data.episodes import DatasetCard
from genrl.data.errors import CorruptDatasetError, DatasetMissingError
from genrl.data.info import info
from genrl.data.reader import Reader
from genrl.data.store import save

gym.register_envs(gymnasium_robotics)


@given(any_episodes())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_figures_are_those_of_the_episodes(tmp_path, episodes):
    path = save(episodes, "any-v0", root=tmp_path, overwrite=True)
    found = info("any-v0", tmp_path)
    lengths = episodes.lengths.numpy()
    assert (found.episodes, found.transitions, found.path) == (len(lengths), lengths.sum(), path)
    assert (found.lengths.mean, found.lengths.low, found.lengths.high) == (lengths.mean(), lengths.min(), lengths.max())
    returns = [float(episode.rewards.double().sum()) for episode in episodes]
    assert (found.returns.mean, found.returns.low, found.returns.high) == pytest.approx(
        (np.mean(returns), min(returns), max(returns)), abs=1e-9
    )
    assert found.terminations == episodes.terminations.sum()
    assert found.truncations == episodes.truncations.sum()
    for group in ("observations", "actions", "infos"):
        leaves = getattr(found, group)
        assert set(leaves) == set(getattr(episodes, group))
        for name, leaf in getattr(episodes, group).items():
            np.testing.assert_array_equal(leaves[name].low, leaf.numpy().min(axis=0))
            np.testing.assert_array_equal(leaves[name].high, leaf.numpy().max(axis=0))
    assert str(found).startswith("any-v0\n")


def test_the_text_tells_what_one_wants_to_know(tmp_path):
    env = gym.make("PointMaze_UMaze-v3")
    card = DatasetCard(
        env_spec=env.spec.to_json(),
        algorithm_name="waypoints",
        author=("Ann", "Bo"),
        author_email=("ann@example.org",),
        description="Short demonstrations.",
        ref_min_score=0.0,
        ref_max_score=30.0,
        requirements=("gymnasium-robotics",),
    )
    episodes = make(env.observation_space, env.action_space, [3, 5], card=card)
    env.close()
    save(episodes, "maze/short-v0", root=tmp_path, provenance={"source": "maze/long-v1"})
    text = str(info("maze/short-v0", tmp_path))
    lines = {line.split("  ")[1]: line for line in text.splitlines()[1:]}
    for name, words in {
        "environment": "PointMaze_UMaze-v3",
        "episodes": "2",
        "transitions": "8",
        "length": "mean 4, from 3 to 5",
        "ends": f"{int(episodes.terminations.sum())} terminated, {int(episodes.truncations.sum())} truncated",
        "author": "Ann, Bo, ann@example.org",
        "algorithm": "waypoints",
        "reference": "0 (score 0) and 30 (100)",
        "provenance": "maze/long-v1",
        "observation desired_goal": "Box(-inf, inf, (2,), float64)",
        "action": "Box(-1.0, 1.0, (2,), float32)",
        "info success": "bool",
    }.items():
        assert words in lines[name]


def test_wide_leaves_are_summed_up_in_one_range(tmp_path):
    episodes = make(spaces.Dict(camera=image((40, 40, 3)), goal=spaces.Box(-1, 1, (30,))), spaces.Discrete(2), [2])
    save(episodes, "wide-v0", root=tmp_path)
    text = str(info("wide-v0", tmp_path))
    assert "data from 0 to 255" in text
    assert max(map(len, text.splitlines())) < 200
    assert "none recorded" in text


def test_a_data_set_that_is_replaced_meanwhile_is_summarised_anew(tmp_path, monkeypatch):
    save(hopper([2, 3]), "moving-v0", root=tmp_path)
    original, times = Reader.episodes, iter([1])

    def late(self):
        for _ in times:
            save(hopper([4, 5, 6], 1), "moving-v0", root=tmp_path, overwrite=True)
        return original(self)

    monkeypatch.setattr(Reader, "episodes", late)
    found = info("moving-v0", tmp_path)
    assert (found.episodes, found.transitions) == (3, 15)


@pytest.mark.parametrize("spec", ["no JSON", "[1]", "5", '{"a": 1}', '{"id": "Hopper-v5", "kwargs": [1]}'])
def test_an_environment_that_cannot_be_read_is_refused(tmp_path, spec):
    save(hopper([2], card=DatasetCard(env_spec=spec)), "odd-v0", root=tmp_path)
    with pytest.raises(CorruptDatasetError, match="'odd-v0': the env_spec in its metadata is not"):
        info("odd-v0", tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DatasetMissingError):
        info("missing-v0", tmp_path)
    path = save(hopper([50] * 20), "cut-v0", root=tmp_path)
    with open(path / "data/main_data.hdf5", "r+b") as file:
        file.truncate(5000)
    with pytest.raises(CorruptDatasetError):
        info("cut-v0", tmp_path)
