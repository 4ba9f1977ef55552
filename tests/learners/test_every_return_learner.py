"""What must hold for every return-conditioned learner: a new one enters the list in toy_returns and nothing here."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from toy_data import alone_and_together, bandit, equal_weights, observations, random_walks
from toy_returns import EXACT, LEARNERS, two_payments

from genrl.data.alone import Alone
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.policies import RandomPolicy
from genrl.data.return_windows import ReturnWindows
from genrl.learners.return_conditioned import ReturnConditioned
from genrl.methods.steered import Guidance
from genrl.synthesis.lead import lead
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, WORLD_MODEL

Make = Callable[..., ReturnConditioned]
COUNT, STEPS = 4, 6

every = pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())


@pytest.fixture(scope="module", params=LEARNERS.values(), ids=LEARNERS.keys())
def fitted(request) -> ReturnConditioned:
    return fit(request.param(), random_walks(), 10, progress=False)


def follow(policy, seeds: list[int], rows: slice = slice(None), **how) -> np.ndarray:
    """(steps, environments, A) actions over a fixed sequence of observations and rewards."""
    policy.reset(np.ones(len(seeds), bool), np.array(seeds))
    return np.stack([live(policy, step, rows, **how) for step in range(STEPS)])


def live(policy, step: int, rows: slice = slice(None), **how) -> np.ndarray:
    seen = {name: leaf[rows] for name, leaf in observations(COUNT, step).items()}
    actions = policy.act(seen, **how)
    policy.receive(np.random.default_rng(step).normal(size=COUNT)[rows])
    return actions


def test_a_checkpoint_gives_the_same_policy(fitted, tmp_path):
    loaded = load(save(fitted, tmp_path / "learner.ckpt"))
    assert type(loaded) is type(fitted)
    assert equal_weights(fitted, loaded)
    first, second = (follow(learner.policy(), list(range(COUNT))) for learner in (fitted, loaded))
    np.testing.assert_array_equal(first, second)
    assert loaded.policy().target == fitted.policy().target


def test_actions_do_not_depend_on_how_many_environments_act(fitted):
    together = follow(fitted.policy(), list(range(COUNT)))
    assert together.shape == (STEPS, COUNT, 2)
    assert together.dtype == np.float32
    assert np.abs(together).max() <= 1
    for row in range(COUNT):
        alone = follow(fitted.policy(), [row], slice(row, row + 1))
        np.testing.assert_array_equal(alone[:, 0], together[:, row])


def test_environments_asked_together_act_as_alone_to_rounding(fitted):
    """Three of four at once, one of which begins anew on the way and so has another past than its neighbours."""
    for step, (alone, together) in enumerate(alone_and_together(fitted, COUNT, STEPS)):
        np.testing.assert_allclose(live(together, step), live(alone, step), atol=1e-5)
    with pytest.raises(ConfigurationError, match="at least 1 environment together, not 0"):
        fitted.policy(together=0)


@pytest.mark.parametrize("moment", [1, 3])
def test_an_episode_knows_nothing_of_the_one_before_nor_of_its_neighbours(fitted, moment):
    """One of four environments begins anew; it acts as a fresh policy does, and the others as if nothing had been."""
    undisturbed = follow(fitted.policy(), list(range(COUNT)))
    policy, fresh = fitted.policy(), fitted.policy()
    policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
    for step in range(moment):
        live(policy, step)
    policy.reset(np.arange(COUNT) == 1, np.full(COUNT, 77))
    fresh.reset(np.ones(1, bool), np.array([77]))
    for step in range(moment, STEPS):
        actions = live(policy, step)
        np.testing.assert_array_equal(actions[1], live(fresh, step, slice(1, 2))[0])
        np.testing.assert_array_equal(actions[[0, 2, 3]], undisturbed[step][[0, 2, 3]])
        assert not np.array_equal(actions[1], undisturbed[step][1])


@cache
def hops(episodes: int = 8) -> Episodes:
    return collect("Hopper-v5", RandomPolicy(make_env("Hopper-v5").action_space), episodes, seed=0)


@every
def test_the_target_falls_by_the_rewards_of_a_real_environment(make: Make):
    """Every action of played episodes, against the network under the target less what the episode had earned by then.

    Three environments play seven episodes of different lengths, so that each is begun anew while others go on.
    """
    learner = fit(make(), hops(), 10, progress=False)
    wished = torch.linspace(-50, 200, 7, dtype=torch.float64)
    play = partial(collect, "Hopper-v5", episodes=7, seed=3, num_envs=3, env_options={"reset_noise_scale": 0.1})
    told = play(policy=learner.policy(), conditions=Conditions(returns=wished))
    constant = play(policy=learner.policy(target_return=123.0))
    for played, targets in ((told, wished), (constant, torch.full((7,), 123.0))):
        assert len(set(played.lengths.tolist())) > 2
        for episode, target in zip(played, targets, strict=True):
            earned = episode.rewards.cumsum(0) - episode.rewards
            expected = [replay(learner, episode, target - earned, step) for step in range(len(earned))]
            np.testing.assert_allclose(episode.actions[""].numpy(), np.stack(expected), atol=2e-6)
    assert not np.allclose(told.actions[""][:1], constant.actions[""][:1])


def replay(learner: ReturnConditioned, episode: Episodes, remaining: torch.Tensor, step: int) -> np.ndarray:
    """The action at ``step`` of an episode, from the rows of at most ``context`` steps."""
    rows = slice(max(step + 1 - learner.context, 0), step + 1)
    actions = learner.head.codec.encode(episode.actions)[rows].clone()
    actions[-1] = 5.0  # the action that is asked for cannot be seen
    window = ReturnWindows(
        learner.observer(episode.observations)[rows][None],
        actions[None],
        learner.returns(remaining)[rows][None],
        torch.arange(len(remaining))[rows][None],
        torch.ones(1, len(actions), dtype=torch.bool),
    )
    with torch.no_grad():
        outputs = learner(window)[:, -1]
    return learner.head.codec.decode(learner.head.columns(outputs))[""][0].numpy()


@every
def test_an_ordinary_loop_tells_the_rewards(make: Make):
    """``Alone`` in one environment does what ``collect`` does."""
    learner, env = fit(make(), hops(), 5, progress=False), make_env("Hopper-v5")
    played = collect("Hopper-v5", learner.policy(), 1, seed=0, deterministic=True)
    alone, over = Alone.of(learner.policy(), env), False
    observation, _ = env.reset(seed=int(played.seeds[0]))
    alone.reset()
    actions = []
    while not over:
        actions.append(alone.act(observation, deterministic=True))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        alone.receive(reward)
        over = terminated or truncated
    np.testing.assert_array_equal(np.stack(actions), played.actions[""].numpy())


def test_a_policy_that_was_not_told_a_reward_says_so(fitted):
    policy = fitted.policy()
    with pytest.raises(ConfigurationError, match="reset it for 4 environments"):
        policy.act(observations(COUNT))
    with pytest.raises(ConfigurationError, match="reset it for 3 environments"):
        policy.receive(np.zeros(3))
    policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
    policy.act(observations(COUNT))
    policy.reset(np.arange(COUNT) > 0, np.arange(COUNT))  # the first episode goes on
    with pytest.raises(ConfigurationError, match="receive"):
        policy.act(observations(COUNT))
    policy.receive(np.zeros(COUNT))
    assert policy.act(observations(COUNT)).shape == (COUNT, 2)


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (Conditions(returns=torch.zeros(COUNT, 1)), r"'returns' must be \(4,\)"),
        (Conditions(returns=torch.zeros(3)), "has 3 rows for a batch of 4"),
        (Conditions(outcome=torch.zeros(COUNT)), "does not understand the condition 'outcome'; .* goal, returns"),
    ],
)
def test_bad_wishes_are_refused_by_name(fitted, wish, complaint):
    policy = fitted.policy()
    policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
    with pytest.raises(ConditionError, match=complaint):
        policy.act(observations(COUNT), wish)
    with pytest.raises(ConfigurationError, match="finite return"):
        fitted.policy(target_return=np.inf)


@every
def test_the_target_is_the_best_return_of_the_data(make: Make):
    learner = make()
    learner.prepare(random_walks())
    assert learner.policy().target == pytest.approx(float(random_walks().returns.max()), rel=1e-6)
    assert learner.policy(target_return=2.5).target == 2.5


@every
def test_a_further_fit_aims_at_the_best_return_of_its_data(make: Make):
    learner = fit(make(), random_walks(), 1, val_fraction=0.0, progress=False)
    better = replace(random_walks(seed=1), rewards=random_walks(seed=1).rewards + 10)
    fit(learner, better, 1, val_fraction=0.0, progress=False)
    assert learner.policy().target == pytest.approx(float(better.returns.max()), rel=1e-6)


@every
def test_what_is_no_number_is_refused(make: Make):
    policy = fit(make(), random_walks(), 1, progress=False).policy()
    for leaf in ("observation", "desired_goal"):
        policy.reset(np.ones(3, bool), np.arange(3))
        with pytest.raises(ConditionError, match=f"at '{leaf}' holds NaN"):
            policy.act({**observations(3), leaf: np.full((3, 2), np.nan)})


@every
def test_data_that_tell_nothing_apart_are_refused(make: Make):
    with pytest.raises(ConfigurationError, match=r"all 9 training episodes have the return 3: .* BC"):
        make().prepare(bandit(np.zeros(9), np.full(9, 3.0)))


@pytest.mark.parametrize("make", EXACT.values(), ids=EXACT.keys())
def test_what_is_left_to_earn_decides_the_second_payment(make: Make):
    """The mean of the first action is half the return wanted, the second is all of what is left."""
    learner = fit(make(), two_payments(), 400, batch_size=128, progress=False, val_fraction=0.0)
    wished, paid = np.array([1.0, 0.4, -0.8]), np.array([0.5, 0.9, -0.6])
    policy = learner.policy()
    policy.reset(np.ones(3, bool), np.arange(3))
    wish = Conditions(returns=torch.from_numpy(wished))
    first = policy.act(np.zeros((3, 1), np.float32), wish)[:, 0]
    policy.receive(paid)
    second = policy.act(np.full((3, 1), 0.5, np.float32), wish)[:, 0]
    np.testing.assert_allclose(first, wished / 2, atol=0.08)
    np.testing.assert_allclose(second, wished - paid, atol=0.08)


def test_it_leads_no_method(fitted):
    for model in (WORLD_MODEL(), METHODS["trajectory-mlp"]()):
        with pytest.raises(ConfigurationError, match=f"A {type(fitted).__name__} acts by the rewards"):
            lead(model, {"guide": fitted}, Guidance())
