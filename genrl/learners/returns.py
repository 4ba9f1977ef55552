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
        self.best.copy_(episodes.returns.max())

    def forward(self, returns: Tensor) -> Tensor:
        """Returns to go (...) in the data's units to standardised ones."""
        return self.normalizer.normalize(returns.to(self.best)[..., None])[..., 0]


def require_different_returns(who: str, episodes: Episodes) -> None:
    """Refuse episodes of which none is better than another.

    Raises:
        ConfigurationError: all returns are equal.
    """
    lowest, highest = float(episodes.returns.min()), float(episodes.returns.max())
    if highest - lowest <= 1e-6 * max(abs(highest), abs(lowest)):
        raise ConfigurationError(
            f"{who} tells good episodes from bad ones by their return, and all {len(episodes)} training episodes have"
            f" the return {highest:.6g}: give it data of different returns, or clone these as they are with BC."
        )
