"""Rollouts against closed forms: where they go, where they stop, and that rows do not touch one another."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.protocol import Outcome
from genrl.dynamics.rollout import Rollout, rollout

A = torch.tensor([[1.0, 0.2], [-0.1, 0.9]])


class Linear:
    """s' = A s + [0, a] + noise, with a reward of the first column."""

    state_dim, action_dim, noise_dim = 2, 1, 2

    def __init__(self, scale: float = 0.0) -> None:
        self.scale = scale

    def step(self, state, action, noise) -> Outcome:
        following = state @ A.T.to(state) + torch.cat((torch.zeros_like(action), action), -1) + self.scale * noise
        return Outcome(following, state[:, 0], torch.zeros(len(state), dtype=torch.bool), {"first": action[:, 0]})


class Counter:
    """Counts up; row b ends at ``ends[b]``, and is lost (to ``value``) on the way to ``lost[b]``."""

    state_dim, action_dim, noise_dim = 1, 1, 0

    def __init__(self, ends: list[int], lost: list[int], value: float = torch.nan) -> None:
        self.ends, self.lost, self.value = torch.tensor(ends), torch.tensor(lost), value

    def step(self, state, action, noise) -> Outcome:
        following = state + 1
        reached = following[:, 0].round()
        following[reached == self.lost] = self.value
        return Outcome(following, reached, reached == self.ends)


def feedback(states, noise):
    return -0.1 * states[:, :1] + noise


def still(states, noise):
    return torch.zeros_like(states[:, :1])


NEVER = 99


def test_a_linear_system_follows_its_closed_form():
    start = torch.randn(5, 2, dtype=torch.float64)
    made = rollout(Linear(), lambda states, noise: -0.1 * states[:, :1], start, 20, BlockNoise(0, 0))
    closed = A.double() + torch.tensor([[0.0, 0.0], [-0.1, 0.0]])
    expected = torch.stack([start @ torch.linalg.matrix_power(closed, t).T for t in range(21)], 1)
    torch.testing.assert_close(made.states, expected)
    torch.testing.assert_close(made.actions[..., 0], -0.1 * expected[:, :-1, 0])
    torch.testing.assert_close(made.rewards, expected[:, :-1, 0])
    torch.testing.assert_close(made.info["first"], made.actions[..., 0])
    assert made.lengths.tolist() == [20] * 5
    assert not made.terminated.any()
    assert not made.diverged.any()


@given(st.lists(st.integers(1, 8), min_size=1, max_size=6), st.data())
@settings(max_examples=50, deadline=None)
def test_rows_stop_where_they_terminate_or_before_they_diverge(ends, data):
    lost = data.draw(st.lists(st.integers(1, 8), min_size=len(ends), max_size=len(ends)))
    made = rollout(Counter(ends, lost), still, torch.zeros(len(ends), 1), 6, BlockNoise(0, 0))
    for row, (end, loss) in enumerate(zip(ends, lost, strict=True)):
        diverged, terminated = loss <= min(end, 6), end <= 6 and end < loss
        length = loss - 1 if diverged else min(end, 6)
        assert made.lengths[row] == length
        assert made.diverged[row] == diverged
        assert made.terminated[row] == terminated
        expected = torch.arange(made.states.shape[1]).clamp(max=length).float()
        assert torch.equal(made.states[row, :, 0], expected)  # and the last state is repeated
        assert torch.equal(made.rewards[row, :length], expected[1 : length + 1])


def test_it_ends_with_the_last_row():
    made = rollout(Counter([2, 3], [NEVER, NEVER]), still, torch.zeros(2, 1), 50, BlockNoise(0, 0))
    assert made.states.shape == (2, 4, 1)


def test_far_states_and_rewards_that_are_not_finite_count_as_diverging():
    bounds = torch.tensor([-1.0]), torch.tensor([4.0])
    made = rollout(Counter([NEVER] * 3, [2, NEVER, 3], -5.0), still, torch.zeros(3, 1), 10, BlockNoise(0, 0), bounds)
    assert made.lengths.tolist() == [1, 4, 2]
    assert made.divergence() == "3 of 3 rollouts left the range of the data and were cut off (rows 0, 1, 2)"
    assert "(rows 7, 8, 9)" in made.divergence(first=7)

    class Unpaid(Linear):
        def step(self, state, action, noise) -> Outcome:
            outcome = super().step(state, action, noise)
            outcome.reward[0] = torch.inf
            return outcome

    made = rollout(Unpaid(), feedback, torch.zeros(2, 2), 3, BlockNoise(0, 0))
    assert made.diverged.tolist() == [True, False]
    assert made.lengths.tolist() == [0, 3]


def test_many_rows_are_counted_and_a_few_named():
    made = rollout(Counter([NEVER], [1]), still, torch.zeros(20, 1), 3, BlockNoise(0, 0))
    assert made.divergence() == (
        "20 of 20 rollouts left the range of the data and were cut off (rows 0, 1, 2, 3, 4, 5, 6, 7, ...)"
    )
    assert rollout(Counter([NEVER], [NEVER]), still, torch.zeros(2, 1), 3, BlockNoise(0, 0)).divergence() is None


def noisy(rows: int, start: int = 0, block: int = 0) -> Rollout:
    first = torch.arange(8.0)[start : start + rows, None].expand(-1, 2)
    return rollout(Linear(0.1), feedback, first, 40, BlockNoise(3, block).part(start))


def test_a_row_is_the_same_in_any_batch():
    whole = noisy(8)
    for start, rows in ((0, 3), (3, 5), (7, 1)):
        part = noisy(rows, start)
        torch.testing.assert_close(part.states, whole.states[start : start + rows], atol=1e-5, rtol=0)
        torch.testing.assert_close(part.actions, whole.actions[start : start + rows], atol=1e-5, rtol=0)
    assert torch.equal(noisy(8).states, whole.states)
    assert not torch.isclose(noisy(8, block=1).states[:, 1:], whole.states[:, 1:]).any()


def test_actions_and_steps_draw_apart_and_anew():
    drawn = []

    class Watched(Linear):
        def step(self, state, action, noise) -> Outcome:
            drawn.append(torch.cat((action, noise), -1))
            return super().step(state, action, noise)

    rollout(Watched(0.0), lambda states, noise: noise, torch.zeros(500, 2), 30, BlockNoise(0, 0))
    numbers = torch.stack(drawn).permute(1, 0, 2).flatten(1)  # (500, 90)
    correlations = torch.corrcoef(numbers.T) - torch.eye(90)
    assert correlations.abs().max() < 0.25  # 5.5 standard deviations of what independent numbers show


def test_recorded_actions_are_asked_for_one_a_step():
    actions = torch.randn(4, 6, 1)
    one_by_one = iter(actions.unbind(1))
    made = rollout(Linear(), lambda states, noise: next(one_by_one), torch.zeros(4, 2), 6, BlockNoise(0, 0))
    assert torch.equal(made.actions, actions)


@pytest.mark.parametrize("horizon", [1, 2])
def test_shapes(horizon):
    made = rollout(Linear(), feedback, torch.zeros(3, 2), horizon, BlockNoise(0, 0))
    assert made.states.shape == (3, horizon + 1, 2)
    assert made.actions.shape == (3, horizon, 1)
    assert made.rewards.shape == made.info["first"].shape == (3, horizon)
