from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from genrl.data.arrays import from_arrays
from genrl.data.environments import make_env
from genrl.data.errors import CheckpointError, ConfigurationError, UnsupportedSpaceError
from genrl.data.policies import ActorPolicy, RandomPolicy
from genrl.data.waypoint import WaypointPolicy
from genrl.evaluation.policies import make_policy
from genrl.learners.bc import BC
from genrl.learners.rvs import RvS
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.training.checkpoint import save


class Still:
    """A policy of one's own, made by its import path."""

    def __init__(self, env: gym.Env, at: float = 0.0) -> None:
        self.size, self.at = env.action_space.shape[0], at

    def reset(self, mask, seeds): ...

    def act(self, observations, conditions=None, deterministic=False):
        return np.full((len(observations), self.size), self.at, np.float32)


@pytest.fixture(scope="module")
def pendulum() -> gym.Env:
    return gym.make("InvertedPendulum-v5")


def stored(path: Path, module) -> str:
    """A module prepared for the pendulum's spaces, as a checkpoint."""
    space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
    actions = np.zeros((8, 1), np.float32)
    data = from_arrays(
        np.random.default_rng(0).normal(size=(10, 4)),
        actions,
        np.arange(8.0),
        lengths=[3, 5],
        observation_space=space,
        action_space=gym.spaces.Box(-3, 3, (1,), np.float32),
    )
    module.prepare(data)
    return str(save(module, path / "module.ckpt"))


def test_short_names_take_options(pendulum):
    maze = make_env("PointMaze_UMaze-v3")
    assert isinstance(make_policy("random", pendulum), RandomPolicy)
    controller = make_policy("waypoint", maze, {"noise": 0.25})
    assert isinstance(controller, WaypointPolicy)
    assert controller.noise == 0.25
    with pytest.raises(ConfigurationError, match="'waypoint' cannot be made with the options"):
        make_policy("waypoint", maze, {"noice": 0.25})
    with pytest.raises(UnsupportedSpaceError, match="PointMaze"):
        make_policy("waypoint", pendulum)


def test_anything_that_can_be_imported_is_a_policy(pendulum):
    policy = make_policy(f"{__name__}.Still", pendulum, {"at": 0.5})
    assert isinstance(policy, Still)
    assert policy.at == 0.5
    for name in ("nothing", "nowhere.Policy", "genrl.data.policies.Absent"):
        with pytest.raises(ConfigurationError, match=f"no policy '{name}'"):
            make_policy(name, pendulum)


def test_a_checkpoint_is_a_policy_if_it_acts_and_its_spaces_fit(pendulum, tmp_path):
    policy = make_policy(stored(tmp_path, BC()), pendulum)
    assert policy.act(np.zeros((2, 4)), deterministic=True).shape == (2, 1)
    with pytest.raises(UnsupportedSpaceError, match="was fitted to observation space"):
        make_policy(stored(tmp_path, BC()), gym.make("Hopper-v5"))
    with pytest.raises(CheckpointError, match="TrajectoryDiffusion, which makes data"):
        make_policy(stored(tmp_path, TrajectoryDiffusion(horizon=4, overlap=2)), pendulum)


def test_a_checkpoint_takes_the_options_of_its_policy(pendulum, tmp_path):
    path = stored(tmp_path, RvS())
    assert make_policy(path, pendulum, {"target_return": 7.0}).target == 7.0
    assert make_policy(path, pendulum).target == 3 + 4 + 5 + 6 + 7
    with pytest.raises(ConfigurationError, match=r"cannot be made with the options .*'execute'"):
        make_policy(path, pendulum, {"execute": 2})


def test_an_actor_in_numpy_arrays_is_a_policy(pendulum, tmp_path):
    arrays = {"W_mu": np.ones((4, 1)), "b_mu": np.zeros(1), "n_layers": 0, "activation": "tanh", "squash": "none"}
    np.savez(tmp_path / "actor.npz", **arrays)
    policy = make_policy(str(tmp_path / "actor.npz"), pendulum, {"squash": "tanh"})
    assert isinstance(policy, ActorPolicy)
    assert policy.act(np.full((1, 4), 0.1)).item() == pytest.approx(np.tanh(0.4))
