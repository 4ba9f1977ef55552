"""Inference as diffusers' examples and LeRobot's diffusion policy write it: a scheduler stepped around a network.

Each step asks the scheduler to scale its input, calls the network and lets the scheduler turn the output into the next
state; preconditioning is the scheduler's. ``benchmarks.beso_latency`` holds ours against it at equal network calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.schedulers import EDMDPMSolverMultistepScheduler, EDMEulerScheduler
from torch import Tensor

Network = Callable[[Tensor, Tensor, Any], Tensor]
"""(B, T, A) scaled actions, (B,) noise levels ln(sigma) / 4 and a condition to the network's (B, T, A) output."""

_LINEAR = {"sigma_schedule": "karras", "rho": 1.0}  # Karras's grid with rho 1 has even steps in sigma
SCHEDULERS: dict[str, Callable[..., Any]] = {
    "edm_euler": EDMEulerScheduler,
    "edm_dpmsolver": lambda **settings: EDMDPMSolverMultistepScheduler(solver_order=1, **settings),
}
"""Schedulers that call the network once a step; of first order both are Euler's method, which is DDIM's."""


def scheduler(name: str, sigma_min: float, sigma_max: float, sigma_data: float) -> Any:
    """One of ``SCHEDULERS``, on the linear grid down to 0."""
    limits = {"sigma_min": sigma_min, "sigma_max": sigma_max, "sigma_data": sigma_data}
    return SCHEDULERS[name](**limits, **_LINEAR)


@torch.inference_mode()
def scheduler_loop(scheduler: Any, net: Network, noise: Tensor, condition: Any, steps: int) -> Tensor:
    """Actions (B, T, A) from ``noise``, unit noise times sigma_max of that shape, in ``steps`` network calls."""
    scheduler.set_timesteps(steps)
    x = noise
    for t in scheduler.timesteps:
        output = net(scheduler.scale_model_input(x, t), t.expand(len(x)), condition)
        x = scheduler.step(output, t, x).prev_sample
    return x
