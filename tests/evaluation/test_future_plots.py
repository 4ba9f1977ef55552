"""Pictures of latent futures: their bars and lines are the numbers that they stand for."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.arrays import from_arrays
from genrl.data.errors import UnsupportedSpaceError
from genrl.evaluation.future_plots import contents, expectations
from genrl.evaluation.statistics import Interval
from genrl.learners.doc import DoC
from genrl.learners.latents import CategoricalLatent, GaussianLatent
from genrl.nets.mlp import MLP


def pulls(action_space: gym.Space = gym.spaces.Discrete(2)):  # noqa: B008 (never changed)
    arms = np.array([0, 0, 0, 1, 1])
    return from_arrays(
        np.zeros((10, 1), np.float32),
        arms if isinstance(action_space, gym.spaces.Discrete) else arms[:, None].astype(np.float32),
        np.array([1.0, 0, 0, 1, 1]),
        np.ones(5, bool),
        lengths=[1] * 5,
        action_space=action_space,
    )


def prepared(latent, data) -> DoC:
    learner = DoC(latent, net=partial(MLP, width=8))
    learner.prepare(data)
    return learner.eval()


def test_bars_are_shares_of_the_data_by_latent_action_and_luck():
    data = pulls()
    learner = prepared(CategoricalLatent(3), data)
    axes = contents({"some": learner}, data).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(1.0, abs=1e-5)
    assert len(axes.patches) == 3 * 4
    first_good = sum(bar.get_height() for bar in axes.patches[:3])
    assert first_good == pytest.approx(0.2, abs=1e-5)
    said = sorted(float(text.get_text().split()[-1]) for text in axes.texts)
    values = learner.model.V(torch.eye(3), learner.observer({"": torch.zeros(3, 1)})).detach()
    np.testing.assert_allclose(said, np.sort(learner.returns.normalizer.denormalize(values[:, None])[:, 0]), atol=0.006)


def test_other_latents_and_actions_are_refused():
    with pytest.raises(UnsupportedSpaceError, match="GaussianLatent"):
        contents({"some": prepared(GaussianLatent(2), pulls())}, pulls())
    box = pulls(gym.spaces.Box(-1, 1, (1,), np.float32))
    with pytest.raises(UnsupportedSpaceError, match="one discrete action"):
        contents({"some": prepared(CategoricalLatent(2), box)}, box)


def test_lines_are_what_is_expected_and_what_comes():
    curves = {"a": {0.1: (0.9, Interval(0.5, 0.4, 0.6)), 0.2: (0.8, Interval(0.45, 0.4, 0.5))}}
    axes = expectations(curves, "p", "reward", best={0.1: 0.9, 0.2: 0.8}).axes[0]
    best, hope, got = (line.get_ydata().tolist() for line in axes.lines)
    assert (best, hope, got) == ([0.9, 0.8], [0.9, 0.8], [0.5, 0.45])
