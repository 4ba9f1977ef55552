"""A sampler as a table: every solver here forms its next state as a linear combination of what it has seen.

With x_j the state at the j-th call of the denoiser, D_j = D(x_j) its estimate and z unit noise,

    x_j = sum_k states[k] x_{j-1-k} + sum_k estimates[k] D_{j-1-k} + spread z.

The factors depend on grid, path and solver alone, so they are tabulated once (``genrl.diffusion.solvers``), in float64.
The preconditioning D = skip x + out F(into x) of a network F is folded in, and a step of any solver is then one matrix
product over a short tape of states and network outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Estimator, FixedScales, tabulate
from genrl.diffusion.noise import Noise

AHEAD = 2**14  # numbers of noise on the tape at once, at most: small draws cost less together


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

    @cached_property
    def window(self) -> int:
        """Number of latest calls that any row looks back on."""
        return max(max(len(row.states), len(row.estimates)) for row in self.rows)

    @cached_property
    def draws(self) -> tuple[int, ...]:
        """The rows that have a spread, for which noise is drawn."""
        return tuple(j for j, row in enumerate(self.rows) if row.spread > 0)


@lru_cache(maxsize=256)
def fold(
    program: Program, scales: FixedScales, ahead: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """The rows as weights (1, K) of a tape of ``window`` scaled states, as many network outputs, and ``ahead`` noises.

    Call j and draw k are at places j mod window and k mod ahead of theirs. Computed in float64, whatever ``dtype``.
    """
    window, calls = program.window, len(program.times)
    skip, out, into = scales.skip, scales.out, (*scales.into, 1.0)
    weights = [[0.0] * (2 * window + ahead) for _ in range(calls + 1)]
    for j, (weight, row) in enumerate(zip(weights, program.rows, strict=True)):
        for k, factor in enumerate(row.states, start=1):
            weight[(j - k) % window] += factor / into[j - k]  # into[-1], of the state given, is 1
        for k, factor in enumerate(row.estimates, start=1):
            weight[(j - k) % window] += factor * skip[j - k] / into[j - k]
            weight[window + (j - k) % window] += factor * out[j - k]
    for k, j in enumerate(program.draws):
        weights[j][2 * window + k % ahead] = program.rows[j].spread
    scaled = torch.tensor(weights, dtype=torch.float64) * torch.tensor(into, dtype=torch.float64)[:, None]
    return scaled[:, None].to(device, dtype).unbind()


def run(program: Program, denoiser: Estimator, x: Tensor, condition: Tensor | None, noise: Noise | None) -> Tensor:
    """Carry out a program from the (B, ...) state ``x``; see ``genrl.diffusion.samplers`` for the arguments.

    Runs in inference mode and returns an ordinary tensor, which may take part in training.

    Raises:
        ConfigurationError: the program draws noise and none is given.
    """
    if noise is None and program.draws:
        raise ConfigurationError("This sampler draws noise; give it some, such as BlockNoise(seed, block).")
    state = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    with torch.inference_mode():
        scales, network = tabulate(denoiser, program.times, x, condition)
        tape = Tape(program, x)
        weights = fold(program, scales, tape.ahead, x.dtype, x.device)
        flat, calls, window = state.view(1, -1), len(program.times), program.window
        for j, weight in enumerate(weights):
            if noise is not None and j in tape.refills:
                tape.refill(j, noise, state)
            torch.mm(weight, tape.rows, out=flat)
            if j < calls:
                tape.states[j % window].copy_(state)
                tape.outputs[j % window].copy_(network(j, state))
    return state


class Tape:
    """The latest states and network outputs, and noise to come, each a row of one matrix."""

    def __init__(self, program: Program, x: Tensor) -> None:
        draws, window = program.draws, program.window
        self.ahead = min(len(draws), max(1, AHEAD // max(1, x.numel())))
        self.rows = x.new_zeros(2 * window + self.ahead, x.numel())
        places = self.rows.view(len(self.rows), *x.shape)
        self.states, self.outputs = places[:window].unbind(), places[window : 2 * window].unbind()
        self.noises = places[2 * window :]
        steps = range(1, len(draws) + 1)
        self.refills = {draws[k]: steps[k : k + self.ahead] for k in range(0, len(draws), self.ahead or 1)}
        self.states[-1].copy_(x)

    def refill(self, row: int, noise: Noise, like: Tensor) -> None:
        """Draw the noise of a row of the program and of those after it for which there is room."""
        fresh = [noise(step, like) for step in self.refills[row]]
        torch.stack(fresh, out=self.noises[: len(fresh)])
