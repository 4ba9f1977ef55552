"""What every learner of latent futures has to do: resume, keep, act per environment, refuse."""

from collections.abc import Callable
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_data import alone_and_together, bandit, box, equal_weights, observations, random_walks, trainer, walks_data
from toy_futures import LEARNERS, Bandit, pulls

from genrl.data.alone import Alone
from genrl.data.arrays import from_arrays
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.learners.future_conditioned import FutureConditioned
from genrl.learners.latents import CategoricalLatent
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

Make = Callable[..., FutureConditioned]
COUNT, STEPS = 4, 6

every = pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())


@pytest.fixture(scope="module", params=LEARNERS.values(), ids=LEARNERS.keys())
def fitted(request) -> FutureConditioned:
    return fit(request.param(), random_walks(), 10, progress=False)


def follow(policy, seeds: list[int], rows: slice = slice(None), **how) -> np.ndarray:
    """(steps, environments, A) actions over a fixed sequence of observations."""
    policy.reset(np.ones(len(seeds), bool), np.array(seeds))
    return np.stack([live(policy, step, rows, **how) for step in range(STEPS)])


def live(policy, step: int, rows: slice = slice(None), **how) -> np.ndarray:
    return policy.act({name: leaf[rows] for name, leaf in observations(COUNT, step).items()}, **how)


@every
def test_validation_tells_the_parts_of_the_loss(make: Make, tmp_path):
    looked = trainer(tmp_path, max_epochs=1, enable_checkpointing=False)
    looked.fit(make(), datamodule=walks_data())
    assert {"val_loss", "val_nll", "val_value_error", "val_divergence", "val_latents"} <= set(looked.callback_metrics)


def test_a_checkpoint_gives_the_same_policy(fitted, tmp_path):
    loaded = load(save(fitted, tmp_path / "learner.ckpt"))
    assert type(loaded) is type(fitted)
    assert loaded.latent == fitted.latent
    assert equal_weights(fitted, loaded)
    first, second = (follow(learner.policy(), list(range(COUNT))) for learner in (fitted, loaded))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("deterministic", [True, False])
def test_actions_do_not_depend_on_how_many_environments_act(fitted, deterministic):
    policy = fitted.policy()
    together = follow(policy, list(range(COUNT)), deterministic=deterministic)
    assert together.shape == (STEPS, COUNT, 2)
    assert together.dtype == np.float32
    assert np.abs(together).max() <= 1
    for row in range(COUNT):
        alone = fitted.policy()
        np.testing.assert_array_equal(
            follow(alone, [row], slice(row, row + 1), deterministic=deterministic)[:, 0], together[:, row]
        )
        np.testing.assert_array_equal(alone.latents[0], policy.latents[row])
        assert alone.predicted_value[0] == policy.predicted_value[row]


def test_environments_asked_together_act_as_alone_to_rounding(fitted):
    """Three of four at once, one of which begins anew on the way and so has another past than its neighbours."""
    for step, (alone, together) in enumerate(alone_and_together(fitted, COUNT, STEPS)):
        np.testing.assert_allclose(live(together, step), live(alone, step), atol=1e-5)
        np.testing.assert_allclose(together.predicted_value, alone.predicted_value, rtol=1e-5)
    with pytest.raises(ConfigurationError, match="at least 1 environment together, not 0"):
        fitted.policy(together=0)


def test_an_episode_knows_nothing_of_the_one_before_nor_of_its_neighbours(fitted):
    """One of four environments begins anew; it acts as a fresh policy does, and the others as if nothing had been."""
    undisturbed = follow(fitted.policy(), list(range(COUNT)))
    policy, fresh = fitted.policy(), fitted.policy()
    policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
    for step in range(2):
        live(policy, step)
    policy.reset(np.arange(COUNT) == 1, np.full(COUNT, 77))
    assert np.isnan(policy.predicted_value).tolist() == [False, True, False, False]
    fresh.reset(np.ones(1, bool), np.array([77]))
    for step in range(2, STEPS):
        actions = live(policy, step)
        np.testing.assert_array_equal(actions[1], live(fresh, step, slice(1, 2))[0])
        np.testing.assert_array_equal(actions[[0, 2, 3]], undisturbed[step][[0, 2, 3]])


def test_the_latent_followed_is_the_best_of_the_candidates_and_stays(fitted):
    """Against the value network on candidates drawn anew; the actions are those of the same latent given by name."""
    policy = fitted.policy(candidates=20, follow=STEPS)
    actions = follow(policy, list(range(COUNT)), deterministic=True)
    s_0 = fitted.observer({name: torch.from_numpy(leaf) for name, leaf in observations(COUNT, 0).items()})
    with torch.no_grad():
        for row in range(COUNT):
            noise = np.random.default_rng(row).standard_normal((20, fitted.latent.size), np.float32)
            start = s_0[row].expand(20, -1)
            z = fitted.latent.sample(fitted.model.p(start), torch.from_numpy(noise))
            values = fitted.returns.normalizer.denormalize(fitted.model.V(z, start)[:, None])[:, 0]
            np.testing.assert_allclose(policy.predicted_value[row], float(values.max()), rtol=1e-5)
            np.testing.assert_allclose(policy.latents[row], z[values.argmax()].numpy(), rtol=1e-5)
    wish = Conditions(latent=torch.from_numpy(policy.latents))
    given = fitted.policy(follow=STEPS)
    np.testing.assert_array_equal(follow(given, list(range(COUNT)), conditions=wish, deterministic=True), actions)
    one = fitted.policy(candidates=1, follow=STEPS)
    follow(one, list(range(COUNT)))
    assert (one.predicted_value <= policy.predicted_value + 1e-3).all()


def test_another_latent_is_chosen_when_one_has_been_followed(fitted):
    """Every two steps the best of the next candidates, and from there as a policy does that has seen nothing before."""
    policy = fitted.policy(candidates=20, follow=2)
    policy.reset(np.ones(1, bool), np.zeros(1, np.int64))
    generator = np.random.default_rng(0)
    for step in range(STEPS):
        action = live(policy, step, slice(1), deterministic=True)
        if step % 2 == 0:
            noise = torch.from_numpy(generator.standard_normal((20, fitted.latent.size), np.float32))
            seen = fitted.observer(
                {name: torch.from_numpy(leaf[:1]) for name, leaf in observations(COUNT, step).items()}
            ).expand(20, -1)
            with torch.no_grad():
                best = fitted.model.V(fitted.latent.sample(fitted.model.p(seen), noise), seen)[:, None].max()
            worth = float(fitted.returns.normalizer.denormalize(best[None]))
            wish = Conditions(latent=torch.from_numpy(policy.latents))
            fresh = fitted.policy()
            fresh.reset(np.ones(1, bool), np.zeros(1, np.int64))
        np.testing.assert_allclose(policy.predicted_value[0], worth, rtol=1e-5)
        np.testing.assert_array_equal(action, live(fresh, step, slice(1), conditions=wish, deterministic=True))


def test_a_latent_is_followed_as_long_as_it_tells(fitted):
    policy = fitted.policy(candidates=5)
    assert policy.follow == fitted.horizon
    assert fitted.policy(follow=3).follow == 3
    with pytest.raises(ConfigurationError, match="at least 1 step, not 0"):
        fitted.policy(follow=0)


def test_drawn_actions_differ_and_likely_ones_do_not(fitted):
    states, latent = torch.zeros(200, fitted.observer.dim), torch.zeros(200, fitted.latent.size)
    drawn = []
    for deterministic in (True, False):
        policy = fitted.policy()
        policy.reset(np.ones(200, bool), np.arange(200))
        drawn.append(policy.respond(states, latent, deterministic))
    assert float(drawn[0].std(0).max()) < 1e-6
    assert float(drawn[1].std(0).min()) > 0.05


@every
def test_what_is_followed_is_kept_beside_collected_episodes(make: Make):
    learner = fit(make(), pulls(0.2, 50), 5, progress=False)
    play = partial(collect, partial(Bandit, 0.2), episodes=5, seed=3)
    played = play(learner.policy(candidates=1), num_envs=2)
    assert played.infos["latent"].shape == (5, learner.latent.size)
    policy = learner.policy(candidates=1)
    again = play(policy, num_envs=5)
    torch.testing.assert_close(again.infos, played.infos, rtol=0, atol=0)
    np.testing.assert_array_equal(policy.predicted_value, played.infos["predicted_value"].numpy())
    env = Bandit(0.2)
    alone = Alone.of(learner.policy(candidates=1), env)
    alone.reset(seed=0)
    assert alone.act(env.reset(seed=0)[0]) in (0, 1)


@every
def test_episodes_shorter_than_the_window_and_mixed_lengths_are_taken(make: Make):
    rng = np.random.default_rng(0)
    lengths = [1, 9, 2]
    data = from_arrays(
        [rng.normal(size=(length + 1, 2)).clip(-1, 1).astype(np.float32) for length in lengths],
        [rng.integers(0, 3, length) for length in lengths],
        [rng.normal(size=length) for length in lengths],
        observation_space=box(2),
        action_space=gym.spaces.Discrete(3),
    )
    learner = fit(make(), data, 6, batch_size=4, val_fraction=0.0, progress=False)
    policy = learner.policy()
    policy.reset(np.ones(2, bool), np.arange(2))
    assert set(policy.act(np.zeros((2, 2), np.float32)).tolist()) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (Conditions(latent=torch.zeros(COUNT, 9)), r"'latent' must be \(4, [34]\)"),
        (Conditions(latent=torch.zeros(3, 4)), "has 3 rows for a batch of 4"),
        (Conditions(returns=torch.zeros(COUNT)), "does not understand the condition 'returns'; .* goal, latent"),
    ],
)
def test_bad_wishes_are_refused_by_name(fitted, wish, complaint):
    policy = fitted.policy()
    policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
    with pytest.raises(ConditionError, match=complaint):
        policy.act(observations(COUNT), wish)
    policy.reset(np.ones(3, bool), np.arange(3))
    with pytest.raises(ConfigurationError, match="reset it for 4 environments"):
        policy.act(observations(COUNT))


def test_what_is_no_number_is_refused(fitted):
    policy = fitted.policy()
    for leaf in ("observation", "desired_goal"):
        policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
        with pytest.raises(ConditionError, match=f"at '{leaf}' holds NaN"):
            policy.act({**observations(COUNT), leaf: np.full((COUNT, 2), np.nan)})


@every
def test_settings_out_of_range_are_refused(make: Make):
    for bad in ({"candidates": 0}, {"horizon": 0}, {"beta": -1.0}):
        with pytest.raises(ConfigurationError, match=next(iter(bad))):
            make(**bad)
    with pytest.raises(ConfigurationError, match="at least one column"):
        CategoricalLatent(0)
    with pytest.raises(ConfigurationError, match=r"all 9 training episodes have the return 3: .* BC"):
        make().prepare(bandit(np.zeros(9), np.full(9, 3.0)))


def test_choices_out_of_range_are_refused(fitted):
    for bad, complaint in (({"candidates": 0}, "at least 1 latent"), ({"least_mass": 1.0}, "from 0 to below 1")):
        with pytest.raises(ConfigurationError, match=complaint):
            fitted.policy(**bad)
    policy = fitted.policy(least_mass=0.999)
    policy.reset(np.ones(COUNT, bool), np.arange(COUNT))
    with pytest.raises(ConfigurationError, match=r"lower least_mass|take no least mass"):
        policy.act(observations(COUNT))
