"""Latent variables: what a network's outputs mean as a distribution, how to draw from it and to take a mean over it.

All randomness comes in as standard normal numbers, one for each column of a latent, so that a draw can be repeated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from genrl.data.errors import ConfigurationError
from genrl.data.setting import Setting

SMALLEST_STD = 0.1
"""Least standard deviation of a latent: sharper posteriors leave gaps between them, where a prior draws as well."""

ACTIVE = 0.01
"""Nats that a column of a Gaussian latent tells of its future at least, to count as active."""


LOUDNESS = 5.0
"""Of a category among the inputs of a network: as equal as fresh networks take them, latents are slow to part."""


class Weighted(NamedTuple):
    """L latents for each of B distributions; the mean of g over them is that of sum_l weight_l g(z_l).

    Attributes:
        z: (L, B, Z).
        weight: (L, B), 1 in sum over L.
    """

    z: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Latent(Setting, ABC):
    """A family of distributions over (B, Z) latents, from outputs (B, O) of a network.

    Attributes:
        size: Z, at least 1.
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigurationError(f"A latent has at least one column, not {self.size}.")

    @property
    @abstractmethod
    def outputs(self) -> int:
        """O, numbers that tell a distribution."""

    @abstractmethod
    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """(..., Z) a draw from outputs (..., O) by standard normal numbers (..., Z)."""

    @abstractmethod
    def mean_over(self, outputs: Tensor, noise: Tensor) -> Weighted:
        """What to take the mean over, for outputs (B, Q), so that its gradient leads back to these without a bias."""

    def seen(self, z: Tensor) -> Tensor:
        """(..., Z) the columns of latents that networks are given."""
        return z

    @abstractmethod
    def entropy(self, q: Tensor) -> Tensor:
        """(B,) in nats, of outputs (B, O); differential where the latent is continuous."""

    @abstractmethod
    def divergence(self, q: Tensor, p: Tensor) -> Tensor:
        """(B,) KL(q || p) in nats, of outputs (B, O)."""

    @abstractmethod
    def mass(self, outputs: Tensor, z: Tensor) -> Tensor:
        """(...) probability of latents (..., Z) under outputs (..., O).

        Raises:
            ConfigurationError: the latent is continuous, and no single one has any.
        """

    @abstractmethod
    def in_use(self, q: Tensor) -> Tensor:
        """() how many latents, or columns of one, the posteriors (B, O) of a batch make use of."""


@dataclass(frozen=True)
class CategoricalLatent(Latent):
    """One of Z categories, as one-hot columns; means are taken over all of them, for there are few."""

    size: int = 16

    @property
    def outputs(self) -> int:
        """Z logits."""
        return self.size

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """(..., Z) one-hot, by the Gumbel-max trick."""
        gumbel = -torch.log(-torch.special.log_ndtr(noise.float()))
        return F.one_hot((outputs + gumbel).argmax(-1), self.size).to(outputs)

    def mean_over(self, outputs: Tensor, noise: Tensor) -> Weighted:
        """Every category, by its probability."""
        each = torch.eye(self.size, device=outputs.device)
        return Weighted(each[:, None].expand(-1, len(outputs), -1), outputs.softmax(-1).T)

    def seen(self, z: Tensor) -> Tensor:
        """Loud beside other inputs, so that what is told by one category differs from another's from the beginning."""
        return LOUDNESS * z

    def entropy(self, q: Tensor) -> Tensor:
        """(B,) from 0 to log Z."""
        log_q = q.log_softmax(-1)
        return -(log_q.exp() * log_q).sum(-1)

    def divergence(self, q: Tensor, p: Tensor) -> Tensor:
        """(B,) sum over the categories."""
        log_q = q.log_softmax(-1)
        return (log_q.exp() * (log_q - p.log_softmax(-1))).sum(-1)

    def mass(self, outputs: Tensor, z: Tensor) -> Tensor:
        """(...) probability of the category."""
        return (outputs.softmax(-1) * z).sum(-1)

    def in_use(self, q: Tensor) -> Tensor:
        """() perplexity of the aggregate posterior, from 1 to Z."""
        aggregate = q.softmax(-1).mean(0)
        return torch.special.entr(aggregate).sum().exp()


@dataclass(frozen=True)
class StraightThroughLatent(CategoricalLatent):
    """The same by one draw whose gradient passes straight through to the probabilities: cheap where Z is large, biased.

    What stands behind a draw is asked only how it changes near it, and not at the other categories: a policy that is
    sure of its action tells the posterior nothing of them.

    Source: "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation" (Bengio et al.
    2013), https://arxiv.org/abs/1308.3432.
    """

    def mean_over(self, outputs: Tensor, noise: Tensor) -> Weighted:
        """One draw."""
        probabilities = outputs.softmax(-1)
        z = self.sample(outputs, noise) + (probabilities - probabilities.detach())
        return Weighted(z[None], torch.ones_like(z[None, :, 0]))


@dataclass(frozen=True)
class GaussianLatent(Latent):
    """Z independent Gaussians, with means between -1 and 1 and standard deviations up to 1.

    Without these bounds, DoC's posterior would escape the energy by moving to where it was never trained.
    """

    size: int = 16

    @property
    def outputs(self) -> int:
        """Mean and spread of each."""
        return 2 * self.size

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """(..., Z) mean + std * noise."""
        normal = _normal(outputs)
        return normal.mean + normal.stddev * noise

    def mean_over(self, outputs: Tensor, noise: Tensor) -> Weighted:
        """One draw, whose gradient is that of mean and spread."""
        z = self.sample(outputs, noise)[None]
        return Weighted(z, torch.ones_like(z[..., 0]))

    def entropy(self, q: Tensor) -> Tensor:
        """(B,) sum over the columns."""
        return _normal(q).entropy().sum(-1)

    def divergence(self, q: Tensor, p: Tensor) -> Tensor:
        """(B,) sum over the columns."""
        return kl_divergence(_normal(q), _normal(p)).sum(-1)

    def mass(self, outputs: Tensor, z: Tensor) -> Tensor:
        """Refused."""
        raise ConfigurationError(
            "A single Gaussian latent has no probability of its own: take no least mass, or a CategoricalLatent."
        )

    def in_use(self, q: Tensor) -> Tensor:
        """() columns whose posteriors tell at least ``ACTIVE`` nats, were the aggregate posterior Gaussian."""
        normal = _normal(q)
        noise = normal.variance.mean(0)
        told = 0.5 * (1 + normal.mean.var(0, correction=0) / noise).log()
        return (told > ACTIVE).sum().float()


def _normal(outputs: Tensor) -> Normal:
    mean, spread = outputs.chunk(2, dim=-1)
    return Normal(mean.tanh(), SMALLEST_STD + (1 - SMALLEST_STD) * spread.sigmoid(), validate_args=False)
