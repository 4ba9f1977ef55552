"""What samplers are held against: exact denoisers, the reference's faulty churn, and the schedulers of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import diffusers.schedulers as library
import torch
from torch import Tensor, nn

from genrl.diffusion.denoiser import Denoiser, EDMPrediction, EpsilonPrediction, Estimator, VelocityPrediction
from genrl.diffusion.noise import Noise
from genrl.diffusion.path import EDM, VP, CondOT, Path, column
from genrl.diffusion.samplers import ancestral, dpmpp_2m, dpmpp_2m_sde, euler, heun, lms


class Gaussian:
    """The exact denoiser of N(mean, std^2) data on any path."""

    def __init__(self, path: Path, mean: float = 0.0, std: float = 1.0) -> None:
        self.path, self.mean, self.std = path, mean, std

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        gain = alpha * self.std**2 / (alpha**2 * self.std**2 + sigma**2)
        return self.mean + gain * (x - alpha * self.mean)

    def flow(self, x: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Where the exact probability flow takes ``x`` from one time to another."""

        def marginal(t: Tensor) -> tuple[Tensor, Tensor]:
            return self.path.alpha(t) * self.mean, (
                self.path.alpha(t) ** 2 * self.std**2 + self.path.sigma(t) ** 2
            ).sqrt()

        (mean_start, std_start), (mean_end, std_end) = marginal(start), marginal(end)
        return mean_end + (x - mean_start) * std_end / std_start


class Mixture:
    """The exact denoiser of a mixture of Gaussians with equal weights, entry by entry."""

    def __init__(self, path: Path, means: Iterable[float], stds: Iterable[float]) -> None:
        self.path = path
        self.means, self.stds = torch.tensor(list(means)), torch.tensor(list(stds))

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        means, stds = self.means.to(x), self.stds.to(x)
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        variance = (alpha * stds) ** 2 + sigma**2
        offset = x[..., None] - alpha * means  # (..., components)
        share = torch.softmax(-0.5 * (offset**2 / variance + variance.log()), dim=-1)
        return (share * (means + alpha * stds**2 / variance * offset)).sum(-1)


def unchurned(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Tensor | None,
    noise: Noise,
    *,
    s_churn: float,
    s_tmin: float,
    s_tmax: float,
    s_noise: float,
    correct: bool = True,
) -> Tensor:
    """The faulty rule of the policy-guided diffusion reference: Euler's step starts from the state before its churn.

    ``correct`` False leaves out Heun's correction, which starts where it should.
    """
    steps = len(grid) - 1
    for i, (sigma, end) in enumerate(pairwise(grid)):
        gain = min(s_churn / steps, 2**0.5 - 1) if s_tmin <= sigma <= s_tmax else 0.0
        raised = sigma * (1 + gain)
        churned = x + (raised**2 - sigma**2).sqrt() * s_noise * noise(i + 1, x)
        slope = (churned - denoiser(churned, raised, condition)) / raised
        x = x + (end - raised) * slope  # the fault: x where it should be churned
        if correct and end > 0:
            slope_end = (x - denoiser(x, end, condition)) / end
            x = churned + (end - raised) * (slope + slope_end) / 2
    return x


def exact_std(sampler: Callable[..., Tensor], grid: Tensor, **options: Any) -> float:
    """Standard deviation of a sampler's results on the EDM path with the exact denoiser of N(0, 1), without sampling.

    That denoiser is linear, so the result is a sum over the start and all draws of noise, each with a factor. One row
    of a batch for each, with unit noise there and zero elsewhere, finds the factors.
    """
    x = torch.zeros(len(grid), 1, dtype=torch.float64)
    x[0] = grid[0]

    def unit(step: int, like: Tensor) -> Tensor:
        noise = torch.zeros_like(like)
        noise[step] = 1.0
        return noise

    return float(sampler(Gaussian(EDM()), x, grid, None, unit, **options).norm())


class SmoothNet(nn.Module):
    """A fixed smooth function of input and noise level, of the order of 1."""

    def __init__(self, dim: int = 3, hidden: int = 16) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.into = nn.Parameter(torch.randn(dim, hidden, generator=generator) / dim**0.5)
        self.level = nn.Parameter(torch.randn(hidden, generator=generator))
        self.out = nn.Parameter(torch.randn(hidden, dim, generator=generator) / hidden)

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        return torch.tanh(x @ self.into + column(noise, x) * self.level) @ self.out


class NoiseNet(nn.Module):
    """A noise prediction around that of N(0, 1) data, which keeps samples of the order of 1 as a trained network does.

    ``ratio`` recovers sigma / alpha from the noise level that a network is told.
    """

    def __init__(self, ratio: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        ratio = self.ratio(noise)[:, None]
        return (ratio * x + NET(x, noise)) / (1 + ratio**2).sqrt()


NET = SmoothNet()
SHAPE = (64, 3)
Pair = tuple[Tensor, Tensor]


def _eps() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(11))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(13)


def _same_noise() -> Noise:
    """The noise that a scheduler draws from ``_generator()``."""
    generator = _generator()
    return lambda step, like: torch.randn(like.shape, generator=generator)


def _drive(
    net: nn.Module, scheduler: Any, x: Tensor, level: Callable[[Any, Tensor], Tensor], steps: int, **options: Any
) -> Tensor:
    """The loop that the documentation of diffusers gives, over the first ``steps`` timesteps."""
    for timestep in scheduler.timesteps[:steps]:
        scaled = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
        output = net(scaled, level(scheduler, timestep).expand(len(x)))
        x = scheduler.step(output, timestep, x, **options).prev_sample
    return x


def against_edm(name: str, sampler: Callable[..., Tensor], steps: int, **settings: Any) -> Pair:
    """Ours and theirs for the schedulers that precondition by themselves."""
    scheduler = getattr(library, name)(sigma_data=0.5, **settings)
    scheduler.set_timesteps(steps)
    denoiser = Denoiser(NET, EDM(), EDMPrediction(0.5))
    start = scheduler.config.sigma_max * _eps()  # init_noise_sigma is sqrt(sigma_max^2 + 1)
    ours = sampler(denoiser, start, scheduler.sigmas.double(), None, _same_noise())
    return ours, _drive(NET, scheduler, start, lambda _, timestep: timestep, steps, generator=_generator())


def against_exploding(name: str, sampler: Callable[..., Tensor], steps: int, last: bool = True) -> Pair:
    """Ours and theirs for the schedulers of Karras' form that predict noise; ``last`` False stops a step early."""
    scheduler = getattr(library, name)()
    scheduler.set_timesteps(steps)
    doubled = name == "HeunDiscreteScheduler"
    grid = torch.cat((scheduler.sigmas[:1], scheduler.sigmas[1::2])) if doubled else scheduler.sigmas
    net = NoiseNet(lambda level: (4 * level).exp())
    denoiser = Denoiser(net, EDM(), EpsilonPrediction())
    start = grid[0] * _eps()
    ours = sampler(denoiser, start, grid.double() if last else grid[:-1].double(), None, _same_noise())
    draws = {"generator": _generator()} if "Ancestral" in name else {}
    count = len(scheduler.timesteps) - (0 if last else 1)
    return ours, _drive(net, scheduler, start, lambda s, _: s.sigmas[s.step_index].log() / 4, count, **draws)


def against_preserving(name: str, sampler: Callable[..., Tensor], steps: int, **options: Any) -> Pair:
    """Ours and theirs for the schedulers on a discrete VP schedule, here ``VP`` at 1000 times."""
    path = VP()
    wanted = {"clip_sample": False, "timestep_spacing": "trailing"}
    accepted = set(getattr(library, name)().config)
    scheduler = getattr(library, name)(**{key: value for key, value in wanted.items() if key in accepted})
    scheduler.alphas_cumprod = (path.alpha(torch.arange(1, 1001, dtype=torch.float64) / 1000) ** 2).float()
    scheduler.set_timesteps(steps)
    grid = torch.cat(((scheduler.timesteps.double() + 1) / 1000, torch.zeros(1, dtype=torch.float64)))
    start = path.sigma(grid[0]).float() * _eps()
    net = NoiseNet(path.ratio)
    ours = sampler(Denoiser(net, path, EpsilonPrediction()), start, grid, None, _same_noise(), **options)
    options |= {"generator": _generator()}
    return ours, _drive(net, scheduler, start, lambda _, timestep: (timestep + 1) / 1000, steps, **options)


def against_flow(name: str, sampler: Callable[..., Tensor], steps: int) -> Pair:
    """Ours and theirs for flow matching.

    Their Heun divides differences by the time, which costs digits near 0; the shift keeps the last step away from it.
    """
    scheduler = getattr(library, name)(shift=3.0)
    scheduler.set_timesteps(steps)
    doubled = name == "FlowMatchHeunDiscreteScheduler"
    grid = torch.cat((scheduler.sigmas[:1], scheduler.sigmas[1::2])) if doubled else scheduler.sigmas
    ours = sampler(Denoiser(NET, CondOT(), VelocityPrediction()), _eps(), grid.double())
    return ours, _drive(NET, scheduler, _eps(), lambda _, timestep: timestep / 1000, len(scheduler.timesteps))


COMPARISONS: dict[str, Callable[[], Pair]] = {
    "euler-edm": lambda: against_edm("EDMEulerScheduler", euler, 10),
    "euler-edm-exponential": lambda: against_edm(
        "EDMEulerScheduler", euler, 3, sigma_schedule="exponential", sigma_min=0.005, sigma_max=1.0
    ),
    "euler-edm-dpm": lambda: against_edm("EDMDPMSolverMultistepScheduler", euler, 10, solver_order=1),
    "dpmpp_2m-edm": lambda: against_edm("EDMDPMSolverMultistepScheduler", dpmpp_2m, 10),
    "dpmpp_2m-edm-long": lambda: against_edm("EDMDPMSolverMultistepScheduler", dpmpp_2m, 30),
    "dpmpp_2m_sde-edm": lambda: against_edm(
        "EDMDPMSolverMultistepScheduler", dpmpp_2m_sde, 10, algorithm_type="sde-dpmsolver++"
    ),
    "euler-exploding": lambda: against_exploding("EulerDiscreteScheduler", euler, 10),
    "ancestral-exploding": lambda: against_exploding("EulerAncestralDiscreteScheduler", ancestral, 10),
    "heun-exploding": lambda: against_exploding("HeunDiscreteScheduler", heun, 10),
    "lms-exploding": lambda: against_exploding("LMSDiscreteScheduler", lms, 10, last=False),
    "ddim-vp": lambda: against_preserving("DDIMScheduler", euler, 10, eta=0.0),
    "ddim-vp-stochastic": lambda: against_preserving("DDIMScheduler", euler, 10, eta=1.0),
    "ddpm-vp": lambda: against_preserving("DDPMScheduler", ancestral, 10),
    "dpmpp_2m-vp": lambda: against_preserving("DPMSolverMultistepScheduler", dpmpp_2m, 10),
    "euler-flow": lambda: against_flow("FlowMatchEulerDiscreteScheduler", euler, 10),
    "heun-flow": lambda: against_flow("FlowMatchHeunDiscreteScheduler", heun, 10),
}
"""Ours and theirs by name, float32."""


def max_diff_to_diffusers() -> dict[str, float]:
    """The largest absolute difference of each comparison."""
    with torch.no_grad():
        return {name: float((ours - theirs).abs().max()) for name, (ours, theirs) in _pairs()}


def _pairs() -> Iterable[tuple[str, Pair]]:
    return ((name, compare()) for name, compare in COMPARISONS.items())
