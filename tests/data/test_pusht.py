import os
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_allclose

from genrl.data.environments import make_env
from genrl.data.errors import ConfigurationError, CorruptDatasetError, DatasetMissingError
from genrl.data.policies import RandomPolicy
from genrl.data.pusht import demonstrations, max_coverage
from genrl.evaluation.evaluate import evaluate

pytest.importorskip("gym_pusht")
shapely = pytest.importorskip("shapely")
FILE = Path(os.environ.get("GENRL_PUSHT", "../shared/data/pusht_human_v7_state.npz"))
STATE = np.array([222.0, 97.0, 223.0, 381.6, 3.008])
needs_file = pytest.mark.skipif(not FILE.exists(), reason="GENRL_PUSHT names no file of demonstrations")


@pytest.fixture(scope="module")
def env():
    return make_env("genrl/PushT-v0").unwrapped


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The first two demonstrations as a file of their own."""
    if not FILE.exists():
        pytest.skip("GENRL_PUSHT names no file of demonstrations")
    whole = np.load(FILE)
    rows = int(whole["episode_ends"][1])
    path = tmp_path_factory.mktemp("pusht") / "few.npz"
    kept = {name: whole[name][:rows] for name in ("state", "action", "keypoint")}
    np.savez(path, **kept, episode_ends=whole["episode_ends"][:2])
    return path


def tee(corners: np.ndarray):
    """The block's outline from its (16,) corners: two rectangles."""
    rectangles = corners.astype(float).reshape(2, 4, 2)
    return shapely.union_all([shapely.Polygon(rectangle) for rectangle in rectangles])


def test_a_given_state_is_met_exactly(env):
    observation, _ = env.reset(seed=0, options={"state": STATE})
    assert env.observation_space.contains(observation)
    block = env.simulator.block
    assert_allclose([*env.simulator.agent.position, *block.position, block.angle], STATE, atol=1e-9)
    assert_allclose(observation["observation"][16:], STATE[:2], atol=1e-4)
    theirs = gym.make("gym_pusht/PushT-v0").reset(seed=0, options={"reset_to_state": STATE})[0]
    assert np.abs(theirs[2:4] - STATE[2:4]).max() > 10  # gym-pusht turns the block away from where it was put


@needs_file
def test_corners_move_with_the_keypoints_of_the_file(env):
    """The file's nine points are fixed in the block and lie inside it, to three pixels.

    In a frame in four hundred they lag behind the state by up to two pixels; everywhere else they are exact.
    """
    whole = np.load(FILE)
    rows = np.linspace(0, len(whole["state"]) - 1, 60).astype(int)
    local = []
    for state, points in zip(whole["state"][rows], whole["keypoint"][rows], strict=True):
        corners = env.reset(options={"state": state})[0]["achieved_goal"]
        outline = tee(corners).buffer(3.5)
        assert all(outline.contains(shapely.Point(point)) for point in points)
        corner, beside = corners.astype(float).reshape(8, 2)[:2]
        axis = (beside - corner) / np.linalg.norm(beside - corner)
        away = points - corner
        local.append(np.stack([away @ axis, away @ [-axis[1], axis[0]]], -1))
    off = np.abs(np.array(local) - np.median(local, 0)).max((1, 2))
    assert np.quantile(off, 0.95) < 0.05
    assert off.max() < 3


def test_coverage_is_that_of_two_polygons(env):
    observation, _ = env.reset(options={"state": [50, 50, 240, 270, 0.7]})
    block, goal = tee(observation["achieved_goal"]), tee(observation["desired_goal"])
    assert env.coverage == pytest.approx(block.intersection(goal).area / goal.area, abs=1e-4)
    env.reset(options={"state": [50, 50, *env.simulator.goal_pose]})
    *_, terminated, _, info = env.step(np.array([50.0, 50.0]))
    assert terminated
    assert info["success"]
    assert info["coverage"] == pytest.approx(1.0)


def test_the_score_is_the_largest_coverage_in_a_plain_loop(env):
    found = evaluate(RandomPolicy(env.action_space), "genrl/PushT-v0", 3, seed=2, num_envs=2)
    assert found.lengths.tolist() == [300] * 3
    theirs = gym.make("gym_pusht/PushT-v0")
    for episode, score in zip(found.episodes, max_coverage(found.episodes), strict=True):
        own, _ = gym.utils.seeding.np_random(int(episode.seeds[0]))
        theirs.reset(seed=int(own.integers(2**31)))
        steps = [theirs.step(action.double().numpy()) for action in episode.actions[""]]
        assert score == pytest.approx(max(step[-1]["coverage"] for step in steps))
    with pytest.raises(ConfigurationError, match="coverage"):
        max_coverage(replace(found.episodes, infos={}))


def test_demonstrations_are_those_of_the_file(few):
    episodes, whole = demonstrations(few), np.load(few)
    ends = whole["episode_ends"]
    assert episodes.lengths.tolist() == [ends[0] - 1, ends[1] - ends[0] - 1]
    assert len(episodes.observations["observation"]) == ends[1]
    assert_allclose(episodes.observations["observation"][:, 16:], whole["state"][:, :2], atol=1e-3)
    first, second = ends[0] - 1, ends[0]
    assert_allclose(episodes.actions[""][first - 1 : first + 1], whole["action"][[first - 1, second]])
    assert episodes.truncations.nonzero().flatten().tolist() == [ends[0] - 2, ends[1] - 3]
    assert 0.5 < max_coverage(episodes).min() <= max_coverage(episodes).max() < 0.95  # no demonstration reaches 0.95
    goal = episodes.observations["desired_goal"]
    assert (goal == goal[0]).all()


def test_bad_states_and_files_are_refused_by_name(env, tmp_path):
    with pytest.raises(ConfigurationError, match="agent x, y and block x, y, angle"):
        env.reset(options={"state": [1.0, 2.0]})
    with pytest.raises(DatasetMissingError, match=r"none\.npz"):
        demonstrations(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", state=np.zeros((3, 5)), action=np.zeros((3, 2)))
    with pytest.raises(CorruptDatasetError, match="lacks the arrays episode_ends"):
        demonstrations(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", state=np.zeros((3, 5)), action=np.zeros((3, 2)), episode_ends=np.array([5]))
    with pytest.raises(CorruptDatasetError, match="do not fit its 3 states"):
        demonstrations(tmp_path / "bad.npz")
    (tmp_path / "bad.npz").write_bytes((tmp_path / "bad.npz").read_bytes()[:200])
    with pytest.raises(CorruptDatasetError, match=r"bad\.npz cannot be read: no whole npz .*download it again"):
        demonstrations(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": np.zeros((0, 5)), "action": np.zeros((0, 2)), "episode_ends": np.zeros(0, int)}, "its 0 episodes"),
        ({"state": np.zeros((4, 6))}, r"state \(4, 6\)"),
        ({"state": np.zeros(())}, r"state \(\)"),
        ({"episode_ends": np.array([[4]])}, r"episode_ends \(1, 1\)"),
        ({"episode_ends": np.array([4.0])}, "whole numbers"),
        ({"episode_ends": np.array([6, 4], np.uint64)}, "its 2 episodes do not fit its 4 states"),
    ],
)
def test_demonstrations_that_do_not_fit_together_are_refused(tmp_path, changes, words):
    sound = {"state": np.zeros((4, 5)), "action": np.zeros((4, 2)), "episode_ends": np.array([4])}
    np.savez(tmp_path / "odd.npz", **sound | changes)
    with pytest.raises(CorruptDatasetError, match=words):
        demonstrations(tmp_path / "odd.npz")
