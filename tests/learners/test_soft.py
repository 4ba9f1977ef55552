"""SAC and CQL on problems whose answers have a closed form."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.integrate import quad, trapezoid
from scipy.special import erf
from scipy.stats import norm
from toy_data import LINEAR, SMALL, bandit, box

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.learners.cql import CQL
from genrl.learners.sac import SAC
from genrl.learners.squashed import LOG_STD, SquashedGaussian
from genrl.training.fit import fit

quick = partial(fit, progress=False, val_fraction=0.0)
FAST = {"actor_net": SMALL, "critic_net": SMALL, "polyak": 0.05, "lr": 3e-3, "actor_lr": 3e-3}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def raw(log_std: float) -> float:
    """What the actor has to say for a log standard deviation."""
    low, high = LOG_STD
    return float(np.arctanh(2 * (log_std - low) / (high - low) - 1))


@pytest.mark.parametrize(("location", "log_std"), [(0.0, 0.0), (0.8, -1.0), (-1.5, 0.5), (2.0, -3.0)])
def test_the_squashed_density_is_the_derivative_of_its_distribution(location: float, log_std: float):
    policy = SquashedGaussian(torch.tensor([[location, raw(log_std)]], dtype=torch.float64))

    def density(action: float) -> float:
        return float(policy.log_prob(torch.tensor([[action]], dtype=torch.float64)).exp())

    for action in (-0.7, 0.1, 0.6, np.tanh(location)):
        step = 1e-5
        chances = norm.cdf(np.arctanh([action - step, action + step]), location, np.exp(log_std))
        assert density(action) == pytest.approx((chances[1] - chances[0]) / (2 * step), rel=1e-4, abs=1e-8)
    assert quad(density, -1 + 1e-6, 1 - 1e-6, points=[np.tanh(location)], limit=200)[0] == pytest.approx(1, abs=2e-3)
    eps = torch.randn(1000, 1, generator=stream(), dtype=torch.float64)
    actions, log_pi = policy.sample(eps)
    inside = actions.abs().squeeze(-1) < 1 - 1e-6
    torch.testing.assert_close(policy.log_prob(actions)[inside], log_pi[inside])
    assert actions.mean().item() == pytest.approx(np.tanh(location + np.exp(log_std) * eps.numpy()).mean())


def two_ends() -> Episodes:
    """Two episodes of two steps, one terminated and one cut off."""
    return from_arrays(
        list(np.arange(6.0, dtype=np.float32).reshape(2, 3, 1) / 10),
        [np.full((2, 1), 0.5, np.float32)] * 2,
        [np.array([1.0, 2.0])] * 2,
        [np.array([False, True]), np.array([False, False])],
        observation_space=box(1),
        action_space=box(1),
    )


@pytest.mark.parametrize("make", [SAC, CQL])
def test_the_target_is_exact(make: type):
    """Under random linear networks; CQL's is without the entropy."""
    learner = make(actor_net=LINEAR, critic_net=LINEAR)
    learner.prepare(two_ends())
    with torch.no_grad():
        learner.log_alpha.fill_(np.log(0.3))
    batch = learner.sampler(two_ends()).fetch(torch.arange(4))
    following = batch.next_observations.double().numpy()[:, 0]
    (weight, bias), twins = linear(learner.actor), [linear(twin) for twin in learner.critic_target.twins]
    low, high = LOG_STD
    location, said = following * weight[0, 0] + bias[0], following * weight[1, 0] + bias[1]
    std = np.exp(low + (high - low) * (np.tanh(said) + 1) / 2)
    eps = torch.randn(4, 1, generator=stream(7)).double().numpy()[:, 0]
    u = location + std * eps
    log_pi = norm.logpdf(u, location, std) - np.log(1 - np.tanh(u) ** 2)
    value = np.minimum(*(following * w[0, 0] + np.tanh(u) * w[0, 1] + b[0] for w, b in twins))
    value = value - (0.3 * log_pi if make is SAC else 0.0)
    expected = np.array([1, 2, 1, 2]) + 0.99 * np.array([1, 0, 1, 1]) * value
    np.testing.assert_allclose(learner.target(batch, stream(7)).numpy(), expected, rtol=1e-4)


def linear(net: torch.nn.Module) -> tuple[np.ndarray, np.ndarray]:
    return net[0].weight.detach().double().numpy(), net[0].bias.detach().double().numpy()


@pytest.mark.parametrize("make", [SAC, CQL])
def test_no_loss_moves_the_parameters_of_another(make: type):
    learner = make(actor_net=SMALL, critic_net=SMALL)
    learner.prepare(two_ends())
    batch = learner.sampler(two_ends()).fetch(torch.arange(4))
    actor_loss, log_pi = learner.actor_loss(batch, stream())
    for loss, moved in (
        (learner.critic_loss(batch, stream()), {"critic"}),
        (actor_loss, {"actor"}),
        (learner.temperature_loss(log_pi), {"log_alpha"}),
    ):
        learner.zero_grad()
        loss.backward()
        assert {name.split(".")[0] for name, part in learner.named_parameters() if part.grad is not None} == moved


def test_sac_finds_the_best_action_and_holds_the_entropy():
    """The entropy of the policy of one action is led to -1, which for a narrow Gaussian is a deviation of e^-2.42."""
    actions = np.linspace(-1, 1, 512)
    learner = quick(SAC(**FAST), bandit(actions, -10 * (actions - 0.4) ** 2), 900, batch_size=128)
    policy, seen = learner.policy(), np.zeros((2000, 1), np.float32)
    assert policy.act(seen[:1], deterministic=True).item() == pytest.approx(0.4, abs=0.06)
    policy.reset(np.ones(2000, bool), np.arange(2000))
    drawn = policy.act(seen)
    assert drawn.std() == pytest.approx(np.exp(-1 - 0.5 * np.log(2 * np.pi * np.e)), rel=0.2)
    entropy = -learner.log_prob(torch.zeros(2000, 1), torch.from_numpy(drawn)).mean().item()
    assert entropy == pytest.approx(-1, abs=0.2)
    assert drawn.mean() == pytest.approx(0.4, abs=0.06)


class Parabola(torch.nn.Module):
    """Q(s, a) = height - (a - centre)^2 / (2 width^2), whatever the state."""

    def __init__(self, in_dim: int, out_dim: int, height: float, centre: float, width: float) -> None:
        super().__init__()
        self.height, self.centre, self.width = height, centre, width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.height - (x[..., -1:] - self.centre) ** 2 / (2 * self.width**2)


@pytest.mark.parametrize(("height", "centre", "width"), [(1.5, 0.0, 1e6), (0.0, 0.3, 0.5), (-2.0, -0.6, 0.2)])
def test_the_integral_is_that_of_a_gaussian(height: float, centre: float, width: float):
    """log of the integral of exp Q over [-1, 1]; the first Q is constant, and its integral 2 exp Q."""
    critic = partial(Parabola, height=height, centre=centre, width=width)
    learner = CQL(actor_net=SMALL, critic_net=critic, samples=20_000)
    learner.prepare(two_ends())
    batch = learner.sampler(two_ends()).fetch(torch.arange(4))
    ends = erf((np.array([-1, 1]) - centre) / (width * np.sqrt(2)))
    exact = height + np.log(width * np.sqrt(np.pi / 2) * (ends[1] - ends[0]))
    found = learner.log_integral(batch, stream()).detach().numpy()
    np.testing.assert_allclose(found, np.full((2, 4), exact), atol=0.06)
    excess = learner.excess(batch, stream()).item()
    data = height - (0.5 - centre) ** 2 / (2 * width**2)  # the data's action is 0.5
    assert excess == pytest.approx(2 * (exact - data), abs=0.1)


def test_cql_learns_the_q_that_minimises_its_loss():
    """One step, actions uniform on [-1, 1], r = a: w (exp Q / Z - 1/2) + (Q - r) = 0, solved on a grid."""
    weight, actions = 2.0, np.linspace(-1, 1, 513)
    cql = CQL(**FAST, weight=weight, samples=40)  # the estimate of the integral is biased with few
    learner = quick(cql, bandit(actions, actions), 600, batch_size=32)
    q = actions.copy()
    for _ in range(300):
        density = np.exp(q) / trapezoid(np.exp(q), actions)
        q = 0.5 * q + 0.5 * (actions + weight * (0.5 - density))
    assert np.abs(q - actions).mean() > 0.2  # the term does something
    with torch.no_grad():
        found = learner.critic(torch.zeros(513, 1), torch.from_numpy(actions).float()[:, None]).numpy()
    assert np.abs(found - q).mean() < 0.06


def test_cql_presses_down_what_the_data_do_not_show():
    actions = np.linspace(-0.3, 0.3, 256)
    pressed, free = (quick(CQL(**FAST, weight=w), bandit(actions, actions), 300, batch_size=32) for w in (5.0, 0.0))
    inside, outside = torch.linspace(-0.3, 0.3, 9)[:, None], torch.tensor([[-1.0], [-0.8], [0.8], [1.0]])
    with torch.no_grad():
        known, unknown = (pressed.critic(torch.zeros(len(at), 1), at) for at in (inside, outside))
    assert unknown.max() < known.min() - 1
    found = {
        name: learner.policy().act(np.zeros((1, 1), np.float32), deterministic=True).item()
        for name, learner in (("pressed", pressed), ("free", free))
    }
    assert -0.35 < found["pressed"] < 0.35  # stays with the data
    assert found["free"] > 0.5  # climbs a Q that nothing holds beyond them
