"""What a denoiser network is told besides its input: the noise level and the condition, as one context vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SinusoidalEmbedding(nn.Module):
    """Sines and cosines of a noise level at fixed, geometrically spaced frequencies (Vaswani et al. 2017).

    The range suits both EDM's ln(sigma) / 4 and the times in [0, 1] of other paths.

    Args:
        features: number of features; where it is odd, the last is 0.
        lowest: lowest frequency in radians per unit of noise level.
        highest: highest frequency.
    """

    frequencies: Tensor

    def __init__(self, features: int, lowest: float = 0.5, highest: float = 64.0) -> None:
        super().__init__()
        spaced = torch.linspace(math.log(lowest), math.log(highest), features // 2)
        self.register_buffer("frequencies", spaced.exp())
        self.features = features

    def forward(self, noise: Tensor) -> Tensor:
        """(B,) noise levels to (B, features)."""
        angles = noise[:, None] * self.frequencies  # (B, features / 2)
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1)
        return nn.functional.pad(waves, (0, 1)) if self.features % 2 else waves


class RandomFourierEmbedding(nn.Module):
    """The noise level beside its sines and cosines at fixed random frequencies (Tancik et al. 2020; SynthER).

    Args:
        features: number of frequencies, each giving a sine and a cosine.
        scale: standard deviation of the frequencies, in cycles per unit of noise level.
    """

    frequencies: Tensor

    def __init__(self, features: int = 8, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(features) * (2 * math.pi * scale))

    def forward(self, noise: Tensor) -> Tensor:
        """(B,) noise levels to (B, 1 + 2 features)."""
        angles = noise[:, None] * self.frequencies  # (B, features)
        return torch.cat((noise[:, None], angles.sin(), angles.cos()), dim=-1)


class ConditionEmbedding(nn.Module):
    """A condition vector with gaps: an entry that is NaN is not given, and a row of nothing but NaN is unconditional.

    The network sees the given values with zeros in the gaps, and beside them which entries are given, so that
    "not given" and "zero" differ. Dropping conditions in training (classifier-free guidance) is writing NaN.
    """

    def __init__(self, condition_dim: int, width: int) -> None:
        super().__init__()
        self.condition_dim = condition_dim
        self.linear = nn.Linear(2 * condition_dim, width)

    def forward(self, condition: Tensor) -> Tensor:
        """(B, C) conditions, NaN where not given, to (B, width)."""
        given = ~condition.isnan()
        values = torch.where(given, condition, 0.0)
        return self.linear(torch.cat((values, given.to(values.dtype)), dim=-1))


class Context(nn.Module):
    """Noise level and condition as one vector: an MLP over the sum of their embeddings.

    Args:
        condition_dim: C, entries of the condition; 0 for a network without condition.
        width: entries of the context vector.
        embedding: module from (B,) noise levels to (B, features); sinusoidal by default.
        features: number of features that ``embedding`` yields.
    """

    def __init__(
        self, condition_dim: int, width: int, embedding: nn.Module | None = None, features: int | None = None
    ) -> None:
        super().__init__()
        features = features or width
        self.embedding = embedding or SinusoidalEmbedding(features)
        self.inner = nn.Linear(features, width)
        self.outer = nn.Linear(width, width)
        self.condition = ConditionEmbedding(condition_dim, width) if condition_dim else None

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B,) noise levels and (B, C) conditions, or None for unconditional, to (B, width).

        Raises:
            ValueError: a condition of the wrong width, or one for a network built without.
        """
        hidden = self.inner(self.embedding(noise))
        if self.condition is not None:
            if condition is None:
                condition = noise.new_full((1, self.condition.condition_dim), math.nan)
            hidden = hidden + self.condition(condition)
        elif condition is not None:
            raise ValueError("This network takes no condition; build it with condition_dim > 0.")
        return self.outer(nn.functional.silu(hidden))  # (B, width)
