"""Clusters of points by k-means.

Sources: Lloyd (1982), "Least squares quantization in PCM"; seeds of Arthur and Vassilvitskii (2007), "k-means++: the
advantages of careful seeding".
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 100_000
"""Points that are looked at; of more, so many are drawn."""

SLIGHT = 1e-12
"""Weight of a point that is a centre already, drawn only where there are no others."""


def kmeans(points: Tensor, count: int, generator: torch.Generator, rounds: int = 100) -> Tensor:
    """(count, D) centres of points (N, D), each the mean of those nearest to it.

    Where there are fewer different points than centres, some centres are the same.

    Args:
        generator: draws the first centres.
        rounds: at most, should they not come to rest before.
    """
    points = points[torch.randperm(len(points), generator=generator)[:MOST]].double()
    centres = _seeds(points, count, generator)
    for _ in range(rounds):
        groups = nearest(points, centres)  # (N,)
        sizes = torch.bincount(groups, minlength=count)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, groups, points)
        moved = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres.float()


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """(...) int64, which of the centres (C, D) lies nearest to each of the points (..., D)."""
    return torch.cdist(points.flatten(0, -2), centres).argmin(-1).view(points.shape[:-1])


def _seeds(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Points drawn one by one, as likely as the square of their distance to those drawn before."""
    chosen = points[:1]  # they are in random order
    distances = (points - chosen).square().sum(-1)
    for _ in range(count - 1):
        drawn = points[torch.multinomial(distances + SLIGHT, 1, generator=generator)]
        chosen = torch.cat((chosen, drawn))
        distances = distances.minimum((points - drawn).square().sum(-1))
    return chosen
