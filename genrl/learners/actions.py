"""Continuous actions as the field's actor-critic learners take them: every column in [-1, 1]."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.errors import UnsupportedSpaceError
from genrl.data.spaces import Leaves, leaf_spaces


class BoundedActions(nn.Module):
    """Actions of bounded floating-point Boxes, rescaled by the bounds of the space.

    Args:
        space: of the actions; any nesting of Dict and Tuple over bounded Boxes.
        who: named in the refusal of other spaces.

    Attributes:
        dim: A, number of columns.

    Raises:
        UnsupportedSpaceError: a leaf is not a Box, not of floating point, or not bounded.
    """

    centre: Tensor
    radius: Tensor

    def __init__(self, space: gym.Space, who: str) -> None:
        super().__init__()
        leaves = leaf_spaces(space)
        for path, leaf in leaves.items():
            _require_bounded(path, leaf, who)
        self.codec = SpaceCodec(space)
        self.dim = self.codec.dim
        low = np.concatenate([np.ravel(leaf.low) for leaf in leaves.values()])  # type: ignore[attr-defined]
        high = np.concatenate([np.ravel(leaf.high) for leaf in leaves.values()])  # type: ignore[attr-defined]
        radius = torch.from_numpy(high / 2 - low / 2)
        self.register_buffer("centre", (torch.from_numpy(low) + radius).float())
        self.register_buffer("radius", torch.where(radius > 0, radius, 1.0).float())

    def encode(self, leaves: Leaves) -> Tensor:
        """Actions (N, *shape) to (N, A) in [-1, 1]."""
        columns = self.codec.encode({path: leaf.to(self.centre.device) for path, leaf in leaves.items()})
        return (columns - self.centre) / self.radius

    def native(self, unit: Tensor) -> Tensor:
        """(B, A) in [-1, 1] to (B, A) in the space's own units."""
        return unit * self.radius + self.centre

    def decode(self, unit: Tensor) -> Leaves:
        """(B, A) to actions (B, *shape) of native dtype, clipped to the bounds."""
        return self.codec.decode(self.native(unit))


def _require_bounded(path: str, space: gym.Space, who: str) -> None:
    where = f" at '{path}'" if path else ""
    if not isinstance(space, gym.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise UnsupportedSpaceError(
            f"{who} takes continuous actions (bounded Boxes), not {space}{where}; BC takes discrete ones as well."
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UnsupportedSpaceError(
            f"{who} takes bounded actions, and {space}{where} has no bounds; rescale the actions into a bounded Box, "
            "or use BC."
        )
