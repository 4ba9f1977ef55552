"""Preconditioning by a covariance against linear algebra that knows nothing of eigenbases."""

import pytest
import torch
from torch import nn

from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.gaussian import GaussianResidual
from genrl.diffusion.grids import karras
from genrl.diffusion.path import EDM
from genrl.diffusion.samplers import heun

R, D = 3, 2


class Zero(nn.Module):
    def forward(self, x, noise, condition=None):
        return torch.zeros_like(x)


class Echo(nn.Module):
    def forward(self, x, noise, condition=None):
        return x.sin() + noise[:, None, None]


@pytest.fixture
def windows() -> torch.Tensor:
    """Smooth windows around 1 with a direction of little and one of no variance."""
    stream = torch.Generator().manual_seed(0)
    mixing = torch.randn(R * D, R * D, generator=stream, dtype=torch.float64)
    mixing[:, 4] *= 1e-2
    mixing[:, 5] = 0
    return (1 + torch.randn(400, R * D, generator=stream, dtype=torch.float64) @ mixing.T).reshape(400, R, D)


def moments(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    flat = windows.flatten(1)
    return flat.mean(0), torch.cov(flat.T, correction=0)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 20.0])
def test_without_a_network_it_is_the_posterior_mean_of_a_gaussian(windows, sigma):
    module = GaussianResidual(Zero(), (R, D)).double()
    module.fit(windows)
    denoiser = Denoiser(module, EDM(), EDMPrediction(1.0))
    x = windows[:20] + sigma * torch.randn(20, R, D, dtype=torch.float64)
    mean, covariance = moments(windows)
    noisy = covariance + sigma**2 * torch.eye(R * D, dtype=torch.float64)
    expected = mean + (covariance @ torch.linalg.solve(noisy, (x.flatten(1) - mean).T)).T
    got = denoiser(x, torch.tensor(sigma, dtype=torch.float64))
    torch.testing.assert_close(got.flatten(1), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 20.0])
def test_before_it_is_fitted_the_network_is_unchanged(sigma):
    x, noise = torch.randn(5, R, D, dtype=torch.float64), torch.full((5,), sigma, dtype=torch.float64).log() / 4
    module = GaussianResidual(Echo(), (R, D)).double()
    torch.testing.assert_close(module(x, noise), Echo()(x, noise), atol=1e-9, rtol=1e-9)


def test_samples_have_the_mean_and_covariance_of_the_data(windows):
    module = GaussianResidual(Zero(), (R, D)).double()
    module.fit(windows)
    denoiser = Denoiser(module, EDM(), EDMPrediction(1.0))
    eps = torch.randn(20_000, R, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        got = moments(heun(denoiser, 80 * eps, karras(64, 0.002, 80.0, 7.0)))
    mean, covariance = moments(windows)
    torch.testing.assert_close(got[0], mean, atol=0.1, rtol=0)
    torch.testing.assert_close(got[1], covariance, atol=0.05 * float(covariance.diagonal().max()), rtol=0)
    flat = torch.linalg.eigh(covariance).eigenvectors[:, :1]  # what never varies in the data does not in samples
    assert (flat.T @ got[1] @ flat).item() < 1e-6


def test_the_network_cannot_leave_the_span_of_the_data(windows):
    module = GaussianResidual(Echo(), (R, D)).double()
    module.fit(windows)
    denoiser = Denoiser(module, EDM(), EDMPrediction(1.0))
    mean, covariance = moments(windows)
    flat = torch.linalg.eigh(covariance).eigenvectors[:, :1]
    got = denoiser(torch.randn(10, R, D, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)).flatten(1)
    torch.testing.assert_close((got - mean) @ flat, torch.zeros(10, 1, dtype=torch.float64), atol=1e-7, rtol=0)


def test_gradients_reach_the_network(windows):
    net = nn.Linear(D, D).double()
    module = GaussianResidual(Linear(net), (R, D))
    module.fit(windows)
    t, eps = torch.ones(400, dtype=torch.float64), torch.randn(400, R, D, dtype=torch.float64)
    loss = Denoiser(module.double(), EDM(), EDMPrediction(1.0)).loss(windows, t, eps)
    assert loss.shape == (400,)
    (gradient,) = torch.autograd.grad(loss.mean(), [net.weight])
    assert gradient.abs().sum() > 0


class Linear(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x, noise, condition=None):
        return self.net(x)
