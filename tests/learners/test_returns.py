"""RvS where the right action is known, and the windows and scale that return-conditioned learners see."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_data import LINEAR, SMALL, box, random_walks

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.errors import AlignmentError, ConditionError, ConfigurationError
from genrl.data.return_windows import ReturnWindowSampler
from genrl.learners.returns import Returns
from genrl.learners.rvs import RvS
from genrl.training.fit import fit

quick = partial(fit, progress=False, val_fraction=0.0)


def begin(policy, count: int):
    policy.reset(np.ones(count, bool), np.arange(count))
    return policy


def test_rvs_solves_a_bandit_for_the_action_that_earns_what_is_wanted():
    """r = a - s / 2, so a = R + s / 2, also for returns and states that were rare."""
    rng = np.random.default_rng(0)
    states, actions = rng.uniform(-1, 1, (2, 500))
    episodes = from_arrays(
        list(np.repeat(states, 2).reshape(500, 2, 1).astype(np.float32)),
        list(actions.reshape(500, 1, 1).astype(np.float32)),
        list((actions - states / 2)[:, None]),
        [np.ones(1, bool)] * 500,
        observation_space=box(1),
        action_space=box(1),
    )
    policy = begin(quick(RvS(net=LINEAR, lr=0.02, weight_decay=0.0), episodes, 400).policy(), 5)
    seen, wished = np.array([-0.9, -0.5, 0.0, 0.4, 0.8]), np.array([0.1, -0.6, 0.9, 0.3, -1.2])
    found = policy.act(seen[:, None].astype(np.float32), Conditions(returns=torch.from_numpy(wished)))
    np.testing.assert_allclose(found[:, 0], wished + seen / 2, atol=0.01)


def test_rvs_chooses_among_discrete_actions_by_what_they_pay():
    """Action k pays 2 k, one in four of them 1 more: at return 2 k + 1 the action is k as well."""
    actions = np.repeat(np.arange(3), 40)
    episodes = from_arrays(
        [np.zeros((2, 1), np.float32)] * 120,
        list(actions[:, None]),
        list((2.0 * actions + (np.arange(120) % 4 == 0))[:, None]),
        [np.ones(1, bool)] * 120,
        observation_space=box(1),
        action_space=gym.spaces.Discrete(3),
    )
    policy = begin(quick(RvS(net=SMALL, lr=0.01), episodes, 300).policy(), 6)
    wish = Conditions(returns=torch.arange(6))
    chosen = policy.act(np.zeros((6, 1), np.float32), wish, deterministic=True)
    np.testing.assert_array_equal(chosen, [0, 0, 1, 1, 2, 2])
    assert begin(policy, 1).act(np.zeros((1, 1), np.float32), deterministic=True) == 2  # the best by default


def test_rvs_goes_to_goals_where_there_are_some_and_takes_none_elsewhere():
    walks = random_walks()
    learner = quick(RvS(net=LINEAR), walks, 2)
    seen = {name: np.zeros((3, 2)) for name in ("observation", "achieved_goal", "desired_goal")}
    goal = np.random.default_rng(0).normal(size=(3, 2))
    given = begin(learner.policy(), 3).act(seen, Conditions(goal=torch.from_numpy(goal)))
    np.testing.assert_array_equal(given, begin(learner.policy(), 3).act({**seen, "desired_goal": goal}))
    plain = from_arrays(
        [np.zeros((2, 1), np.float32)] * 2,
        [np.zeros((1, 1), np.float32)] * 2,
        [np.zeros(1), np.ones(1)],
        observation_space=box(1),
        action_space=box(1),
    )
    with pytest.raises(ConditionError, match="RvS does not understand the condition 'goal'"):
        begin(quick(RvS(net=LINEAR), plain, 1).policy(), 1).act(
            np.zeros((1, 1), np.float32), Conditions(goal=torch.zeros(1, 1))
        )


@pytest.mark.parametrize("context", [1, 2, 5])
def test_windows_hold_the_steps_of_one_episode_and_its_own_return_to_go(context: int):
    lengths, rng = [4, 1, 7], np.random.default_rng(0)
    episodes = from_arrays(
        [rng.normal(size=(length + 1, 2)).astype(np.float32) for length in lengths],
        [rng.uniform(-1, 1, (length, 1)).astype(np.float32) for length in lengths],
        [rng.normal(size=length) for length in lengths],
        observation_space=gym.spaces.Box(-np.inf, np.inf, (2,), np.float32),
        action_space=box(1),
    )
    sampler = ReturnWindowSampler(
        episodes.observations[""], episodes.actions[""], episodes.returns_to_go(), episodes, context
    )
    assert len(sampler) == 12
    batch, item = sampler.fetch(torch.arange(12)), 0
    for episode in episodes:
        for first in range(int(episode.lengths[0])):
            steps = min(context, int(episode.lengths[0]) - first)
            assert batch.mask[item].tolist() == [True] * steps + [False] * (context - steps)
            rows = slice(first, first + steps)
            assert torch.equal(batch.observations[item, :steps], episode.observations[""][rows])
            assert torch.equal(batch.actions[item, :steps], episode.actions[""][rows])
            assert batch.times[item, :steps].tolist() == list(range(first, first + steps))
            to_go = [float(episode.rewards[step:].sum()) for step in range(first, first + steps)]
            np.testing.assert_allclose(batch.returns[item, :steps].numpy(), to_go, rtol=1e-5)
            item += 1
    assert item == 12


def test_windows_that_do_not_fit_are_refused():
    walks = random_walks()
    rows, total = walks.num_transitions + len(walks), walks.num_transitions
    good = (torch.zeros(rows, 2), torch.zeros(total, 2), torch.zeros(total), walks)
    with pytest.raises(AlignmentError, match="not 126 observations, 120 actions and 119 returns"):
        ReturnWindowSampler(*good[:2], torch.zeros(total - 1), walks, 1)
    with pytest.raises(ConfigurationError, match="at least one step, not 0"):
        ReturnWindowSampler(*good, 0)


def test_returns_are_standardised_over_all_steps_of_the_data():
    walks, returns = random_walks(), Returns()
    returns.fit(walks)
    to_go = np.concatenate([np.cumsum(episode.rewards.numpy()[::-1])[::-1] for episode in walks])
    found = returns(torch.from_numpy(np.array([to_go[3], to_go.mean(), 0.0])))
    expected = (np.array([to_go[3], to_go.mean(), 0.0]) - to_go.mean()) / to_go.std()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
