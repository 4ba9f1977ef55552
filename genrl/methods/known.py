"""Known entries of a trajectory: which ones a method is trained to take as given, and how a network is told of them.

A network that was trained with some entries given clean completes them; replacing entries while sampling alone leaves
seams. The patterns are those that synthesis asks for: a start state, a start and a goal, the overlap with the window
before, or nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Given(NamedTuple):
    """What a window is conditioned on: ``entries`` (B, R, D), NaN where free, and ``returns`` (B, 1), NaN for none."""

    entries: Tensor
    returns: Tensor


def without_returns(given: Given) -> Given:
    """The same without the wish for a return."""
    return given._replace(returns=torch.full_like(given.returns, torch.nan))


def joined(one: Given, other: Given) -> Given:
    """Two batches of conditions as one."""
    return Given(*(torch.cat(pair) for pair in zip(one, other, strict=True)))


class CompletionNet(nn.Module):
    """A sequence network that sees the given entries, and which they are, beside the noisy ones.

    Args:
        net: network over rows of 3 D entries; the first D of its output count.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, noise: Tensor, condition: Given) -> Tensor:
        """(B, R, D) noisy windows at (B,) noise levels to (B, R, D)."""
        given = ~condition.entries.isnan()
        values = torch.where(given, condition.entries, 0.0)
        wide = torch.cat((x, values, given.to(x.dtype)), dim=-1)  # (B, R, 3 D)
        return self.net(wide, noise, condition.returns)[..., : x.shape[-1]]


def draw_patterns(
    shape: tuple[int, int, int],
    state: slice,
    achieved: list[int],
    overlap: int,
    generator: torch.Generator,
    completion: float = 1.0,
) -> Tensor:
    """(B, R, D) entries to give away in training.

    A sixth of the windows each: nothing; the first state; the first state and the achieved goal of the last row. The
    other half: 1 to ``overlap`` whole rows, on which stitching depends. All this in a share ``completion`` of the
    windows, and nothing in the rest.
    """
    batch, rows, _ = shape
    kind = torch.randint(6, (batch,), generator=generator)
    prefix = torch.randint(1, max(overlap, 1) + 1, (batch,), generator=generator)
    pattern = torch.zeros(shape, dtype=torch.bool)
    pattern[:, 0, state] = (kind > 0)[:, None]
    pattern[:, -1, achieved] |= (kind == 2)[:, None]
    whole = (torch.arange(rows) < prefix[:, None]) & (kind >= 3)[:, None] & (overlap > 0)
    pattern |= whole[:, :, None]
    if completion < 1:
        pattern &= torch.rand(batch, 1, 1, generator=generator) < completion
    return pattern
