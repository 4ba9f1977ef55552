import json
import os
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.errors import AlignmentError, CheckpointError, ConditionError, ConfigurationError
from genrl.data.policies import ActorPolicy, CallablePolicy, RandomPolicy

ALL = np.ones(3, bool)


def actor_arrays(**changes):
    generator = np.random.default_rng(0)
    arrays = {
        "W0": generator.normal(size=(4, 16)),
        "b0": generator.normal(size=16),
        "W1": generator.normal(size=(16, 16)) / 4,
        "b1": generator.normal(size=16),
        "W_mu": generator.normal(size=(16, 2)) / 8,
        "b_mu": generator.normal(size=2) / 8,
        "W_ls": generator.normal(size=(16, 2)) / 8,
        "b_ls": np.array([-2.0, -3.0]),
    }
    arrays = {key: value.astype(np.float32) for key, value in arrays.items()}
    normaliser = {"obs_mean": np.ones(4, np.float32), "obs_var": np.full(4, 4.0, np.float32)}
    return arrays | normaliser | {"obs_eps": 1e-8, "obs_clip": 1.5, "n_layers": 2, "activation": "relu"} | changes


def reference(arrays, observations, squash):
    """The same actor in torch, double precision: mean and standard deviation before squashing."""
    weights = {k: torch.as_tensor(v).double() for k, v in arrays.items() if np.asarray(v).dtype.kind == "f"}
    x = ((torch.as_tensor(observations) - weights["obs_mean"]) / (weights["obs_var"] + 1e-8).sqrt()).clamp(-1.5, 1.5)
    for i in range(2):
        x = torch.relu(x @ weights[f"W{i}"] + weights[f"b{i}"])
    mean, log_std = x @ weights["W_mu"] + weights["b_mu"], x @ weights["W_ls"] + weights["b_ls"]
    return mean.numpy(), log_std.clamp(-20, 2).exp().numpy()


@pytest.mark.parametrize("squash", ["tanh", "none"])
def test_actor_forward_pass(tmp_path, squash):
    arrays = actor_arrays(squash=squash)
    np.savez(tmp_path / "actor.npz", **arrays)
    actor = ActorPolicy.load(tmp_path / "actor.npz")
    observations = np.random.default_rng(1).normal(size=(3, 4)) * 4
    mean, std = reference(arrays, observations, squash)
    final = np.tanh if squash == "tanh" else (lambda x: x)
    actor.reset(ALL, np.arange(3))
    np.testing.assert_allclose(actor.act(observations, deterministic=True), np.clip(final(mean), -1, 1), atol=1e-5)
    noise = np.stack([np.random.default_rng(i).standard_normal(2) for i in range(3)])
    np.testing.assert_allclose(actor.act(observations), np.clip(final(mean + std * noise), -1, 1), atol=1e-5)


def test_actor_noise_and_squashing_can_be_chosen(tmp_path):
    np.savez(tmp_path / "actor.npz", **actor_arrays(squash="none", b_mu=np.array([3.0, 0.0], np.float32)))
    calm = ActorPolicy.load(tmp_path / "actor.npz", stochastic=False)
    squashed = ActorPolicy.load(tmp_path / "actor.npz", squash="tanh", stochastic=False)
    observations = np.zeros((3, 4))
    np.testing.assert_array_equal(calm.act(observations), calm.act(observations, deterministic=True))
    assert (calm.act(observations)[:, 0] == 1).all()
    assert (squashed.act(observations)[:, 0] < 1).all()


def test_actor_rows_do_not_depend_on_the_batch(tmp_path):
    np.savez(tmp_path / "actor.npz", **actor_arrays(squash="tanh"))
    actor = ActorPolicy.load(tmp_path / "actor.npz", stochastic=False)
    observations = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    one_by_one = np.concatenate([actor.act(observations[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(actor.act(observations), one_by_one)


def test_bad_actors_are_refused(tmp_path):
    np.savez(tmp_path / "nothing.npz", x=np.zeros(1))
    with pytest.raises(CheckpointError, match=r"nothing\.npz"):
        ActorPolicy.load(tmp_path / "nothing.npz")
    with pytest.raises(CheckpointError, match="missing"):
        ActorPolicy.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "actor.npz", **actor_arrays(squash="tanh"))
    whole = (tmp_path / "actor.npz").read_bytes()
    for odd in (b"", whole[:500], whole[:-10], bytes([*whole[:200], *whole[300:]]), b"words"):
        (tmp_path / "odd.npz").write_bytes(odd)
        with pytest.raises(CheckpointError, match=r"odd\.npz"):
            ActorPolicy.load(tmp_path / "odd.npz")
    np.save(tmp_path / "lone.npy", np.zeros(3))
    with pytest.raises(CheckpointError, match=r"lone\.npy"):
        ActorPolicy.load(tmp_path / "lone.npy")
    np.savez(tmp_path / "layers.npz", **actor_arrays(squash="tanh", n_layers=np.arange(2)))
    with pytest.raises(CheckpointError, match=r"layers\.npz"):
        ActorPolicy.load(tmp_path / "layers.npz")
    np.savez(tmp_path / "gelu.npz", **actor_arrays(squash="tanh", activation="gelu"))
    with pytest.raises(CheckpointError, match="gelu"):
        ActorPolicy.load(tmp_path / "gelu.npz")
    np.savez(tmp_path / "actor.npz", **actor_arrays(squash="tanh"))
    with pytest.raises(AlignmentError, match=r"\(B, 4\)"):
        ActorPolicy.load(tmp_path / "actor.npz").act(np.zeros((3, 5)))


NESTED = spaces.Dict(
    {
        "box": spaces.Box(-1, 1, (2,)),
        "pair": spaces.Tuple([spaces.Discrete(5, start=2), spaces.MultiDiscrete([3, 4]), spaces.MultiBinary(3)]),
    }
)


def test_random_actions_lie_in_any_space_and_follow_their_seeds():
    policy = RandomPolicy(NESTED)
    policy.reset(ALL, np.array([1, 2, 1]))
    drawn = [policy.act(None) for _ in range(20)]
    batch = gym.vector.utils.batch_space(NESTED, 3)
    for actions in drawn:
        assert all(NESTED.contains(action) for action in gym.vector.utils.iterate(batch, actions))
    boxes = np.stack([actions["box"] for actions in drawn])  # (20, 3, 2)
    np.testing.assert_array_equal(boxes[:, 0], boxes[:, 2])
    assert (boxes[:, 0] != boxes[:, 1]).all()
    policy.reset(np.array([False, True, False]), np.array([9, 1, 9]))
    np.testing.assert_array_equal(policy.act(None)["box"][1], boxes[0, 0])


def test_callable_policy():
    policy = CallablePolicy(lambda observations: observations * 2)
    policy.reset(ALL, np.zeros(3, np.int64))
    np.testing.assert_array_equal(policy.act(np.ones((3, 1))), np.full((3, 1), 2.0))


@pytest.mark.parametrize("policy", [RandomPolicy(spaces.Discrete(2)), CallablePolicy(lambda o: o)])
def test_conditions_are_refused_by_name(policy):
    policy.reset(ALL, np.zeros(3, np.int64))
    with pytest.raises(ConditionError, match="'goal'"):
        policy.act(np.zeros(3), Conditions(goal=torch.zeros(3, 1)))


ACTORS = Path(os.environ.get("GENRL_DATA_DIR", "../shared/data")) / "policies"
STEADY = ("hopper_ars.npz", "hopper_trpo.npz", "halfcheetah_cs285.npz")  # nearly the same return from every start

if (ACTORS / "index.json").exists():

    @pytest.mark.parametrize("file", STEADY)
    def test_pretrained_actors_earn_their_published_returns(file):
        entry = next(e for e in json.loads((ACTORS / "index.json").read_text()) if e["file"] == file)
        actor = ActorPolicy.load(ACTORS / file)
        returns = collect(entry["env"], actor, 3, seed=0, deterministic=True).returns
        assert returns.mean() == pytest.approx(
            entry["ret_det"], abs=5 * entry["std"] / 3**0.5 + 0.005 * entry["ret_det"]
        )


def test_policies_that_draw_are_reset_for_as_many_environments(tmp_path):
    np.savez(tmp_path / "actor.npz", **actor_arrays(squash="tanh"))
    actor, observations = ActorPolicy.load(tmp_path / "actor.npz"), np.zeros((3, 4), np.float32)
    for began in (0, 1):
        actor.reset(np.ones(began, bool), np.arange(began))
        with pytest.raises(ConfigurationError, match="reset it for 3 environments"):
            actor.act(observations)
    assert actor.act(observations, deterministic=True).shape == (3, 2)
    with pytest.raises(ConfigurationError, match="reset it for the environments"):
        RandomPolicy(spaces.Discrete(2)).act(observations)
