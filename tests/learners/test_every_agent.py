"""What must hold for every learner of whatever kind: those in the four lists, each of which has tests of its own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import toy_data
import toy_futures
import toy_returns
import toy_sequences
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from toy_data import equal_weights, random_walks, trainer, walks_data

from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.learners.agent import Agent
from genrl.training.checkpoint import load
from genrl.training.fit import fit

Make = Callable[..., Agent]
AGENTS = toy_data.LEARNERS | toy_sequences.LEARNERS | toy_returns.LEARNERS | toy_futures.LEARNERS

pytestmark = pytest.mark.parametrize("make", AGENTS.values(), ids=AGENTS.keys())


@pytest.mark.parametrize("step", [5, 10, 13])
def test_a_killed_fit_goes_on_to_the_very_same_weights(make: Make, step: int, tmp_path):
    keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=step, save_top_k=-1)
    whole = make()
    trainer(tmp_path, callbacks=[keep]).fit(whole, datamodule=walks_data())
    resumed = make()
    second = trainer(tmp_path, enable_checkpointing=False)
    second.fit(resumed, datamodule=walks_data(), ckpt_path=tmp_path / f"step={step}.ckpt", weights_only=True)
    assert second.global_step == 20  # one step for each batch, however many optimisers
    assert equal_weights(whole, resumed)
    assert not equal_weights(whole, load(tmp_path / f"step={step}.ckpt"))


def test_the_seed_alone_decides_the_weights(make: Make):
    made = []
    for run in range(2):
        torch.random.manual_seed(run)  # what the caller has been doing does not matter
        made.append(fit(make(), random_walks(), 5, progress=False))
    assert equal_weights(*made)
    assert not equal_weights(made[0], fit(make(seed=1), random_walks(), 5, progress=False, seed=0))


def test_held_out_episodes_can_stop_a_fit(make: Make, tmp_path):
    stop = EarlyStopping("val_loss", stopping_threshold=1e9, patience=1)
    stopped = trainer(tmp_path, max_epochs=5, callbacks=[stop], enable_checkpointing=False)
    stopped.fit(make(), datamodule=walks_data())
    assert stopped.current_epoch == 1
    told = [float(value) for name, value in stopped.callback_metrics.items() if name.startswith("val_")]
    assert np.isfinite(told).all()


def test_one_observation_is_no_batch(make: Make):
    policy = fit(make(), random_walks(), 2, progress=False).policy()
    policy.reset(np.ones(2, bool), np.arange(2))
    with pytest.raises(AlignmentError, match=r"not \(2,\): genrl.Alone.of\(policy, env\) drives a single environment"):
        policy.act(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), np.zeros(2)))


def test_an_unfitted_learner_refuses_to_act(make: Make):
    with pytest.raises(ConfigurationError, match="never fitted"):
        make().policy()
