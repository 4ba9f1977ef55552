from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_data import LINEAR, box

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError, UnsupportedSpaceError
from genrl.learners.bc import BC
from genrl.learners.gcbc import GCBC
from genrl.learners.heads import ActionHead
from genrl.training.fit import fit

WIDE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
quick = partial(fit, progress=False, val_fraction=0.0)


def test_bc_recovers_a_linear_policy_where_it_was_not_trained():
    rng = np.random.default_rng(0)
    weights, bias = np.array([[0.3, -0.2], [0.1, 0.5]]), np.array([0.2, -0.1])
    states = rng.normal(size=(10, 41, 2)).astype(np.float32)
    actions = [s[:-1] @ weights + bias for s in states]
    episodes = from_arrays(
        list(states),
        [a.astype(np.float32) for a in actions],
        [np.zeros(40)] * 10,
        observation_space=WIDE,
        action_space=box(2, -5, 5),
    )
    learner = quick(BC(net=LINEAR, lr=0.05, weight_decay=0.0), episodes, 400)
    unseen = rng.normal(size=(50, 2)).astype(np.float32)
    np.testing.assert_allclose(learner.policy().act(unseen), unseen @ weights + bias, atol=2e-3)
    far = learner.policy().act(np.full((1, 2), 100, np.float32))
    assert far.max() == 5  # clipped to the space


def table(counts: np.ndarray) -> Episodes:
    """Single steps: in state s, action a occurs ``counts[s, a]`` times."""
    states = np.repeat(np.arange(counts.shape[0]), counts.sum(1))
    actions = np.concatenate([np.repeat(np.arange(counts.shape[1]), row) for row in counts])
    return from_arrays(
        np.repeat(states, 2),
        actions + 5,
        np.zeros(len(states)),
        np.ones(len(states), bool),
        lengths=[1] * len(states),
        observation_space=gym.spaces.Discrete(counts.shape[0]),
        action_space=gym.spaces.Discrete(counts.shape[1], start=5),
    )


def test_discrete_bc_learns_the_table_of_frequencies_and_draws_from_it():
    counts = np.array([[6, 2, 2], [1, 8, 1], [3, 3, 14]])
    learner = quick(BC(net=LINEAR, lr=0.1, weight_decay=0.0), table(counts), 500, batch_size=512)
    policy = learner.policy()
    np.testing.assert_array_equal(policy.act(np.arange(3), deterministic=True), [5, 6, 7])
    states = np.repeat(np.arange(3), 1500)
    policy.reset(np.ones(len(states), bool), np.arange(len(states)))
    drawn = policy.act(states)
    found = np.array([np.bincount(drawn[states == s] - 5, minlength=3) for s in range(3)]) / 1500
    np.testing.assert_allclose(found, counts / counts.sum(1, keepdims=True), atol=0.05)
    with pytest.raises(UnsupportedSpaceError, match="no mean"):
        learner.mean(torch.eye(3))


def test_the_loss_of_a_mixed_action_space_is_the_sum_of_its_parts():
    space = gym.spaces.Dict(
        {
            "box": box(2),
            "choice": gym.spaces.MultiDiscrete([2, 3]),
            "switches": gym.spaces.MultiBinary(2),
        }
    )
    head = ActionHead(space)
    actions = {
        "box": torch.tensor([[0.5, -0.5], [-0.5, 0.5]]),
        "choice": torch.tensor([[0, 2], [1, 0]]),
        "switches": torch.tensor([[1, 0], [1, 1]], dtype=torch.int8),
    }
    head.fit(actions)
    columns = head.codec.encode(actions)
    outputs = torch.randn(2, head.dim, generator=torch.Generator().manual_seed(0))
    logits = outputs.double().numpy()
    for row in range(2):
        squared = np.mean((logits[row, :2] - actions["box"][row].numpy() / 0.5) ** 2)
        first, second = (np.exp(p) / np.exp(p).sum() for p in np.split(logits[row, 2:7], [2]))
        choices = -np.log(first[actions["choice"][row, 0]]) - np.log(second[actions["choice"][row, 1]])
        on = 1 / (1 + np.exp(-logits[row, 7:]))
        switches = -np.log(np.where(actions["switches"][row].numpy() == 1, on, 1 - on)).sum()
        assert head.loss(outputs, columns)[row].item() == pytest.approx(squared + choices + switches, rel=1e-5)
    decoded = head.codec.decode(head.columns(outputs, torch.rand(2, head.dim, dtype=torch.float64)))
    assert space.contains({path: leaf[0].numpy() for path, leaf in decoded.items()})


def jumps(count: int = 400) -> Episodes:
    """Episodes of one step s' = s + a: the action towards the goal s' is a = s' - s."""
    rng = np.random.default_rng(0)
    places = rng.uniform(-1, 1, (count, 2, 1))
    places[:, 1] = places[:, 0] + rng.uniform(-1, 1, (count, 1))
    asked = np.full((count, 2, 1), 7.0)  # the goal that was recorded is never reached
    space = gym.spaces.Dict(
        dict.fromkeys(
            ("observation", "achieved_goal", "desired_goal"), gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
        )
    )
    return from_arrays(
        [{"observation": p, "achieved_goal": p, "desired_goal": g} for p, g in zip(places, asked, strict=True)],
        [(p[1:] - p[:1]).astype(np.float32) for p in places],
        [np.zeros(1)] * count,
        observation_space=space,
        action_space=box(1),
    )


def test_gcbc_goes_to_goals_that_it_reached_in_hindsight():
    learner = quick(GCBC(net=LINEAR, lr=0.05, weight_decay=0.0), jumps(), 400)
    place, goal = np.array([[0.1], [-0.5], [0.9]]), np.array([[0.4], [0.3], [0.2]])
    policy = learner.policy()
    seen = {"observation": place, "achieved_goal": place, "desired_goal": goal}
    np.testing.assert_allclose(policy.act(seen), goal - place, atol=5e-3)
    elsewhere = Conditions(goal=torch.from_numpy(place))
    np.testing.assert_allclose(policy.act(seen, elsewhere), 0.0, atol=5e-3)


def test_without_goals_in_the_observation_gcbc_needs_one_and_bc_takes_none():
    states = [np.cumsum(np.ones((5, 2), np.float32), 0)] * 4
    episodes = from_arrays(
        states, [np.ones((4, 1), np.float32)] * 4, [np.zeros(4)] * 4, observation_space=WIDE, action_space=box(1)
    )
    seen = np.zeros((3, 2), np.float32)
    goals = Conditions(goal=torch.ones(3, 2))
    learner = quick(GCBC(net=LINEAR), episodes, 2)
    assert learner.policy().act(seen, goals).shape == (3, 1)
    with pytest.raises(ConditionError, match="no desired goal"):
        learner.policy().act(seen)
    with pytest.raises(ConditionError, match=r"must be \(3, 2\)"):
        learner.policy().act(seen, Conditions(goal=torch.ones(3, 1)))
    with pytest.raises(ConditionError, match="BC does not understand the condition 'goal'"):
        quick(BC(net=LINEAR), episodes, 2).policy().act(seen, goals)
