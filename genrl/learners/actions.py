"""Continuous actions as the field's actor-critic learners take them: every column in [-1, 1]."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.spaces import Leaves, leaf_spaces


class BoundedActions(nn.Module):
    """Actions of bounded floating-point Boxes, rescaled by the bounds of the space.

    Args:
        space: of the actions; any nesting of Dict and Tuple over bounded Boxes (see ``SpaceSupport``).

    Attributes:
        dim: A, number of columns.
    """

    centre: Tensor
    radius: Tensor
    reach: Tensor  # the radius itself, where that one is 1 to be divided by

    def __init__(self, space: gym.Space) -> None:
        super().__init__()
        leaves = leaf_spaces(space)
        self.codec = SpaceCodec(space)
        self.dim = self.codec.dim
        low = np.concatenate([np.ravel(leaf.low) for leaf in leaves.values()])  # type: ignore[attr-defined]
        high = np.concatenate([np.ravel(leaf.high) for leaf in leaves.values()])  # type: ignore[attr-defined]
        radius = torch.from_numpy(high / 2 - low / 2)
        self.register_buffer("centre", (torch.from_numpy(low) + radius).float())
        self.register_buffer("radius", torch.where(radius > 0, radius, 1.0).float())
        self.register_buffer("reach", radius.float(), persistent=False)

    def encode(self, leaves: Leaves) -> Tensor:
        """Actions (N, *shape) to (N, A) in [-1, 1]."""
        return self.unit(self.codec.encode(leaves))

    def unit(self, native: Tensor) -> Tensor:
        """(B, A) in the space's own units to (B, A) in [-1, 1]."""
        return (native - self.centre) / self.radius

    def native(self, unit: Tensor) -> Tensor:
        """(B, A) in [-1, 1] to (B, A) in the space's own units."""
        return unit * self.reach + self.centre

    def decode(self, unit: Tensor) -> Leaves:
        """(B, A) to actions (B, *shape) of native dtype, clipped to the bounds."""
        return self.codec.decode(self.native(unit))
