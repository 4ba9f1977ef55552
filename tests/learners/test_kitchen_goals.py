"""FrankaKitchen's goals are dictionaries in a dictionary: data that Minari wrote must serve goal learners unchanged."""

import gymnasium as gym
import gymnasium_robotics
import minari
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from minari.data_collector import EpisodeBuffer

from genrl.data.goals import in_hindsight
from genrl.data.store import load
from genrl.evaluation.evaluate import evaluate
from genrl.learners.beso import BESO
from genrl.learners.gcbc import GCBC
from genrl.training.fit import fit

gym.register_envs(gymnasium_robotics)
STEPS = 12


def stacked(rows):
    """A list of nested observations as a nested dictionary of arrays."""
    if isinstance(rows[0], dict):
        return {key: stacked([row[key] for row in rows]) for key in rows[0]}
    return np.stack(rows)


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:minari")


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    """Three random episodes, written by Minari under a name like D4RL/kitchen/complete-v2."""
    root = tmp_path_factory.mktemp("minari")
    env = gym.make("FrankaKitchen-v1", tasks_to_complete=["microwave", "kettle"], max_episode_steps=STEPS)
    env.action_space.seed(0)
    buffers = []
    for seed in range(3):
        seen, acted = [env.reset(seed=seed)[0]], [env.action_space.sample() for _ in range(STEPS)]
        answers = [env.step(action) for action in acted]
        seen += [answer[0] for answer in answers]
        rewards, terminations, truncations = ([answer[at] for answer in answers] for at in (1, 2, 3))
        buffers.append(
            EpisodeBuffer(seed, seed, None, stacked(seen), np.stack(acted), rewards, terminations, truncations, {})
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        minari.create_dataset_from_buffers(dataset_id="D4RL/kitchen/tiny-v0", buffer=buffers, env=env)
    return load("D4RL/kitchen/tiny-v0", root), buffers


def test_every_leaf_is_read(kitchen):
    episodes, buffers = kitchen
    for goal in ("achieved_goal", "desired_goal"):
        for task in ("kettle", "microwave"):
            written = np.concatenate([buffer.observations[goal][task] for buffer in buffers])
            np.testing.assert_array_equal(episodes.observations[f"{goal}/{task}"], written)


def test_hindsight_reaches_every_leaf(kitchen):
    episodes, _ = kitchen
    seen = in_hindsight(episodes).observations
    for task in ("kettle", "microwave"):
        ends = seen[f"achieved_goal/{task}"].reshape(3, STEPS + 1, -1)[:, -1:]
        assert (seen[f"desired_goal/{task}"].reshape(3, STEPS + 1, -1) == ends).all()


@pytest.mark.parametrize("learner", [GCBC, BESO])
def test_goal_learners_learn_from_it_and_act_in_it(kitchen, learner):
    episodes, _ = kitchen
    policy = fit(learner(seed=0), episodes, 2, batch_size=8, progress=False).policy()
    found = evaluate(policy, EnvSpec.from_json(episodes.card.env_spec), 2, 0, num_envs=2, max_steps=3)
    assert found.lengths.tolist() == [3, 3]
