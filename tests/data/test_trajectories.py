"""Stretches of trajectories against a loop over episodes."""

import numpy as np
import pytest
import torch

from genrl.data.arrays import from_arrays
from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.data.trajectories import TrajectorySampler

LENGTHS = [1, 5, 3]


def walks():
    rng = np.random.default_rng(0)
    return from_arrays(
        [rng.normal(size=(length + 1, 2)) for length in LENGTHS],
        [rng.normal(size=(length, 1)) for length in LENGTHS],
        [rng.normal(size=length) for length in LENGTHS],
    )


def sampler(steps: int) -> TrajectorySampler:
    data = walks()
    parts = data.observations[""].float(), data.actions[""].float(), data.rewards.float()
    return TrajectorySampler(*parts, data.returns_to_go().float(), data, steps)


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_each_begins_at_its_transition_and_ends_with_its_episode(steps):
    data, everything = walks(), sampler(steps).fetch(torch.arange(9))
    assert len(sampler(steps)) == 9
    row = 0
    for episode in data:
        for first in range(len(episode.rewards)):
            here = slice(first, first + steps)
            count = len(episode.rewards[here])
            states, rewards = episode.observations[""].float(), episode.rewards.float()
            assert everything.mask[row].tolist() == [place < count for place in range(steps)]
            torch.testing.assert_close(everything.states[row, :count], states[first : first + count])
            torch.testing.assert_close(everything.next_states[row, :count], states[first + 1 : first + count + 1])
            torch.testing.assert_close(everything.actions[row, :count], episode.actions[""].float()[here])
            torch.testing.assert_close(everything.rewards[row, :count], rewards[here])
            torch.testing.assert_close(everything.returns[row], rewards[first:].sum())
            row += 1
    assert everything.lengths.tolist() == everything.mask.sum(1).tolist()


def test_what_it_is_told_from_lies_side_by_side():
    tau = sampler(9).fetch(torch.tensor([1, 6])).trimmed()
    assert tau.mask.shape == (2, 5)
    assert (tau.steps().shape, tau.outcomes().shape) == ((2, 5, 6), (2, 5, 3))
    torch.testing.assert_close(tau.outcomes(), torch.cat((tau.steps()[..., 3:4], tau.next_states), -1))
    before = tau.actions_before()
    assert (before[:, 0] == 0).all()
    assert torch.equal(before[:, 1:], tau.actions[:, :-1])


def test_rows_that_do_not_fit_and_no_steps_are_refused():
    data = walks()
    with pytest.raises(ConfigurationError, match="at least one step"):
        sampler(0)
    with pytest.raises(AlignmentError, match="9 transitions"):
        TrajectorySampler(torch.zeros(12, 2), torch.zeros(8, 1), torch.zeros(9), torch.zeros(9), data, 2)
