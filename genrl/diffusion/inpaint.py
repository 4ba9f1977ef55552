"""Inpainting: entries that are known keep their values, the rest is generated around them.

Source: "RePaint" (Lugmayr et al. 2022), https://arxiv.org/abs/2201.09865, and Diffuser (Janner et al. 2022) for the use
in planning.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genrl.diffusion.denoiser import Estimator, Table, plain, tabulate


class Inpaint:
    """A denoiser that knows some entries: there its estimate is the known value.

    The path then carries the known entries by itself: whatever the sampler, they are alpha(t) known + sigma(t) eps at
    every time and exactly known at the end. What the network makes of them is an approximation: it conditions on known
    entries that are noised like the rest, not on their clean values, so that samples lean to the marginal where noise
    is high. Stochastic samplers redraw that noise from step to step and come closer to the conditional distribution: of
    two unit Gaussians of correlation 0.8, one known to be 2, the other has mean 1.6; it comes out as 0.69 by Heun,
    as 1.39 with churn in 256 steps. A network that is given clean entries in training is exact.

    Args:
        denoiser: the denoiser to wrap.
        known: (B, ...) values; those outside ``mask`` are ignored.
        mask: true where ``known`` counts, broadcastable to ``known``; None for wherever ``known`` is not NaN.
        noise: (B, ...) unit noise that fixes eps at the known entries; None to leave it to the sampler's own state.
    """

    def __init__(
        self, denoiser: Estimator, known: Tensor, mask: Tensor | None = None, noise: Tensor | None = None
    ) -> None:
        self.denoiser, self.path, self.noise = denoiser, denoiser.path, noise
        self.mask = ~known.isnan() if mask is None else mask.to(torch.bool)
        self.known = torch.where(self.mask, known, 0.0)

    def __call__(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        """(B, ...) noisy data at scalar or (B,) times to the estimate of x_0, known entries as they are."""
        if self.noise is not None:
            x = torch.where(self.mask, self.path.add_noise(self.known, t, self.noise), x)
        return self.keep(self.denoiser(x, t, condition))

    def keep(self, x: Tensor) -> Tensor:
        """(B, ...) with the known entries put in."""
        return torch.where(self.mask, self.known, x)

    def tabulate(self, times: tuple[float, ...], x: Tensor, condition: Any) -> Table:
        """The same at known times, see ``genrl.diffusion.denoiser.tabulate``."""
        inner = tabulate(self.denoiser, times, x, condition)
        skip, out, into = inner.scales.skip, inner.scales.out, inner.scales.into
        levels = torch.tensor(times, dtype=torch.float64)
        alpha, sigma = self.path.alpha(levels).tolist(), self.path.sigma(levels).tolist()

        def network(i: int, x: Tensor) -> Tensor:
            if self.noise is not None:
                x = torch.where(self.mask, alpha[i] * self.known + sigma[i] * self.noise, x)
            return self.keep(skip[i] * x + out[i] * inner.network(i, into[i] * x))

        return Table(plain(len(times)), network)
