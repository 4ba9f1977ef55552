"""Likelihoods of actions against torch.distributions around what the policies themselves say."""

from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.distributions import Normal

from genrl.data.arrays import from_arrays
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.policies import RandomPolicy
from genrl.data.spaces import unflatten
from genrl.evaluation.likelihood import policy_likelihood
from genrl.evaluation.statistics import bootstrap, bootstrap_ratio
from genrl.learners.bc import BC
from genrl.learners.gcbc import GCBC
from genrl.learners.iql import IQL
from genrl.learners.td3bc import TD3BC
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.mlp import MLP
from genrl.nets.window_mlp import WindowMLP
from genrl.training.fit import fit

SMALL = partial(MLP, width=16, dropout=0.1)


def pushes(bound: float = 2.0, seed: int = 0) -> Episodes:
    """Episodes of unequal lengths: a state of two numbers, two goals, and actions within +-bound."""
    rng = np.random.default_rng(seed)
    lengths = [3, 30, 12, 7]
    wide = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    space = gym.spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), wide))
    places = [rng.normal(size=(length + 1, 2)) for length in lengths]
    goals = [np.repeat(rng.normal(size=(1, 2)), length + 1, axis=0) for length in lengths]
    return from_arrays(
        [{"observation": p, "achieved_goal": p, "desired_goal": g} for p, g in zip(places, goals, strict=True)],
        [rng.uniform(-bound, bound, (length, 3)).astype(np.float32) for length in lengths],
        [rng.normal(size=length) for length in lengths],
        observation_space=space,
        action_space=gym.spaces.Box(-bound, bound, (3,), np.float32),
    )


@pytest.fixture(scope="module")
def data() -> Episodes:
    return pushes()


def fitted(learner, data):
    return fit(learner, data, 5, progress=False)


def modes(learner, data: Episodes) -> torch.Tensor:
    """(N, A) deterministic actions of the policy at every transition, by the way that it acts."""
    leaves = {path: leaf[data.observation_rows].numpy() for path, leaf in data.observations.items()}
    return torch.from_numpy(learner.policy().act(unflatten(data.observation_space, leaves), deterministic=True))


@pytest.mark.parametrize(
    "make", [partial(TD3BC, actor_net=SMALL, critic_net=SMALL), partial(GCBC, net=SMALL)], ids=["td3bc", "gcbc"]
)
def test_a_deterministic_learner_counts_as_a_unit_gaussian(make, data):
    learner = fitted(make(), data)
    result = policy_likelihood(learner, data)
    expected = Normal(modes(learner, data).double(), 1.0).log_prob(data.actions[""].double()).sum(-1)
    np.testing.assert_allclose(result.log_likelihoods, expected, atol=1e-5)
    assert result.density == "Normal(mean, 1)"
    assert result.per_transition.value == pytest.approx(expected.mean().item(), abs=1e-5)
    assert result.per_dimension.value == pytest.approx(expected.mean().item() / 3, abs=1e-5)
    distance = (modes(learner, data) - data.actions[""]).square().sum(-1).mean().item()
    assert result.squared_distance.value == pytest.approx(distance, abs=1e-5)
    assert result.per_transition.value == pytest.approx(-distance / 2 - 1.5 * np.log(2 * np.pi), abs=1e-5)


def test_a_learner_with_a_density_is_taken_at_its_word(data):
    learner = fitted(IQL(actor_net=SMALL, critic_net=SMALL, value_net=SMALL), data)
    result = policy_likelihood(learner, data)
    std = 2.0 * learner.log_std.detach().double().exp()  # the actions' bounds are +-2
    expected = Normal(modes(learner, data).double(), std).log_prob(data.actions[""].double()).sum(-1)
    np.testing.assert_allclose(result.log_likelihoods, expected, atol=1e-4)
    assert result.density == "IQL's own"
    assert "IQL's own" in str(result)


def test_actions_of_the_policy_are_likelier_than_others(data):
    learner = fitted(TD3BC(actor_net=SMALL, critic_net=SMALL), data)
    own = replace(data, actions={"": modes(learner, data)})
    result = policy_likelihood(learner, own)
    assert result.squared_distance.value < 1e-10
    assert result.per_transition.value == pytest.approx(-1.5 * np.log(2 * np.pi))
    assert result.per_transition.low > policy_likelihood(learner, data).per_transition.high


def test_goals_are_those_recorded(data):
    learner = fitted(GCBC(net=SMALL), data)
    moved = {**data.observations, "desired_goal": data.observations["desired_goal"] + 3.0}
    other = policy_likelihood(learner, replace(data, observations=moved))
    assert not np.allclose(policy_likelihood(learner, data).log_likelihoods, other.log_likelihoods)


def test_a_learner_in_training_is_left_so_and_asked_without_dropout(data):
    learner = fitted(GCBC(net=partial(MLP, width=16, dropout=0.5)), data)
    learner.train()
    first, second = (policy_likelihood(learner, data).log_likelihoods for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert learner.training


def test_the_interval_is_over_whole_episodes():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 50, 200)
    means = rng.normal(size=200)
    interval = bootstrap_ratio(means * lengths, lengths)
    assert interval.value == pytest.approx(np.average(means, weights=lengths))
    assert (interval.high - interval.low) / 3.92 == pytest.approx(
        np.sqrt((lengths**2 * (means - interval.value) ** 2).sum()) / lengths.sum(), rel=0.1
    )  # the linearised variance of a ratio
    equal, plain = bootstrap_ratio(means * 7, np.full(200, 7)), bootstrap(means, np.mean)
    assert (equal.low, equal.high) == pytest.approx((plain.low, plain.high), abs=0.03)
    assert np.isnan(bootstrap_ratio([3.0], [2]).low)


def test_what_has_no_likelihood_is_refused_by_name(data):
    small = TrajectoryDiffusion(net=WindowMLP, horizon=4, overlap=0)
    small.prepare(data)
    with pytest.raises(ConfigurationError, match="TrajectoryDiffusion has no likelihood"):
        policy_likelihood(small, data)
    with pytest.raises(ConfigurationError, match="TD3BC was never fitted"):
        policy_likelihood(TD3BC(), data)
    other = collect("InvertedPendulum-v5", RandomPolicy(make_env("InvertedPendulum-v5").action_space), 1, seed=1000)
    learner = fitted(TD3BC(actor_net=SMALL, critic_net=SMALL), data)
    with pytest.raises(AlignmentError, match="fitted to observation space"):
        policy_likelihood(learner, other)
    aimless = fitted(GCBC(net=SMALL), other)
    with pytest.raises(ConditionError, match="no desired goal"):
        policy_likelihood(aimless, other)


def test_other_choices_are_another_space():
    def choosing(choices: int):
        rng = np.random.default_rng(0)
        return from_arrays(
            list(rng.integers(0, choices, (5, 9))),
            list(rng.uniform(-1, 1, (5, 8, 1)).astype(np.float32)),
            [np.zeros(8)] * 5,
            observation_space=gym.spaces.Discrete(choices),
            action_space=gym.spaces.Box(-1, 1, (1,)),
        )

    with pytest.raises(AlignmentError, match=r"fitted to observation space Discrete\(3\); the data have Discrete\(5\)"):
        policy_likelihood(fitted(BC(net=SMALL), choosing(3)), choosing(5))


def test_discrete_actions_are_refused():
    pole = collect("CartPole-v1", RandomPolicy(make_env("CartPole-v1").action_space), 2, seed=1000)
    learner = fitted(BC(net=SMALL), pole)
    with pytest.raises(UnsupportedSpaceError, match="Discrete actions"):
        policy_likelihood(learner, pole)
