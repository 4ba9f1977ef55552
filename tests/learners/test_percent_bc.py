"""Cloning of the best episodes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from toy_data import bandit, equal_weights, random_walks

from genrl.data.errors import ConfigurationError
from genrl.learners.bc import BC
from genrl.learners.percent_bc import PercentBC, best
from genrl.nets.mlp import MLP
from genrl.training.fit import fit

SMALL = partial(MLP, width=16, dropout=0.1)
quick = partial(fit, progress=False, val_fraction=0.0)


@pytest.mark.parametrize("percent", [10, 30, 50.5, 100])
def test_it_is_bc_on_the_best_episodes_to_the_bit(percent: float):
    walks = random_walks(20)
    order = np.argsort(-walks.returns.numpy())
    kept = np.sort(order[: int(np.ceil(len(walks) * percent / 100))])
    assert walks.returns.numpy()[kept].min() == np.sort(walks.returns.numpy())[-len(kept)]
    alone = quick(BC(net=SMALL), walks.select(kept.tolist()), 20)
    assert equal_weights(quick(PercentBC(net=SMALL, percent=percent), walks, 20), alone)
    assert equal_weights(quick(BC(net=SMALL), walks, 20), alone) == (percent == 100)


def test_at_least_one_episode_is_kept_and_the_earlier_of_equals():
    rewards = np.array([1.0, 3.0, 2.0, 3.0, 0.0])
    data = bandit(np.arange(5) / 5, rewards)
    assert best(data, 0.1).actions[""].flatten().tolist() == pytest.approx([0.2])
    assert best(data, 40).rewards.tolist() == [3.0, 3.0]
    assert best(data, 41).rewards.tolist() == [3.0, 2.0, 3.0]  # in their own order


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(ConfigurationError, match=r"PercentBC .* all 4 training episodes have the return 2"):
        PercentBC().prepare(bandit(np.zeros(4), np.full(4, 2.0)))
    for percent in (0, -1, 101):
        with pytest.raises(ConfigurationError, match="at most 100 %"):
            PercentBC(percent=percent)


def test_of_several_data_sets_it_is_scaled_by_the_rows_that_it_learns_from():
    good, bad = random_walks(20), random_walks(20, seed=1)
    bad = replace(
        bad, rewards=bad.rewards - 1000, observations={path: leaf + 50 for path, leaf in bad.observations.items()}
    )
    learner = quick(PercentBC(net=SMALL), [good, bad], 2)
    alone = quick(BC(net=SMALL), [best(good, 10), best(bad, 10)], 2)
    assert equal_weights(learner.observer, alone.observer)
    assert equal_weights(learner.head, alone.head)
