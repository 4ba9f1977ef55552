import sys

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from genrl.data.environments import make_env
from genrl.data.errors import ConfigurationError
from genrl.data.goals import GoalLayout
from genrl.data.maze_guide import guide
from genrl.data.ogbench_envs import lent_randomness, official_task
from genrl.evaluation.evaluate import evaluate

pytest.importorskip("ogbench")
CUBE, MAZE, TELEPORT = "genrl/cube-single-v0", "genrl/pointmaze-medium-v0", "genrl/pointmaze-teleport-v0"


@pytest.fixture(scope="module")
def cube():
    env = make_env(CUBE)
    yield env
    env.close()


def test_it_is_a_goal_environment(cube):
    observation, _ = cube.reset(seed=0)
    assert cube.observation_space.contains(observation)
    assert GoalLayout.of(cube.observation_space).desired == ("desired_goal",)
    assert_array_equal(observation["observation"], observation["achieved_goal"])
    assert cube.spec.max_episode_steps == gym.spec("cube-single-v0").max_episode_steps


@pytest.mark.parametrize("task", [1, 2, 3, 4, 5])
def test_the_goal_is_that_of_the_official_task(cube, task):
    theirs = gym.make("cube-single-v0").unwrapped.task_infos[task - 1]
    observation, _ = cube.reset(seed=7, options={"task_id": task})
    for state, where in ((observation["desired_goal"], "goal_xyzs"), (observation["observation"], "init_xyzs")):
        position = state[19:22] / 10 + [0.425, 0, 0]  # how OGBench scales positions
        np.testing.assert_allclose(position, theirs[where][0], atol=0.011)  # it scatters starts by a centimetre


@pytest.mark.parametrize(
    ("env_id", "free_play"), [(CUBE, False), (CUBE, True), (MAZE, False), (MAZE, True), ("genrl/scene-v0", False)]
)
def test_the_seed_of_a_reset_decides_everything(env_id, free_play):
    first, second = (make_env(env_id, {"free_play": free_play}) for _ in range(2))
    first.reset(seed=1)
    for _ in range(3):  # the first one has a past
        first.step(first.action_space.sample())
    for seed in (3, 4):
        ours, theirs = first.reset(seed=seed)[0], second.reset(seed=seed)[0]
        for _ in range(3):
            for key in ours:
                assert_array_equal(ours[key], theirs[key])
            action = np.full(first.action_space.shape, 0.3, np.float32)
            ours, theirs = first.step(action)[0], second.step(action)[0]
    assert not np.array_equal(first.reset(seed=5)[0]["observation"], first.reset(seed=6)[0]["observation"])


def test_numpys_generator_is_only_lent():
    np.random.seed(3)
    expected = np.random.default_rng(0)
    before = np.random.get_state()[1].copy()
    with lent_randomness(expected):
        np.random.uniform(size=5)
    assert_array_equal(np.random.get_state()[1], before)


def test_teleporters_lead_where_the_seed_of_the_reset_says():
    """Of three ways out each is taken a third of the time; the same seed leads the same way."""
    env = make_env(TELEPORT, {"free_play": True})
    theirs = env.unwrapped.simulator
    outs = np.array(theirs._teleport_info["teleport_out_xys"], float)

    def way_out(seed):
        env.reset(seed=seed)
        theirs.set_xy(np.array(theirs._teleport_info["teleport_in_xys"][0]))
        env.step(np.zeros(2, np.float32))  # what is observed at this step is the place before, in OGBench as well
        seen = env.step(np.zeros(2, np.float32))[0]["observation"]
        distances = np.linalg.norm(outs - seen, axis=1)
        assert distances.min() < 0.5
        return int(distances.argmin())

    before = np.random.get_state()[1].copy()
    ways = [way_out(seed) for seed in range(60)]
    assert_array_equal(np.random.get_state()[1], before)
    assert ways[:10] == [way_out(seed) for seed in range(10)]
    assert np.bincount(ways, minlength=3).min() >= 10


def test_success_in_turn_at_the_official_tasks():
    policy = guide(make_env(MAZE), noise=0.0)
    maze = policy.maze
    found = evaluate(policy, MAZE, 10, seed=0, num_envs=3, reset_options=official_task)
    assert found.success.all()
    assert found.episodes.terminations[found.episodes.lengths.cumsum(0) - 1].all()
    tasks = gym.make("pointmaze-medium-v0").unwrapped.task_infos
    for index, episode in enumerate(found.episodes):
        assert maze.cell(episode.observations["desired_goal"][0].numpy()) == tasks[index % 5]["goal_ij"]
        assert maze.cell(episode.observations["observation"][0].numpy()) == tasks[index % 5]["init_ij"]
        gap = (episode.observations["desired_goal"][-1] - episode.observations["observation"][-1]).norm()
        assert gap <= maze.reached_within + 1e-5


def test_what_is_not_there_is_refused_by_name(cube, monkeypatch):
    with pytest.raises(ConfigurationError, match="tasks 1 to 5, not 6"):
        cube.reset(options={"task_id": 6})
    with pytest.raises(ConfigurationError, match="no environment 'cube-none-v0'"):
        make_env(CUBE, {"env_id": "cube-none-v0"})
    monkeypatch.setitem(sys.modules, "ogbench", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'genrl-synth\[play\]'"):
        make_env(CUBE)
