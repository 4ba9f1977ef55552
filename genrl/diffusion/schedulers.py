"""Any of the supported schedulers of diffusers as a sampler.

A scheduler keeps its state in a space of its own, scaled and noised as its family has it, and expects a network's
output of its own kind. Here both are translated: the denoiser is called on its own path at the same sigma / alpha, and
its estimate is turned into what the scheduler asks for. What a scheduler keeps between steps is a copy's, never the
given one's.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import diffusers.schedulers as library
import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.noise import Noise

Level = tuple[Tensor, Tensor]


class Family(NamedTuple):
    """How a kind of scheduler keeps its state, alpha x_0 + sigma eps, and what it expects of a network.

    ``level`` tells (alpha, sigma) at (scheduler, index, timestep); ``output`` turns (scheduler, x, x_0, level) into the
    network's output.
    """

    level: Callable[[Any, int, Tensor], Level]
    output: Callable[[Any, Tensor, Tensor, Level], Tensor]


def _epsilon(_: Any, x: Tensor, x0: Tensor, level: Level) -> Tensor:
    alpha, sigma = level
    return (x - alpha * x0) / sigma


def _velocity(_: Any, x: Tensor, x0: Tensor, level: Level) -> Tensor:
    return (x - x0) / level[1]


def _edm(scheduler: Any, x: Tensor, x0: Tensor, level: Level) -> Tensor:
    """The raw network output F that the scheduler's own preconditioning turns back into ``x0``."""
    skip = scheduler.precondition_outputs(torch.ones_like(x), torch.zeros_like(x), level[1])
    out = scheduler.precondition_outputs(torch.zeros_like(x), torch.ones_like(x), level[1])
    return (x0 - skip * x) / out


def _epsilon_or_velocity(scheduler: Any, x: Tensor, x0: Tensor, level: Level) -> Tensor:
    flow = scheduler.config.get("use_flow_sigmas", False)
    return (_velocity if flow else _epsilon)(scheduler, x, x0, level)


def _exploding(scheduler: Any, index: int, _: Tensor) -> Level:
    sigma = scheduler.sigmas[index]
    return torch.ones_like(sigma), sigma


def _midpoint(scheduler: Any, index: int, timestep: Tensor) -> Level:
    """Every second call is at a level between two steps, which the ancestral scheduler counts from one."""
    if scheduler.state_in_first_order:
        return _exploding(scheduler, index, timestep)
    sigma = scheduler.sigmas_interpol[index - isinstance(scheduler, library.KDPM2AncestralDiscreteScheduler)]
    return torch.ones_like(sigma), sigma


def _flow(scheduler: Any, index: int, _: Tensor) -> Level:
    sigma = scheduler.sigmas[index]
    return 1 - sigma, sigma


def _preserving(scheduler: Any, index: int, _: Tensor) -> Level:
    return scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[index])


def _discrete(scheduler: Any, _: int, timestep: Tensor) -> Level:
    signal = scheduler.alphas_cumprod[int(timestep)]
    return signal.sqrt(), (1 - signal).sqrt()


_EXPLODING = Family(_exploding, _epsilon)
_MIDPOINT = Family(_midpoint, _epsilon)
_PRESERVING = Family(_preserving, _epsilon_or_velocity)
_DISCRETE = Family(_discrete, _epsilon)
_FLOW = Family(_flow, _velocity)
_EDM = Family(_exploding, _edm)

FAMILIES: dict[str, Family] = {
    "DDIM": _DISCRETE,
    "DDPM": _DISCRETE,
    "DEISMultistep": _PRESERVING,
    "DPMSolverMultistep": _PRESERVING,
    "DPMSolverSinglestep": _PRESERVING,
    "EDMDPMSolverMultistep": _EDM,
    "EDMEuler": _EDM,
    "EulerAncestralDiscrete": _EXPLODING,
    "EulerDiscrete": _EXPLODING,
    "FlowMatchEulerDiscrete": _FLOW,
    "FlowMatchHeunDiscrete": _FLOW,
    "HeunDiscrete": _EXPLODING,
    "KDPM2AncestralDiscrete": _MIDPOINT,
    "KDPM2Discrete": _MIDPOINT,
    "LMSDiscrete": _EXPLODING,
    "PNDM": _DISCRETE,
    "SASolver": _PRESERVING,
    "UniPCMultistep": _PRESERVING,
}
"""The schedulers that can be samplers, by their class's name without "Scheduler"."""


def with_scheduler(scheduler: Any, steps: int, **options: Any) -> Callable[..., Tensor]:
    """A sampler, like those of ``genrl.diffusion.samplers``, that takes its steps by a diffusers scheduler.

    The scheduler's own noise levels count; of the sampler's grid only the first time, the level of the state given, is
    used. Whatever the scheduler is configured to predict or to clip, it is handed the right output and clips nothing.
    Stochastic schedulers draw from a generator that ``noise`` seeds, so their noise depends on the size of the batch.

    Args:
        scheduler: one of ``FAMILIES``.
        steps: inference steps.
        options: handed on to each ``scheduler.step``, such as ``eta``.

    Raises:
        ConfigurationError: the scheduler is none of ``FAMILIES``; from the sampler, that it starts at a noise level
            which the denoiser's path does not have, or draws noise and none is given.
    """
    family = _family(scheduler)
    draws = "generator" in inspect.signature(scheduler.step).parameters

    def sampler(
        denoiser: Estimator, x: Tensor, grid: Tensor, condition: Tensor | None = None, noise: Noise | None = None
    ) -> Tensor:
        generator = _generator(noise)
        untouched = generator.get_state()
        prepared = _prepared(scheduler, steps, x.device)
        extra = options | ({"generator": generator} if draws else {})
        with torch.no_grad():
            x = _sample(prepared, family, extra, denoiser, x, grid[0], condition)
        if noise is None and not torch.equal(generator.get_state(), untouched):
            raise ConfigurationError(
                f"{type(scheduler).__name__} draws noise and was given none, such as BlockNoise(seed, block): a"
                " SchedulerSampling takes schedulers that draw none."
            )
        keep = getattr(denoiser, "keep", None)
        return keep(x) if keep else x

    return sampler


def made(name: str, config: Mapping[str, Any]) -> Any:
    """The scheduler of a name in ``FAMILIES``.

    Raises:
        ConfigurationError: there is none, or it refuses ``config``.
    """
    if name not in FAMILIES:
        raise ConfigurationError(f"There is no scheduler {name!r}; there are {', '.join(FAMILIES)}.")
    kind = getattr(library, f"{name}Scheduler")
    takes = inspect.signature(kind).parameters
    if not set(config) <= set(takes):
        raise ConfigurationError(f"The scheduler {name} takes {', '.join(takes)}, not {dict(config)}.")
    try:
        return kind(**config)
    except (TypeError, ValueError, NotImplementedError, ImportError) as error:
        raise ConfigurationError(f"The scheduler {name} cannot be made from {dict(config)}: {error}") from error


def require_steps(scheduler: Any, steps: int) -> None:
    """Refuse a number of steps that ``scheduler`` cannot take.

    Raises:
        ConfigurationError: it says so itself.
    """
    try:
        _prepared(scheduler, steps, torch.device("cpu"))
    except (TypeError, ValueError, IndexError) as error:
        raise ConfigurationError(f"{type(scheduler).__name__} cannot take {steps} steps: {error}") from error


def _family(scheduler: Any) -> Family:
    for name, family in FAMILIES.items():
        if isinstance(scheduler, getattr(library, f"{name}Scheduler")):
            return family
    raise ConfigurationError(f"{type(scheduler).__name__} cannot be a sampler; these can: {', '.join(FAMILIES)}.")


def _prepared(scheduler: Any, steps: int, device: torch.device) -> Any:
    """A copy at the start of its steps that takes the outputs handed to it as they are."""
    prepared = copy.deepcopy(scheduler)
    flow = prepared.config.get("use_flow_sigmas", False)
    wanted = {"prediction_type": "flow_prediction" if flow else "epsilon", "clip_sample": False, "thresholding": False}
    prepared.register_to_config(**{key: value for key, value in wanted.items() if key in prepared.config})
    prepared.set_timesteps(steps, device=device)
    if hasattr(prepared, "set_begin_index"):
        prepared.set_begin_index(0)  # it would look up the first timestep and may find a later one that is equal
    return prepared


def _generator(noise: Noise | None) -> torch.Generator:
    """A generator seeded by the bits of the first noise."""
    first = torch.zeros(1, dtype=torch.float64)
    bits = first if noise is None else noise(1, first)
    return torch.Generator().manual_seed(int(bits.view(torch.int64)))


def _sample(
    scheduler: Any,
    family: Family,
    options: dict[str, Any],
    denoiser: Estimator,
    x: Tensor,
    start: Tensor,
    condition: Tensor | None,
) -> Tensor:
    """The loop, with states brought from one space to the other by the ratio of the noise in both."""
    path, dtype = denoiser.path, x.dtype
    _, sigma = family.level(scheduler, 0, scheduler.timesteps[0])
    state = x * (sigma / path.sigma(start)).to(dtype)
    for timestep in scheduler.timesteps:
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(state, timestep)  # for the step index that it finds
        index = getattr(scheduler, "step_index", None) or 0
        level = alpha, sigma = family.level(scheduler, index, timestep)
        t = path.time(sigma.double() / alpha.double())
        if not t.isfinite():
            raise ConfigurationError(f"{type(scheduler).__name__} starts at pure noise, which {path} does not have.")
        x0 = denoiser(state * (path.sigma(t) / sigma).to(dtype), t.to(dtype), condition)
        output = family.output(scheduler, state, x0, level)
        state = scheduler.step(output, timestep, state, **options).prev_sample.to(dtype)
    return state
