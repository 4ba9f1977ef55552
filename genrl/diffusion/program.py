"""A sampler as a table: every solver here forms its next state as a linear combination of what it has seen.

With x_j the state at the j-th call of the denoiser, D_j = D(x_j) its estimate and z unit noise,

    x_j = sum_k states[k] x_{j-1-k} + sum_k estimates[k] D_{j-1-k} + spread z.

The factors depend on grid, path and solver alone, so they are tabulated once (``genrl.diffusion.solvers``), in float64.
The preconditioning D = skip x + out F(into x) of a network F is folded in, and a step of any solver is then one matrix
product over a short tape of states and network outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Estimator, Scales, tabulate
from genrl.diffusion.noise import Noise


class Row(NamedTuple):
    """Factors of the states and estimates of the latest calls, newest first, and of fresh noise."""

    states: tuple[float, ...] = ()
    estimates: tuple[float, ...] = ()
    spread: float = 0.0


@dataclass(frozen=True, eq=False)
class Program:
    """A solver on a grid.

    Attributes:
        times: (m,) times of the denoiser's calls.
        rows: (m + 1,) how each call's state is formed, and last the result; the first acts on the state given.
    """

    times: tuple[float, ...]
    rows: tuple[Row, ...]

    @property
    def window(self) -> int:
        """Number of latest calls that any row looks back on."""
        return max(max(len(row.states), len(row.estimates)) for row in self.rows)


@lru_cache(maxsize=256)
def fold(program: Program, scales: Scales, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """The rows as weights (1, 2 window + 1) of the tape [scaled states, network outputs, noise].

    Call j is at place j mod window of either half. Computed in float64, whatever ``dtype``.
    """
    window, calls = program.window, len(program.times)
    skip, out, into = (part.tolist() for part in scales)
    weights = torch.zeros(calls + 1, 1, 2 * window + 1, dtype=torch.float64)
    for j, row in enumerate(program.rows):
        weight = weights[j, 0]
        for k, factor in enumerate(row.states):
            weight[(j - 1 - k) % window] += factor / (into[j - 1 - k] if j > 0 else 1.0)
        for k, factor in enumerate(row.estimates):
            call = j - 1 - k
            weight[call % window] += factor * skip[call] / into[call]
            weight[window + call % window] += factor * out[call]
        weight[-1] = row.spread
        weight *= into[j] if j < calls else 1.0
    return weights.to(device, dtype).unbind()


def run(program: Program, denoiser: Estimator, x: Tensor, condition: Tensor | None, noise: Noise | None) -> Tensor:
    """Carry out a program from the (B, ...) state ``x``; see ``genrl.diffusion.samplers`` for the arguments.

    Runs in inference mode and returns an ordinary tensor, which may take part in training.

    Raises:
        ConfigurationError: the program draws noise and none is given.
    """
    with torch.inference_mode():
        return _run(program, denoiser, x, condition, noise).clone()


def _run(program: Program, denoiser: Estimator, x: Tensor, condition: Tensor | None, noise: Noise | None) -> Tensor:
    scales, network = tabulate(denoiser, program.times, x, condition)
    weights = fold(program, scales, x.dtype, x.device)
    window, calls = program.window, len(program.times)
    tape = x.new_zeros(2 * window + 1, x.numel())
    places = tape[:, None].unbind()  # (1, B ...) each
    state = x.reshape(1, -1)
    places[window - 1].copy_(state)
    state = torch.empty_like(state)
    shaped = state.view(x.shape)
    for j, row in enumerate(program.rows):
        if row.spread:
            if noise is None:
                raise ConfigurationError("This sampler draws noise; give it some, such as BlockNoise(seed, block).")
            places[-1].copy_(noise(j + 1, shaped).reshape(1, -1))
        torch.mm(weights[j], tape, out=state)
        if j < calls:
            place = j % window
            places[place].copy_(state)
            places[window + place].copy_(network(j, shaped).reshape(1, -1))
    return shaped
