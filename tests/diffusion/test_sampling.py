"""Temperature, where the answer is known: the denoiser of a Gaussian is linear, so noise scales what is made of it."""

import pytest
import torch

from genrl.data.errors import ConfigurationError
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, CondOT
from genrl.diffusion.sampling import FlowSampling, Sampling

MEAN, STD = 0.7, 0.3
CHOICES = [
    *(Sampling(solver, 8, 0.01, 3.0) for solver in ("ddim", "ancestral", "dpmpp_2m_sde")),
    *(FlowSampling(solver, 8) for solver in ("euler", "ancestral")),
]


class Gaussian:
    """E[x_0 | x_t] of data from N(MEAN, STD^2)."""

    def __init__(self, path):
        self.path = path

    def __call__(self, x, t, condition=None):
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)


def drawn(sampling, temperature, warm=False):
    cool = type(sampling)(**{**vars(sampling), "temperature": temperature})
    data = Gaussian(CondOT() if isinstance(sampling, FlowSampling) else EDM())
    eps, noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double(), BlockNoise(0, 0)
    if warm:
        return cool.again(data, torch.full_like(eps, MEAN), 0.5, eps, None, noise)
    return cool(data, eps, None, noise)


@pytest.mark.parametrize("sampling", CHOICES, ids=lambda s: f"{type(s).__name__}-{s.solver}")
@pytest.mark.parametrize("warm", [False, True])
def test_temperature_scales_the_spread_and_leaves_the_middle(sampling, warm):
    mean = drawn(sampling, 0.0, warm)
    torch.testing.assert_close(mean, mean[:1].expand_as(mean))
    assert abs(float(mean[0]) - MEAN) < 0.1  # the path begins at 0 rather than at alpha times the mean
    torch.testing.assert_close(drawn(sampling, 0.4, warm) - mean, 0.4 * (drawn(sampling, 1.0, warm) - mean))


def test_a_negative_temperature_is_refused():
    for kind in (Sampling, FlowSampling):
        with pytest.raises(ConfigurationError, match="temperature is 0 or above, not -1"):
            kind(temperature=-1.0)
