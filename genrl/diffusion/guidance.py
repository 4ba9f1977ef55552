"""Guidance: a denoiser that is led along a gradient, and still a denoiser.

If x_0 given x_t is Gaussian with variance V, tilting it by exp(w E(x_0)) moves its mean by w V grad E: whatever is to
be reached, guidance is a shift of the estimate,

    D'(x; t) = D(x; t) + w(t) g,

and every solver takes a guided denoiser like any other. g is the gradient at the estimate itself ("denoised" guidance,
nothing is propagated back through the network) or at the noisy state. Sources: "Policy-Guided Diffusion" (Jackson et
al. 2024), https://arxiv.org/abs/2404.06356, section 4, for the published coefficients; "Diffusion Models Beat GANs"
(Dhariwal and Nichol 2021), https://arxiv.org/abs/2105.05233, for guidance by gradients; Ho and Salimans (2022),
https://arxiv.org/abs/2207.12598, for guidance without a classifier.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from genrl.data.ranges import require_at_least, require_numbers
from genrl.data.setting import Setting
from genrl.diffusion.denoiser import Estimator, Table, plain, tabulate
from genrl.diffusion.inpaint import Inpaint
from genrl.diffusion.precision import in_full

MOST_SUBSTEPS = 16
"""Of the largest size that overshoots nothing: the pull of a Gaussian is at its aim after the first of them."""

Gradient = Callable[[Tensor], Tensor]
"""(B, ...) states to the direction of guidance, (B, ...): zero where nothing is to move."""


class Moment(NamedTuple):
    """Where a sampler is on its grid.

    Attributes:
        sigma: noise level.
        progress: u, share of the grid's steps behind it, from 0 to 1.
        rate: |du / d ln sigma| there.
    """

    sigma: float
    progress: float
    rate: float


class Schedule(Protocol):
    """How strongly to guide at a moment: the weight w of the gradient in the denoised estimate.

    Those below raise ``ConfigurationError`` for a setting that is no finite number.
    """

    def __call__(self, moment: Moment, /) -> float:
        """w at ``moment``."""


@dataclass(frozen=True)
class Published(Setting):
    """The coefficients of policy-guided diffusion: before step i of N the state moves by scale lambda_i g,

    lambda_i = (1 - i / N) + cosine sin(pi i / N); the reference has i + 1 under the sine. A shift of the estimate by w
    moves the state by w (1 - sigma' / sigma) in a step to sigma', about w |d ln sigma|, so
    w = scale lambda N |du / d ln sigma|: of the noise level alone. In long steps that is less than N short ones add up
    to: 0.84 of it in 16 steps of Euler's method, 0.7 in 8.

    Attributes:
        scale: s of the paper.
        cosine: c of the paper.
        steps: N, for which ``scale`` is meant; twice the steps move the state twice as far.
    """

    scale: float = 1.0
    cosine: float = 0.3
    steps: int = 256

    def __post_init__(self) -> None:
        require_numbers("schedule of guidance", scale=self.scale, cosine=self.cosine, steps=self.steps)

    def __call__(self, moment: Moment) -> float:
        """The weight; it falls to 0 at the end of the grid."""
        decay = 1 - moment.progress + self.cosine * math.sin(math.pi * moment.progress)
        return self.scale * max(decay, 0.0) * self.steps * moment.rate


@dataclass(frozen=True)
class Posterior(Setting):
    """w = scale V(sigma), V = sigma^2 / (1 + sigma^2) the variance of x_0 given x_t for data of unit variance.

    At scale 1 this is, to first order, the estimate under the product of data and exp(E): exactly so for Gaussian data
    of unit variance and a linear E.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        require_numbers("schedule of guidance", scale=self.scale)

    def __call__(self, moment: Moment) -> float:
        """The weight: about ``scale`` at high noise, and ``scale`` sigma^2 at low."""
        return self.scale * moment.sigma**2 / (1 + moment.sigma**2)


@dataclass(frozen=True)
class Constant(Setting):
    """w = scale between two noise levels and 0 elsewhere.

    Attributes:
        scale: the weight.
        lowest, highest: noise levels, in units of the normalised data.
    """

    scale: float = 1.0
    lowest: float = 0.0
    highest: float = math.inf

    def __post_init__(self) -> None:
        require_numbers("schedule of guidance", scale=self.scale)
        require_at_least(self.lowest, highest=self.highest)

    def __call__(self, moment: Moment) -> float:
        """The weight."""
        return self.scale if self.lowest <= moment.sigma <= self.highest else 0.0


@dataclass
class Diagnostics:
    """What guidance did at every call of a guided denoiser at which it weighed anything, means over the batch.

    Attributes:
        sigma: noise levels.
        guidance: norm of the shift w g.
        update: norm of the denoiser's own move D(x) - x in the entries that guidance moves.
        gradient: norm of the gradient, as it came.
    """

    sigma: list[float] = field(default_factory=list)
    guidance: list[float] = field(default_factory=list)
    update: list[float] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)

    def add(self, sigma: float, shift: Tensor, update: Tensor, gradient: Tensor) -> None:
        """One call: (B, ...) each."""
        moved = (shift != 0).to(update)
        self.sigma.append(sigma)
        for values, part in ((self.guidance, shift), (self.update, update * moved), (self.gradient, gradient)):
            values.append(float(part.flatten(1).norm(dim=1).mean()))

    @property
    def ratio(self) -> list[float]:
        """Guidance over the denoiser's own update, call by call."""
        return [g / u if u > 0 else 0.0 for g, u in zip(self.guidance, self.update, strict=True)]

    def summary(self) -> dict[str, float]:
        """Means over these calls, and the largest ratio."""
        if not self.sigma:
            return {}
        count, ratio = len(self.sigma), self.ratio
        return {
            "guidance_ratio": sum(ratio) / count,
            "guidance_ratio_max": max(ratio),
            "gradient_norm": sum(self.gradient) / count,
        }


class Guided:
    """A denoiser whose estimate is shifted by w(t) g.

    Args:
        denoiser: the denoiser to lead.
        gradient: the direction; zero entries never move, nor do those that the denoiser is given (``Inpaint``).
        weight: w at a noise level.
        noisy: take the gradient at the noisy state instead of the estimate.
        normalize: divide each sample's gradient by its norm; a gradient of zero stays zero.
        substeps: parts into which the shift is divided, each with a gradient of its own where the last one led: a
            strong pull then ends at the top of E instead of beyond it. By default as many as that takes where the
            gradient has a ``curvature``, the largest -d^2 E in any entry, and one where it does not tell.
        watch: told of every call.
    """

    def __init__(
        self,
        denoiser: Estimator,
        gradient: Gradient,
        weight: Callable[[float], float],
        *,
        noisy: bool = False,
        normalize: bool = False,
        substeps: int | None = None,
        watch: Diagnostics | None = None,
    ) -> None:
        self.denoiser, self.path, self.gradient, self.weight = denoiser, denoiser.path, gradient, weight
        self.noisy, self.normalize, self.substeps, self.watch = noisy, normalize, substeps, watch
        self.given = denoiser.mask if isinstance(denoiser, Inpaint) else None

    def __call__(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        """(B, ...) noisy data at scalar time ``t`` to the guided estimate of x_0."""
        return self._shifted(x, self.denoiser(x, t, condition), float(t))

    def _shifted(self, x: Tensor, x0: Tensor, t: float) -> Tensor:
        weight = self.weight(t)
        if weight == 0:
            return x0
        begin = x if self.noisy else x0
        shift, first = torch.zeros_like(x0), None
        with in_full(x.device):
            gradient = near(self.gradient, begin)
            for part in self._parts(weight):
                here = gradient(begin + shift)
                here = here if self.given is None else here.masked_fill(self.given, 0.0)
                first = here if first is None else first
                shift = shift + part * (unit(here) if self.normalize else here)
        if self.watch is not None and first is not None:
            self.watch.add(t, shift, x0 - x, first)
        return x0 + shift

    def _parts(self, weight: float) -> list[float]:
        """The weight of each substep: none leads beyond the aim of a pull that tells how sharp it is."""
        curvature = None if self.normalize else getattr(self.gradient, "curvature", None)
        if self.substeps is not None or not curvature:
            count = self.substeps or 1
            return [weight / count] * count
        count = min(max(1, math.ceil(abs(weight) * curvature)), MOST_SUBSTEPS)
        return [min(weight / count, 1 / curvature)] * count

    def tabulate(self, times: tuple[float, ...], x: Tensor, condition: Any) -> Table:
        """The same at known times, see ``genrl.diffusion.denoiser.tabulate``."""
        inner = tabulate(self.denoiser, times, x, condition)
        skip, out, into = inner.scales.skip, inner.scales.out, inner.scales.into

        def network(i: int, x: Tensor) -> Tensor:
            return self._shifted(x, skip[i] * x + out[i] * inner.network(i, into[i] * x), times[i])

        return Table(plain(len(times)), network)


class ClassifierFree:
    """Guidance by the difference of two conditions: D_u + w (D_c - D_u), both branches in one call.

    Args:
        denoiser: the denoiser to lead.
        weight: w; 1 is the conditional model, more exaggerates the condition.
        drop: a condition to the one with the wish withheld.
        join: two conditions as one of twice the batch.
    """

    def __init__(
        self, denoiser: Estimator, weight: float, drop: Callable[[Any], Any], join: Callable[[Any, Any], Any]
    ) -> None:
        self.denoiser, self.path, self.weight, self.drop, self.join = denoiser, denoiser.path, weight, drop, join

    def __call__(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        """(B, ...) at time ``t`` to the guided estimate."""
        both = self.join(condition, self.drop(condition))
        conditional, free = self.denoiser(torch.cat((x, x)), t, both).chunk(2)
        return torch.lerp(free, conditional, self.weight)


def unit(gradient: Tensor) -> Tensor:
    """(B, ...) each sample divided by its norm; zero stays zero."""
    norm = gradient.flatten(1).norm(dim=1).reshape(-1, *(1,) * (gradient.ndim - 1))
    return torch.where(norm > 0, gradient / norm, 0.0)


def near(gradient: Gradient, x: Tensor) -> Gradient:
    """``gradient`` for points that it leads to from ``x`` (B, ...).

    What hangs on entries that it never moves is computed once, where the gradient has a method ``near`` for that.
    """
    prepare = getattr(gradient, "near", None)
    return gradient if prepare is None else prepare(x)


@dataclass(frozen=True)
class Combined:
    """The weighted sum of gradients; a negative weight leads away, as from the policy that the data came from.

    Attributes:
        parts: weights and gradients.
    """

    parts: Sequence[tuple[float, Gradient]]

    def __call__(self, x: Tensor) -> Tensor:
        """(B, ...) the sum at ``x``."""
        return torch.stack([weight * gradient(x) for weight, gradient in self.parts]).sum(0)

    @property
    def curvature(self) -> float | None:
        """Where all parts tell theirs; 0 where those that lead away are as sharp: there is no aim to overshoot."""
        bends = [(weight, getattr(gradient, "curvature", None)) for weight, gradient in self.parts]
        known = [weight * bend for weight, bend in bends if bend is not None]
        return max(sum(known), 0.0) if len(known) == len(bends) else None

    def near(self, x: Tensor) -> Combined:
        """The same around ``x``; none of the parts may then move what another one took for granted."""
        return Combined([(weight, near(gradient, x)) for weight, gradient in self.parts])


@torch.inference_mode(False)
@torch.enable_grad()
def ascend(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(B, ...) gradient of ``energy``, (B, ...) to (B,), at ``x``; inside inference mode too."""
    point = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(point).sum(), point)
    return gradient
