"""What the outputs of a network mean as a distribution of actions, for every kind of space."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from genrl.data.codecs import LeafCodec, SpaceCodec
from genrl.data.normalizers import ZScore
from genrl.data.spaces import Leaves
from genrl.learners.heads import LeafHead, MeanHead, leaf_head

SMALLEST_STD = 0.05
"""Least standard deviation of a standardised action: an action without noise has no end of likelihood to gain."""

LARGEST_STD = 2.0
"""Greatest standard deviation of a standardised action."""


class GaussianHead(LeafHead):
    """Box: means and spreads of a standardised action.

    Args:
        dim: K, columns of the action; there are 2 K outputs.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.normalizer = ZScore(dim)

    def fit(self, actions: Tensor) -> None:
        """Learn mean and standard deviation."""
        self.normalizer.fit(actions)

    def loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(B,) -log N(a; mean, std) of the standardised actions, summed over the columns."""
        mean, std = self._moments(outputs)
        error = (self.normalizer.normalize(actions) - mean) / std
        return (0.5 * error.square() + std.log() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def columns(self, outputs: Tensor, uniform: Tensor | None) -> Tensor:
        """(B, K) in the space's own units: the mean, or drawn by ``uniform`` (B, K)."""
        mean, std = self._moments(outputs)
        if uniform is not None:
            mean = mean + std * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
        return self.normalizer.denormalize(mean)

    def _moments(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = outputs.chunk(2, dim=-1)
        return mean, SMALLEST_STD + (LARGEST_STD - SMALLEST_STD) * torch.sigmoid(spread)


class ActionDensity(nn.Module):
    """pi(a | .) over all leaves of an action space: Gaussians for Boxes, categories and switches for the rest.

    Attributes:
        columns_dim: A, columns of an encoded action.
        dim: O, outputs that the network must have.
    """

    def __init__(self, space: gym.Space) -> None:
        super().__init__()
        self.codec = SpaceCodec(space)
        self.heads: Any = nn.ModuleList([_density(codec) for codec in self.codec.codecs])  # type: ignore[arg-type]
        self.widths = [section.stop - section.start for section in self.codec.sections.values()]
        self.outputs = [
            2 * width if isinstance(head, GaussianHead) else width
            for head, width in zip(self.heads, self.widths, strict=True)
        ]
        self.columns_dim, self.dim = self.codec.dim, sum(self.outputs)

    def fit(self, actions: Leaves) -> None:
        """Learn what the heads need to know of the training actions."""
        for head, columns in zip(self.heads, self.codec.encode(actions).split(self.widths, -1), strict=True):
            head.fit(columns)

    def nll(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(..., B) -log pi(a) in nats, for outputs (..., B, O), encoded actions (B, A); Boxes are standardised."""
        shape, done = outputs.shape[:-1], actions.expand(*outputs.shape[:-1], -1).flatten(0, -2)
        parts = zip(
            self.heads, outputs.flatten(0, -2).split(self.outputs, -1), done.split(self.widths, -1), strict=True
        )
        return torch.stack([head.loss(told, taken) for head, told, taken in parts]).sum(0).view(shape)

    def columns(self, outputs: Tensor, uniform: Tensor | None = None) -> Tensor:
        """(B, A) encoded actions: the mode, or drawn by ``uniform`` (B, A)."""
        numbers = [None] * len(self.widths) if uniform is None else uniform.split(self.widths, -1)
        parts = zip(self.heads, outputs.split(self.outputs, -1), numbers, strict=True)
        return torch.cat([head.columns(told, number) for head, told, number in parts], dim=-1)


def _density(codec: LeafCodec) -> LeafHead:
    """The head of a leaf: what is cloned by its mean elsewhere has a spread here."""
    head = leaf_head(codec)
    return GaussianHead(codec.dim) if isinstance(head, MeanHead) else head
