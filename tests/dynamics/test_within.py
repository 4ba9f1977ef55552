"""Dynamics held within the range of their data."""

import torch

from genrl.dynamics.protocol import Outcome
from genrl.dynamics.within import Within

LOW, HIGH = torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([1.0, 10.0, 1.0])


class Drift:
    """s' = s + a, rewarded by the first entry of s'."""

    state_dim, action_dim, noise_dim = 2, 2, 3

    def step(self, state, action, noise):
        following = state + action
        return Outcome(following, following[:, 0], following[:, 1] > 5, {"seen": noise})


def test_small_steps_out_are_moved_back_and_large_ones_left():
    dynamics = Within(Drift(), LOW, HIGH, slack=0.25)
    assert (dynamics.state_dim, dynamics.action_dim, dynamics.noise_dim) == (2, 2, 3)
    low, high = dynamics.bounds
    torch.testing.assert_close(low, torch.tensor([-1.5, -2.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(high, torch.tensor([1.5, 12.5]), atol=1e-4, rtol=0)
    state = torch.tensor([[0.5, 1.0], [0.5, 1.0], [0.5, 1.0], [0.5, 9.0], [-0.5, 5.0]])
    action = torch.tensor([[0.1, 1.0], [0.9, 1.0], [1.1, 1.0], [0.0, 3.0], [-0.8, 2.0]])
    noise = torch.randn(5, 3)
    outcome = dynamics.step(state, action, noise)
    expected = torch.tensor([[0.6, 2.0], [1.0, 2.0], [1.6, 2.0], [0.5, 10.0], [-1.0, 7.0]])
    torch.testing.assert_close(outcome.next_state, expected)
    torch.testing.assert_close(outcome.reward, torch.tensor([0.6, 1.0, 1.0, 0.5, 0.0]))
    assert outcome.terminated.tolist() == [False, False, False, True, True]
    assert torch.equal(outcome.info["seen"], noise)


def test_what_is_not_finite_is_no_step_out():
    outcome = Within(Drift(), LOW, HIGH, 0.25).step(
        torch.zeros(2, 2), torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0]]), torch.zeros(2, 3)
    )
    assert not outcome.next_state[:, 0].isfinite().any()
