"""Some leaves of an observation as the columns that a learner's network sees."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.normalizers import ZScore
from genrl.data.spaces import Leaves

EPS = 1e-3
"""Added to every standard deviation, as TD3+BC does (Fujimoto and Gu 2021, arXiv:2106.06860, section 5)."""


class Columns(nn.Module):
    """Some leaves of a space as standardised columns.

    Args:
        space: of the observations.
        leaves: paths, in this order; there may be none.
    """

    def __init__(self, space: gym.Space, leaves: Sequence[str]) -> None:
        super().__init__()
        self.codec = SpaceCodec(space, leaves)
        self.normalizer = ZScore(self.codec.dim)
        self.dim = self.codec.dim

    def fit(self, leaves: Leaves) -> None:
        """Learn mean and standard deviation from leaves (R, *shape)."""
        self.normalizer.fit(self.encode(leaves))
        self.normalizer.scale += EPS

    def encode(self, leaves: Leaves) -> Tensor:
        """Leaves (R, *shape) to (R, D) columns in the data's units, on this module's device."""
        return self.codec.encode(leaves)

    def normalize(self, columns: Tensor) -> Tensor:
        """(B, D) columns in the data's units to standardised ones."""
        return self.normalizer.normalize(columns)

    def forward(self, leaves: Leaves) -> Tensor:
        """Leaves (R, *shape) to (R, D) standardised columns."""
        return self.normalize(self.encode(leaves))
