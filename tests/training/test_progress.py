"""A fit shows one bar from its first batch to its last, and none where none is wanted."""

import gymnasium as gym
import pytest
from lightning.pytorch.callbacks import TQDMProgressBar

from genrl.data.collect import collect
from genrl.data.policies import RandomPolicy
from genrl.learners.bc import BC
from genrl.training.fit import fit


@pytest.fixture(scope="module")
def episodes():
    return collect("CartPole-v1", RandomPolicy(gym.spaces.Discrete(2)), 6, seed=0)


def test_one_bar_counts_all_batches_and_shows_the_losses(episodes, capfd):
    fit(BC(), episodes, 40, val_every=10, val_fraction=0.4)
    shown = capfd.readouterr().err
    last = shown.rstrip().splitlines()[-1].split("\r")[-1]
    assert "40/40" in last
    assert "BC: 100%" in last
    assert "val_loss=" in last
    assert "Validation" not in shown
    assert "deprecated" not in shown


def test_no_bar_where_none_is_wanted(episodes, capfd):
    fit(BC(), episodes, 4, progress=False)
    assert "batch" not in capfd.readouterr().err


def test_another_bar_takes_its_place(episodes, capfd):
    fit(BC(), episodes, 4, callbacks=[TQDMProgressBar()])
    assert "BC:" not in capfd.readouterr().err
