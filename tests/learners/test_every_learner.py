"""What must hold for every learner: a new one enters the list in toy_data and nothing here."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import LambdaCallback
from toy_data import LEARNERS, equal_weights, observations, random_walks, trainer, walks_data

from genrl.data.batch import Transitions
from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.spaces import flatten
from genrl.learners.learner import Learner
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

pytestmark = pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
Make = Callable[[], Learner]


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_epochs": 2},
        {"max_epochs": -1, "max_steps": 13},
        {"max_epochs": 3, "limit_train_batches": 0.5},
        {"max_epochs": 2, "limit_train_batches": 7, "max_steps": 12},
        {"max_epochs": 2, "limit_val_batches": 0},
    ],
)
def test_learning_rates_reach_zero_at_the_end_or_never_fall(make: Make, bounds: dict, tmp_path):
    begun = []
    note = LambdaCallback(on_train_start=lambda whole, learner: begun.extend(rates(whole)))
    whole = trainer(tmp_path, callbacks=[note], enable_checkpointing=False, **bounds)
    whole.fit(make(), datamodule=walks_data())
    assert len(begun) > 0
    falls = bool(whole.lr_scheduler_configs)
    assert rates(whole) == [*begun[:-1], pytest.approx(0.0, abs=1e-9) if falls else begun[-1]]


def rates(whole: Trainer) -> list[float]:
    """The last one is the policy's."""
    return [group["lr"] for optimizer in whole.optimizers for group in optimizer.param_groups]


def test_a_checkpoint_gives_the_same_policy(make: Make, tmp_path):
    learner = fit(make(), random_walks(), 20, progress=False)
    loaded = load(save(learner, tmp_path / "learner.ckpt"))
    assert isinstance(loaded, Learner)
    assert equal_weights(learner, loaded)
    seen = observations(5)
    for deterministic in (True, False):
        policies = [learner.policy(), loaded.policy()]
        for policy in policies:
            policy.reset(np.ones(5, bool), np.arange(5))
        first, second = (policy.act(seen, deterministic=deterministic) for policy in policies)
        np.testing.assert_array_equal(first, second)


def test_actions_do_not_depend_on_how_many_environments_act(make: Make):
    learner = fit(make(), random_walks(), 5, progress=False)
    policy = learner.policy()
    seen = observations(7)
    policy.reset(np.ones(7, bool), np.arange(7))
    together = policy.act(seen)
    assert together.shape == (7, 2)
    assert together.dtype == np.float32
    assert np.abs(together).max() <= 1
    for row in range(7):
        policy.reset(np.ones(1, bool), np.array([row]))
        alone = policy.act({name: leaf[row : row + 1] for name, leaf in seen.items()})
        np.testing.assert_array_equal(alone[0], together[row])
    faster = learner.policy(together=3)
    faster.reset(np.ones(7, bool), np.arange(7))
    np.testing.assert_allclose(faster.act(seen), together, atol=1e-5)
    with pytest.raises(ConfigurationError, match="at least 1 environment together, not 0"):
        learner.policy(together=0)


def test_the_mean_is_the_deterministic_action_and_has_a_gradient(make: Make):
    learner = fit(make(), random_walks(), 5, progress=False)
    seen = observations(4)
    columns = torch.from_numpy(np.concatenate([seen["observation"], seen["desired_goal"]], axis=1)).float()
    states = columns.requires_grad_()
    mean = learner.mean(states)
    action = learner.policy().act(seen, deterministic=True)
    np.testing.assert_allclose(np.clip(mean.detach().numpy(), -1, 1), action, atol=1e-6)
    (gradient,) = torch.autograd.grad(mean.sum(), states)
    assert gradient.abs().sum() > 0


def test_batches_are_standardised_and_of_the_training_episodes(make: Make):
    learner = make()
    walks = random_walks()
    learner.prepare(walks)
    sampler = learner.sampler(walks)
    batch = sampler.fetch(torch.arange(len(sampler)), torch.Generator().manual_seed(0))
    assert isinstance(batch, Transitions)
    assert len(sampler) == walks.num_transitions
    torch.testing.assert_close(batch.observations.mean(0), torch.zeros(batch.observations.shape[1]), atol=0.1, rtol=0)
    position = flatten(walks.observation_space, walks.observations)
    assert set(position) == {""} or batch.observations.shape[1] in (2, 4)  # the copied achieved goal is left out


def test_what_is_no_number_is_refused_and_so_are_goals_outside_the_space(make: Make):
    policy = fit(make(), random_walks(within=50.0), 1, progress=False).policy()
    policy.reset(np.ones(3, bool), np.arange(3))
    for leaf, what in (("observation", "observation"), ("desired_goal", "goal")):
        with pytest.raises(ConditionError, match=f"environment's {what} at '{leaf}' holds NaN"):
            policy.act({**observations(3), leaf: np.full((3, 2), np.nan)})
    policy.act({**observations(3), "achieved_goal": np.full((3, 2), np.nan)})  # which is not looked at
    for goal, reason in ((torch.nan, "holds NaN"), (51.0, "outside the observation space at")):
        with pytest.raises(ConditionError, match=f"'goal' .*{reason}"):
            policy.act(observations(3), Conditions(goal=torch.full((3, 2), goal)))
