"""Returns to go as a network sees them, and the target that a policy aims at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.normalizers import ZScore


class Returns(nn.Module):
    """Standardises undiscounted returns to go, and remembers the best return of the training episodes.

    Attributes:
        best: highest return of an episode.
    """

    best: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.normalizer = ZScore(1)
        self.register_buffer("best", torch.zeros(()))

    def fit(self, episodes: Episodes) -> None:
        """Learn the scale of all returns to go, and the best return."""
        self.normalizer.fit(episodes.returns_to_go()[:, None])
        self.aim(episodes)

    def aim(self, episodes: Episodes) -> None:
        """Learn the best return alone, in the scale that is known."""
        self.best.copy_(episodes.returns.max())

    def forward(self, returns: Tensor) -> Tensor:
        """Returns to go (...) in the data's units to standardised ones."""
        return self.normalizer.normalize(returns.to(self.best)[..., None])[..., 0]


def equal_returns(episodes: Episodes) -> bool:
    """Whether all returns are equal but for rounding, which grows with the rewards that add up to them."""
    lowest, highest = float(episodes.returns.min()), float(episodes.returns.max())
    largest = max(abs(highest), abs(lowest), float(episodes.rewards.abs().max()))
    return highest - lowest <= 1e-6 * largest


def require_different_returns(who: str, episodes: Episodes) -> None:
    """Refuse episodes of which none is better than another.

    Raises:
        ConfigurationError: all returns are equal.
    """
    if equal_returns(episodes):
        highest = float(episodes.returns.max())
        raise ConfigurationError(
            f"{who} tells good episodes from bad ones by their return, and all {len(episodes)} training episodes have"
            f" the return {highest:.6g}: give it data of different returns, or clone these as they are with BC."
        )
