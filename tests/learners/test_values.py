"""TD3+BC and IQL on problems whose answers have a closed form."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.stats import expectile, norm
from toy_data import LINEAR, SMALL, bandit, box, clock

from genrl.data.arrays import from_arrays
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.learners.bc import BC
from genrl.learners.behavior_transformer import BehaviorTransformer
from genrl.learners.beso import BESO
from genrl.learners.cql import CQL
from genrl.learners.decision_transformer import DecisionTransformer
from genrl.learners.doc import DoC
from genrl.learners.flow_policy import FlowPolicy
from genrl.learners.future_vae import FutureVAE
from genrl.learners.gcbc import GCBC
from genrl.learners.iql import IQL, LOG_STD, expectile_loss
from genrl.learners.latent_plan import LatentPlanPolicy
from genrl.learners.rvs import RvS
from genrl.learners.sac import SAC
from genrl.learners.sequence_bc import SequenceBC
from genrl.learners.td3bc import TD3BC
from genrl.training.fit import fit

quick = partial(fit, progress=False, val_fraction=0.0)
td3bc = partial(TD3BC, actor_net=SMALL, critic_net=SMALL, polyak=0.05, lr=3e-3)
iql = partial(IQL, actor_net=SMALL, critic_net=SMALL, value_net=SMALL, polyak=0.05, lr=3e-3, return_range=None)


def spread_actions(count: int = 512) -> np.ndarray:
    return np.linspace(-1, 1, count)


def test_td3bc_balances_q_against_the_data():
    best, offset, alpha = 0.6, 2.0, 2.5
    actions = spread_actions()
    learner = quick(td3bc(alpha=alpha), bandit(actions, offset - (actions - best) ** 2), 1000)
    action = 0.0
    for _ in range(100):  # -w Q(pi) + (pi - a)^2 with Q = offset - (pi - best)^2 and w = alpha / |Q(pi)|
        weight = alpha / (offset - (action - best) ** 2)
        action = weight * best / (1 + weight)
    found = learner.policy().act(np.zeros((1, 1), np.float32)).item()
    assert found == pytest.approx(action, abs=0.04)


def test_iql_value_is_the_expectile_and_its_policy_the_weighted_mean():
    actions = spread_actions()
    learner = quick(iql(expectile=0.8, beta=4.0), bandit(actions, actions), 1200)
    value = expectile(actions, 0.8)
    assert learner.value(torch.zeros(1, 1)).item() == pytest.approx(value, abs=0.03)
    weights = np.minimum(np.exp(4.0 * (actions - value)), 100.0)
    mean = np.average(actions, weights=weights)
    assert learner.policy().act(np.zeros((1, 1), np.float32), deterministic=True).item() == pytest.approx(
        mean, abs=0.03
    )
    spread = np.sqrt(np.average((actions - mean) ** 2, weights=weights))
    assert learner.log_std.exp().item() == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("tau", [0.5, 0.7, 0.9])
def test_the_expectile_loss_is_least_at_the_expectile(tau: float):
    values = torch.from_numpy(np.random.default_rng(0).normal(size=200))
    at = torch.tensor(expectile(values.numpy(), tau), requires_grad=True)
    (slope,) = torch.autograd.grad(expectile_loss(values - at, tau), at)
    assert abs(slope.item()) < 1e-6


@pytest.mark.parametrize("make", [td3bc, iql], ids=["td3bc", "iql"])
@pytest.mark.parametrize("terminated", [True, False])
def test_values_end_at_terminals_and_go_on_past_timeouts(make, terminated: bool):
    learner = quick(make(discount=0.5), clock(terminated), 800)
    times = torch.arange(3.0)[:, None] / 3 if terminated else torch.zeros(3, 1)
    q = learner.critic(learner.observer.normalize(times), torch.zeros(3, 1)).min(0).values
    expected = [1.75, 1.5, 1.0] if terminated else [2.0] * 3  # sums of 0.5^k, to the end or without end
    np.testing.assert_allclose(q.numpy(), expected, atol=0.08)


@pytest.mark.parametrize("make", [TD3BC, IQL])
def test_the_target_is_exact(make: type):
    """Two episodes of two steps, one terminated and one cut off, under random linear networks."""
    observations = np.arange(6.0, dtype=np.float32).reshape(2, 3, 1) / 10
    episodes = from_arrays(
        list(observations),
        [np.full((2, 1), 0.5, np.float32)] * 2,
        [np.array([1.0, 2.0])] * 2,
        [np.array([False, True]), np.array([False, False])],
        observation_space=box(1),
        action_space=box(1),
    )
    nets = {"actor_net": LINEAR, "critic_net": LINEAR}
    learner = TD3BC(**nets) if make is TD3BC else IQL(**nets, value_net=LINEAR, return_range=None)
    learner.prepare(episodes)
    batch = learner.sampler(episodes).fetch(torch.arange(4))
    seen = (observations.reshape(-1) - observations.mean()) / (observations.std() + 1e-3)
    following = seen.reshape(2, 3)[:, 1:].reshape(-1)
    eps = torch.tensor([[0.1], [-5.0], [5.0], [1.0]])
    if isinstance(learner, TD3BC):
        weight, bias = linear(learner.actor_target[0])
        twins = [linear(twin) for twin in learner.critic_target.twins]
        noise = np.clip(0.2 * eps.numpy()[:, 0], -0.5, 0.5)
        actions = np.clip(np.tanh(following * weight[0] + bias) + noise, -1, 1)
        value = np.minimum(*(following * w[0] + actions * w[1] + b for w, b in twins))
        found = learner.target(batch, eps)
    else:
        weight, bias = linear(learner.value)
        value = following * weight[0] + bias
        found = learner.target(batch)
    expected = np.array([1, 2, 1, 2]) + 0.99 * np.array([1, 0, 1, 1]) * value
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def linear(net: torch.nn.Module) -> tuple[np.ndarray, float]:
    layer = net[0] if isinstance(net, torch.nn.Sequential) else net
    return layer.weight.detach().numpy()[0], layer.bias.item()


def test_iql_draws_from_the_gaussian_whose_density_it_gives():
    actions = 3 * spread_actions(64)
    episodes = from_arrays(
        np.zeros((128, 1), np.float32),
        actions.astype(np.float32)[:, None],
        np.zeros(64),
        np.ones(64, bool),
        lengths=[1] * 64,
        observation_space=box(1),
        action_space=box(1, -3, 3),
    )
    learner = IQL(actor_net=LINEAR, critic_net=LINEAR, value_net=LINEAR)
    learner.prepare(episodes)
    with torch.no_grad():
        learner.log_std.fill_(-2.0)
    states, wanted = torch.zeros(2000, 1), torch.linspace(-1, 1, 2000)[:, None]
    mean, spread = learner.mean(states[:1]).item(), 3 * np.exp(-2.0)
    np.testing.assert_allclose(
        learner.log_prob(states, wanted).detach().numpy(), norm.logpdf(wanted.numpy()[:, 0], mean, spread), rtol=1e-4
    )
    policy = learner.policy()
    policy.reset(np.ones(2000, bool), np.arange(2000))
    drawn = policy.act(states.numpy())
    assert drawn.mean() == pytest.approx(mean, abs=0.04)
    assert drawn.std() == pytest.approx(spread, rel=0.06)
    assert LOG_STD[0] < -2 < LOG_STD[1]


def test_iql_scales_rewards_to_the_range_of_returns():
    rewards = np.linspace(2, 6, 9)
    learner = IQL(return_range=1000.0, reward_shift=-1.0)
    episodes = bandit(np.zeros(9), rewards)
    learner.prepare(episodes)
    batch = learner.sampler(episodes).fetch(torch.arange(9))
    np.testing.assert_allclose(batch.rewards.numpy(), rewards * 250 - 1)


def test_iql_leaves_rewards_alone_where_returns_differ_by_rounding_only():
    rng = np.random.default_rng(0)
    rewards = [rng.permutation([*pay, -sum(pay) + left]) for left in (0.1, 0.0) for pay in [[0.1] * 9] * 20]
    for same in (rewards[:20], rewards[20:]):
        states, actions = np.zeros((11, 1), np.float32), np.zeros((10, 1), np.float32)
        episodes = from_arrays([states] * 20, [actions] * 20, same, observation_space=box(1), action_space=box(1))
        assert 0 < episodes.returns.max() - episodes.returns.min() < 1e-12
        learner = IQL(actor_net=LINEAR, critic_net=LINEAR, value_net=LINEAR)
        learner.prepare(episodes)
        assert float(learner.reward_scale) == 1.0


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (TD3BC, {"discount": 1.5}),
        (TD3BC, {"policy_delay": 0}),
        (SAC, {"polyak": -0.1}),
        (CQL, {"samples": 0}),
        (IQL, {"expectile": 1.5}),
        (IQL, {"lr": float("nan")}),
        (BC, {"lr": -1.0}),
        (GCBC, {"weight_decay": -1.0}),
        (RvS, {"lr": -1.0}),
        (DecisionTransformer, {"context": 0}),
        (SequenceBC, {"history": 0}),
        (LatentPlanPolicy, {"latent": 0}),
        (BehaviorTransformer, {"bins": 0}),
        (BESO, {"goal_dropout": 1.5}),
        (FlowPolicy, {"ema_decay": 2.0}),
        (DoC, {"energy_lr": -1.0}),
        (FutureVAE, {"candidates": 0}),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(make: type, wrong: dict):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        make(**wrong)


@pytest.mark.parametrize("make", [TD3BC, IQL, SAC, CQL])
@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (gym.spaces.Discrete(3), "Discrete.*bounded Box"),
        (gym.spaces.MultiBinary(2), "MultiBinary.*bounded Box"),
        (gym.spaces.Box(-np.inf, np.inf, (1,), np.float32), "unbounded Box.*bounded Box"),
    ],
)
def test_other_action_spaces_are_refused_by_name(make: type, space: gym.Space, reason: str):
    space.seed(0)
    actions = np.stack([np.asarray(space.sample()) for _ in range(4)])
    episodes = from_arrays(
        np.zeros((5, 1), np.float32),
        actions,
        np.zeros(4),
        lengths=[4],
        observation_space=box(1),
        action_space=space,
    )
    with pytest.raises(UnsupportedSpaceError, match=f"{make.__name__}.*{reason}"):
        make().prepare(episodes)
