"""Diffusion dynamics against closed forms of a linear-Gaussian system."""

from functools import partial

import pytest
import torch

from genrl.diffusion.sampling import Sampling
from genrl.dynamics.diffusion import DiffusionDynamics
from genrl.dynamics.rollout import rollout
from genrl.nets.mlp import DenoisingMLP

A = torch.tensor([[0.9, 0.2], [-0.1, 0.8]])
B = torch.tensor([[0.0], [0.5]])
SPREAD = torch.tensor([0.05, 0.3])
"""Of s' = A s + B a + SPREAD eps; the reward is 2 s_1 - a + 0.1 eps, and an episode ends where s'_2 > 2."""


def transitions(rows: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    stream = torch.Generator().manual_seed(seed)
    states, actions = torch.randn(rows, 2, generator=stream), torch.rand(rows, 1, generator=stream) * 2 - 1
    following = states @ A.T + actions @ B.T + SPREAD * torch.randn(rows, 2, generator=stream)
    rewards = 2 * states[:, 0] - actions[:, 0] + 0.1 * torch.randn(rows, generator=stream)
    return states, actions, following, rewards, (following[:, 1] > 2).float()


class Exact(torch.nn.Module):
    """The network whose denoiser is that of N(m, v) in normalised units, m linear in the condition."""

    def __init__(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.variance = mean, variance

    def forward(self, x, noise, condition):
        sigma = (4 * noise).exp()[:, None]
        noisy = x * (1 + sigma**2).sqrt()
        mean = torch.cat((condition, torch.ones(len(x), 1)), 1) @ self.mean
        denoised = mean + (noisy - mean) * (self.variance / (self.variance + sigma**2))
        return (denoised - noisy / (1 + sigma**2)) * (1 + sigma**2).sqrt() / sigma


@pytest.fixture(scope="module")
def fitted() -> DiffusionDynamics:
    torch.manual_seed(0)
    dynamics = DiffusionDynamics(2, 1, partial(DenoisingMLP, width=64, layers=2, context=32))
    data = transitions(20_000)
    dynamics.fit(*data)
    optimizer = torch.optim.AdamW(dynamics.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
    stream = torch.Generator().manual_seed(1)
    for _ in range(1500):
        rows = torch.randint(20_000, (512,), generator=stream)
        t = (-1.2 + 1.2 * torch.randn(512, generator=stream)).exp()
        loss = dynamics.loss(*(field[rows] for field in data), t, torch.randn(512, 4, generator=stream)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return dynamics.requires_grad_(False)


def drawn(dynamics: DiffusionDynamics, count: int = 4000):
    """Many outcomes of one state and action."""
    state, action = torch.tensor([[0.5, -1.0]]).expand(count, -1), torch.full((count, 1), 0.4)
    noise = torch.randn(count, dynamics.noise_dim, generator=torch.Generator().manual_seed(2))
    return dynamics.step(state, action, noise)


MEAN = torch.tensor([0.5, -1.0]) @ A.T + 0.4 * B[:, 0]


def test_a_fit_recovers_mean_and_variance(fitted):
    outcome = drawn(fitted)
    torch.testing.assert_close(outcome.next_state.mean(0), MEAN, atol=0.04, rtol=0)
    torch.testing.assert_close(outcome.next_state.std(0), SPREAD, atol=0.01, rtol=0.15)
    assert outcome.reward.mean() == pytest.approx(2 * 0.5 - 0.4, abs=0.06)
    assert outcome.reward.std() == pytest.approx(0.1, abs=0.03)


def test_an_end_is_where_the_next_state_says(fitted):
    """As often as the normal distribution function has it, and together with the state that ends the episode."""
    states, actions, *_ = transitions(4000, seed=3)
    states[:, 1] = states[:, 1].abs() + 0.5
    noise = torch.randn(4000, fitted.noise_dim, generator=torch.Generator().manual_seed(4))
    outcome = fitted.step(states, actions, noise)
    chance = torch.special.ndtr(((states @ A.T + actions @ B.T)[:, 1] - 2) / SPREAD[1])
    assert 0.05 < chance.mean() < 0.4
    assert outcome.terminated.float().mean() == pytest.approx(float(chance.mean()), abs=0.04)
    reached = outcome.next_state[:, 1]
    assert outcome.terminated[reached > 2.2].float().mean() > 0.5
    assert outcome.terminated[reached < 1.8].float().mean() < 0.1


def test_the_exact_denoiser_gives_the_exact_gaussian():
    """Without any training; with enough steps of the solver."""
    data = transitions(20_000)
    many = Sampling("dpmpp_2m", steps=40, sigma_min=0.01, sigma_max=20.0)
    dynamics = DiffusionDynamics(2, 1, lambda dim, condition: torch.nn.Identity(), many)
    dynamics.fit(*data)
    inputs, targets = dynamics.inputs, dynamics.targets
    change = torch.cat(
        (torch.cat((A - torch.eye(2), torch.tensor([[2.0, 0.0]]))), torch.cat((B, -torch.ones(1, 1)))), 1
    )
    slope = (change * inputs.scale / targets.scale[:, None]).T  # (3, 3) in normalised units
    offset = (change @ inputs.shift - targets.shift) / targets.scale
    mean = torch.cat((torch.cat((slope, offset[None])), torch.tensor([[0.0], [0.0], [0.0], [-1.0]])), 1)
    spread = torch.cat((torch.cat((SPREAD, torch.tensor([0.1]))) / targets.scale, torch.tensor([1e-3])))
    dynamics.denoiser.net = Exact(mean, spread**2)
    outcome = drawn(dynamics)
    torch.testing.assert_close(outcome.next_state.mean(0), MEAN, atol=0.02, rtol=0)
    torch.testing.assert_close(outcome.next_state.std(0), SPREAD, atol=0, rtol=0.05)
    assert not outcome.terminated.any()
    most_likely = dynamics.step(torch.tensor([[0.5, -1.0]]), torch.tensor([[0.4]]), torch.zeros(1, 4))
    torch.testing.assert_close(most_likely.next_state[0], MEAN, atol=0.05 * float(MEAN.abs().max()), rtol=0)
    assert most_likely.info["disagreement"].item() < 0.05 < outcome.info["disagreement"].mean()


def test_the_same_noise_gives_the_same_step_and_rows_do_not_mix(fitted):
    states, actions, *_ = transitions(16, seed=4)
    noise = torch.randn(16, fitted.noise_dim)
    once, again = (fitted.step(states, actions, noise) for _ in range(2))
    assert torch.equal(once.next_state, again.next_state)
    alone = fitted.step(states[5:6], actions[5:6], noise[5:6])
    torch.testing.assert_close(alone.next_state, once.next_state[5:6], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(fitted.step(states, actions, -noise).next_state, once.next_state, atol=1e-3)


def test_what_never_changed_stays_and_nothing_ends_that_never_did():
    states, actions, following, *_ = transitions(500)
    states, following = (torch.cat((x, torch.full((500, 1), 7.0)), 1) for x in (states, following))
    dynamics = DiffusionDynamics(3, 1, partial(DenoisingMLP, width=8))
    dynamics.fit(states, actions, following, torch.full((500,), 2.0), torch.zeros(500))
    dynamics.requires_grad_(False)
    act = lambda states, noise: noise.tanh()  # noqa: E731
    made = rollout(dynamics, act, states[:9], 4, lambda step, like: torch.randn_like(like))
    assert (made.states[..., 2] == 7).all()
    assert (made.rewards == 2).all()
    assert not made.terminated.any()
