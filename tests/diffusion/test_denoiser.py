"""Preconditioning and loss against Karras et al. (2022), table 1, and against what any prediction must give."""

import pytest
import torch
from torch import Tensor, nn

from genrl.diffusion.denoiser import (
    Denoiser,
    EDMPrediction,
    EpsilonPrediction,
    SamplePrediction,
    VelocityPrediction,
    tabulate,
)
from genrl.diffusion.path import EDM, VP, CondOT, CosineVP, column

PATHS = [EDM(), VP(), CosineVP(), CondOT()]
PREDICTIONS = [EDMPrediction(0.5), EpsilonPrediction(), SamplePrediction(), VelocityPrediction()]


class Fixed(nn.Module):
    """Puts out a given tensor and keeps what it was given."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        self.x, self.noise, self.condition = x, noise, condition
        return self.output


def sample(shape=(6, 5, 3)) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    return x0, eps, 0.05 + 0.9 * torch.rand(shape[0], dtype=torch.float64, generator=generator)


def test_scales_are_those_of_the_table():
    x0, _, t = sample()
    net, sd = Fixed(torch.ones_like(x0)), 0.5
    denoised = Denoiser(net, EDM(), EDMPrediction(sd))(x0, t)
    s = column(t, x0)
    torch.testing.assert_close(net.x, x0 / (s**2 + sd**2).sqrt())
    torch.testing.assert_close(net.noise, t.log() / 4)
    torch.testing.assert_close(denoised, sd**2 / (s**2 + sd**2) * x0 + s * sd / (s**2 + sd**2).sqrt())


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_inputs_and_targets_have_unit_variance(path):
    """The design rule of table 1, here on every path."""
    generator, sd = torch.Generator().manual_seed(0), 0.3
    x0, eps = (
        torch.randn(2, 200_000, 1, dtype=torch.float64, generator=generator) * torch.tensor([sd, 1.0])[:, None, None]
    )
    for ratio in (0.05, 0.5, 5.0):
        t = path.time(torch.full((len(x0),), ratio, dtype=torch.float64))
        x = path.add_noise(x0, t, eps)
        skip, out, into = EDMPrediction(sd).scales(path, column(t, x0))
        assert float((into * x).std()) == pytest.approx(1, abs=0.01)
        assert float(((x0 - skip * x) / out).std()) == pytest.approx(1, abs=0.01)


TARGETS = {
    "EpsilonPrediction": lambda path, t, x0, eps: eps,
    "SamplePrediction": lambda path, t, x0, eps: x0,
}


@pytest.mark.parametrize("path", PATHS, ids=repr)
@pytest.mark.parametrize("name", TARGETS)
def test_the_right_output_gives_the_data_back(path, name):
    x0, eps, t = sample()
    prediction = next(p for p in PREDICTIONS if type(p).__name__ == name)
    denoiser = Denoiser(Fixed(TARGETS[name](path, t, x0, eps)), path, prediction)
    torch.testing.assert_close(denoiser(path.add_noise(x0, t, eps), t), x0)


def test_the_velocity_of_flow_matching_is_noise_less_data():
    x0, eps, t = sample()
    denoiser = Denoiser(Fixed(eps - x0), CondOT(), VelocityPrediction())
    torch.testing.assert_close(denoiser(CondOT().add_noise(x0, t, eps), t), x0)
    assert denoiser.loss(x0, t, eps).max() < 1e-20


@pytest.mark.parametrize("path", PATHS, ids=repr)
@pytest.mark.parametrize("prediction", PREDICTIONS, ids=repr)
def test_a_perfect_network_has_no_loss_and_denoises(path, prediction):
    x0, eps, t = sample()
    x = path.add_noise(x0, t, eps)
    skip, out, _ = prediction.scales(path, column(t, x0))
    denoiser = Denoiser(Fixed((x0 - skip * x) / out), path, prediction)
    torch.testing.assert_close(denoiser(x, t), x0)
    assert denoiser.loss(x0, t, eps).max() < 1e-20


def test_the_loss_is_the_weighted_error_of_the_denoised_estimate():
    x0, eps, t = sample()
    sd = 0.5
    denoiser = Denoiser(Fixed(torch.full_like(x0, 0.3)), EDM(), EDMPrediction(sd))
    error = (denoiser(EDM().add_noise(x0, t, eps), t) - x0) ** 2
    weight = (t**2 + sd**2) / (t * sd) ** 2
    torch.testing.assert_close(denoiser.loss(x0, t, eps), weight * error.mean((1, 2)))


def test_padding_never_reaches_the_loss():
    x0, eps, t = sample()
    net = nn.Linear(3, 3).double()
    denoiser = Denoiser(ByRow(net), EDM(), EDMPrediction(1.0))
    mask = torch.ones(6, 5, dtype=torch.bool)
    mask[0, 2:] = False
    mask[1] = False
    expected = [denoiser.loss(x0[:1, :2], t[:1], eps[:1, :2]), torch.zeros(1), denoiser.loss(x0[2:], t[2:], eps[2:])]
    padded = torch.where(mask[..., None], x0, torch.nan)
    loss = denoiser.loss(padded, t, eps, mask=mask)
    torch.testing.assert_close(loss, torch.cat([part.double() for part in expected]))
    entries = mask[..., None].expand_as(x0)
    torch.testing.assert_close(denoiser.loss(padded, t, eps, mask=entries), loss)
    torch.testing.assert_close(denoiser.loss(x0, t, eps, mask=3.0 * mask), loss)


def test_padding_never_reaches_a_gradient():
    x0, eps, t = sample()
    net = nn.Linear(3, 3).double()
    denoiser = Denoiser(ByRow(net), EDM(), EDMPrediction(1.0))
    mask = torch.ones(6, 5, dtype=torch.bool)
    mask[:, 3:] = False
    gradients = []
    for filler in (0.0, 1e3):
        net.zero_grad()
        denoiser.loss(torch.where(mask[..., None], x0, filler), t, eps, mask=mask).sum().backward()
        gradients.append(net.weight.grad.clone())
    torch.testing.assert_close(*gradients)


class ByRow(nn.Module):
    """A network that sees each row alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layer(x)


@pytest.mark.parametrize("path", PATHS, ids=repr)
@pytest.mark.parametrize("prediction", PREDICTIONS, ids=repr)
def test_a_table_is_the_denoiser_at_its_times(path, prediction):
    x0, _, _ = sample()
    denoiser = Denoiser(ByRow(nn.Linear(3, 3).double()), path, prediction)
    times = (0.9, 0.4, 0.01)
    scales, network = tabulate(denoiser, times, x0, None)
    for i, time in enumerate(times):
        estimate = scales.skip[i] * x0 + scales.out[i] * network(i, scales.into[i] * x0)
        torch.testing.assert_close(estimate, denoiser(x0, torch.tensor(time, dtype=torch.float64)))


def test_the_condition_is_handed_on():
    x0, _, t = sample()
    condition = torch.ones(6, 2)
    net = Fixed(x0)
    Denoiser(net, EDM(), EDMPrediction())(x0, t, condition)
    assert net.condition is condition
