"""What must hold for every learner over windows: a new one enters the list in toy_sequences and nothing here."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_data import box, equal_weights, observations, random_walks
from toy_sequences import LEARNERS, two_ways

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError
from genrl.data.policy import Policy
from genrl.learners.sequence import SequenceLearner
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

Make = Callable[..., SequenceLearner]
STEPS, COUNT = 7, 5

every = pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())


@pytest.fixture(scope="module", params=LEARNERS.values(), ids=LEARNERS.keys())
def fitted(request) -> SequenceLearner:
    return fit(request.param(), random_walks(within=10.0), 10, progress=False)


@pytest.fixture(scope="module")
def seen() -> list[dict[str, np.ndarray]]:
    """Observations of five environments over seven steps."""
    return [observations(COUNT, seed) for seed in range(STEPS)]


def rows(seen: list[dict[str, np.ndarray]], part: slice) -> list[dict[str, np.ndarray]]:
    return [{name: leaf[part] for name, leaf in step.items()} for step in seen]


def begin(policy: Policy, seeds: list[int]) -> Policy:
    policy.reset(np.ones(len(seeds), bool), np.array(seeds))
    return policy


def follow(policy: Policy, seen: list[dict[str, np.ndarray]]) -> np.ndarray:
    """(steps, environments, A) actions."""
    return np.stack([policy.act(step) for step in seen])


@every
@pytest.mark.parametrize(("history", "chunk", "goals"), [(1, 1, 0), (1, 1, 1), (4, 1, 2), (1, 4, 1), (2, 3, 0)])
def test_every_window_fits_and_acts(make: Make, history: int, chunk: int, goals: int, seen):
    learner = make(history=history, chunk=chunk, goal_length=goals)
    fit(learner, random_walks(), 3, progress=False)
    for execute in {1, chunk}:
        actions = follow(begin(learner.policy(execute), list(range(COUNT))), seen)
        assert actions.shape == (STEPS, COUNT, 2)
        assert np.abs(actions).max() <= 1
        assert actions.std(0).min() > 0  # what is seen matters


def test_a_checkpoint_gives_the_same_policy(fitted, seen, tmp_path):
    loaded = load(save(fitted, tmp_path / "learner.ckpt"))
    assert type(loaded) is type(fitted)
    assert equal_weights(fitted, loaded)
    first, second = (follow(begin(learner.policy(), list(range(COUNT))), seen) for learner in (fitted, loaded))
    np.testing.assert_array_equal(first, second)


def test_actions_do_not_depend_on_how_many_environments_act(fitted, seen):
    all_of_them = follow(begin(fitted.policy(), list(range(COUNT))), seen)
    for row in range(COUNT):
        alone = follow(begin(fitted.policy(), [row]), rows(seen, slice(row, row + 1)))
        np.testing.assert_array_equal(alone[:, 0], all_of_them[:, row])
    together = follow(begin(fitted.policy(together=8), list(range(COUNT))), seen)
    np.testing.assert_allclose(together, all_of_them, atol=1e-5)


@pytest.mark.parametrize("execute", [1, 2])
@pytest.mark.parametrize("moment", [2, 3])
def test_an_episode_knows_nothing_of_the_one_before_nor_of_its_neighbours(fitted, seen, execute, moment):
    """One of five environments begins anew; it acts as a fresh policy does, and the others as if nothing had been."""
    policy = begin(fitted.policy(execute), list(range(COUNT)))
    follow(policy, seen[:moment])
    policy.reset(np.arange(COUNT) == 1, np.full(COUNT, 77))
    after = follow(policy, seen[moment:])
    fresh = follow(begin(fitted.policy(execute), [77]), rows(seen[moment:], slice(1, 2)))
    np.testing.assert_array_equal(after[:, 1], fresh[:, 0])
    undisturbed = follow(begin(fitted.policy(execute), list(range(COUNT))), seen)[moment:]
    others = [0, 2, 3, 4]
    np.testing.assert_array_equal(after[:, others], undisturbed[:, others])
    assert not np.array_equal(after[:, 1], undisturbed[:, 1])


def test_a_given_goal_takes_the_place_of_the_desired_one(fitted, seen):
    goal = np.random.default_rng(9).normal(size=(COUNT, 2))
    given = begin(fitted.policy(), list(range(COUNT))).act(seen[0], Conditions(goal=torch.from_numpy(goal)))
    desired = begin(fitted.policy(), list(range(COUNT))).act({**seen[0], "desired_goal": goal})
    np.testing.assert_array_equal(given, desired)
    assert not np.array_equal(given, begin(fitted.policy(), list(range(COUNT))).act(seen[0]))


@pytest.mark.parametrize(
    ("goal", "complaint"),
    [
        (torch.zeros(COUNT, 3), r"must be \(5, 2\) or \(5, 1, 2\), not \(5, 3\)"),
        (torch.zeros(COUNT, 2, 2), r"must be \(5, 2\) or \(5, 1, 2\), not \(5, 2, 2\)"),
        (torch.zeros(4, 2), "has 4 rows for a batch of 5"),
        (torch.tensor([[0.0, 0.0]] * 4 + [[0.0, torch.nan]]), "NaN or infinite values in row 4"),
        (torch.tensor([[0.0, 0.0]] * 4 + [[torch.inf, 0.0]]), "NaN or infinite values in row 4"),
        (torch.tensor([[0.0, 0.0]] * 3 + [[0.0, -10.1]] * 2), "outside the observation space .* in row 3"),
    ],
)
def test_bad_goals_are_refused_by_name(fitted, seen, goal, complaint):
    policy = begin(fitted.policy(), list(range(COUNT)))
    with pytest.raises(ConditionError, match=f"The condition 'goal' .*{complaint}"):
        policy.act(seen[0], Conditions(goal=goal))


def test_a_wish_is_looked_at_between_plans_as_well(fitted, seen):
    policy = begin(fitted.policy(execute=2), list(range(COUNT)))
    policy.act(seen[0])
    with pytest.raises(ConditionError, match="does not understand the condition 'returns'"):
        policy.act(seen[1], Conditions(returns=torch.zeros(COUNT)))


def test_a_wish_is_looked_at_again_for_another_number_of_environments(fitted, seen):
    policy, wish = fitted.policy(), Conditions(goal=torch.zeros(COUNT, 2))
    begin(policy, list(range(COUNT))).act(seen[0], wish)
    fewer = {name: leaf[:2] for name, leaf in seen[0].items()}
    with pytest.raises(ConditionError, match="has 5 rows for a batch of 2"):
        begin(policy, [0, 1]).act(fewer, wish)


def test_a_goal_that_was_changed_in_its_place_is_another(fitted, seen):
    wish = Conditions(goal=torch.zeros(COUNT, 2))
    policy, other = (begin(fitted.policy(execute=1), list(range(COUNT))) for _ in range(2))
    for each in (policy, other):
        each.act(seen[0], wish)
    wish.goal.fill_(5.0)
    np.testing.assert_array_equal(policy.act(seen[1], wish), other.act(seen[1], Conditions(goal=wish.goal)))


@every
def test_whole_numbers_are_remembered_as_they_were_done(make: Make):
    rng = np.random.default_rng(0)
    episodes = from_arrays(
        list(rng.normal(size=(6, 9, 2)).astype(np.float32)),
        list(rng.integers(-2, 3, (6, 8, 1))),
        [np.zeros(8)] * 6,
        observation_space=box(2, -9, 9),
        action_space=gym.spaces.Box(-2, 2, (1,), np.int64),
    )
    learner = fit(make(goal_length=0), episodes, 2, progress=False)
    policy = begin(learner.policy(), [0])
    done = [int(policy.act(np.zeros((1, 2), np.float32))[0, 0]) for _ in range(2)]
    assert learner.scale.denormalize(policy._past)[0, :, 0].tolist() == pytest.approx(done, abs=1e-6)


def test_a_goal_of_the_environment_that_is_no_number_is_refused(fitted, seen):
    nowhere = {**seen[0], "desired_goal": np.full((COUNT, 2), np.nan)}
    with pytest.raises(ConditionError, match="environment's goal at 'desired_goal' holds NaN"):
        begin(fitted.policy(), list(range(COUNT))).act(nowhere)


def test_a_state_that_is_no_number_is_refused(fitted, seen):
    nowhere = {**seen[0], "observation": np.full((COUNT, 2), np.nan)}
    with pytest.raises(ConditionError, match="environment's observation at 'observation' holds NaN"):
        begin(fitted.policy(), list(range(COUNT))).act(nowhere)


@every
def test_who_learned_to_do_without_a_goal_acts_without_one(make: Make):
    """Where observations hold no desired goal."""
    learner = fit(make(), two_ways(20), 3, progress=False)
    policy, place = begin(learner.policy(), [0, 1]), np.zeros((2, 1), np.float32)
    if learner.goal_free:
        assert policy.act(place).shape == (2, 1)
    else:
        with pytest.raises(ConditionError, match="hold no desired goal"):
            policy.act(place)
    free = fit(make(goal_length=0), two_ways(20), 3, progress=False)
    assert free.goal_free
    assert begin(free.policy(), [0, 1]).act(place).shape == (2, 1)
    with pytest.raises(ConditionError, match="does not understand the condition 'goal'"):
        begin(free.policy(), [0, 1]).act(place, Conditions(goal=torch.zeros(2, 1)))
