"""Behaviour cloning of the best episodes alone (%BC): what a return-conditioned policy has to beat.

Source: "Decision Transformer: Reinforcement Learning via Sequence Modeling" (Chen et al. 2021),
https://arxiv.org/abs/2106.01345, section 4.3; there the share is one of time steps, here of episodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import nn

from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.samplers import TransitionSampler
from genrl.learners.bc import BC
from genrl.learners.returns import require_different_returns
from genrl.nets.mlp import MLP


class PercentBC(BC):
    """``BC`` on the ``percent`` of the episodes that have the highest return; of each data set, where there are more.

    Args:
        net: network from observation columns to action outputs.
        percent: X, above 0 and at most 100; at least one episode is kept.
        lr, weight_decay, seed: see ``BC``.

    Raises:
        ConfigurationError: a share outside its range.
    """

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = MLP,
        percent: float = 10.0,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__(net, lr, weight_decay, seed)
        if not 0 < percent <= 100:
            raise ConfigurationError(f"A share of the episodes is above 0 and at most 100 %, not {percent}.")
        self.percent = percent

    def learned_from(self, episodes: Episodes, parts: Sequence[Episodes]) -> Episodes:
        """The best episodes of each data set.

        Raises:
            ConfigurationError: all returns are equal.
        """
        require_different_returns(type(self).__name__, episodes)
        return concatenate([best(part, self.percent) for part in parts])

    def sampler(self, episodes: Episodes) -> TransitionSampler:
        """Transitions of the best episodes."""
        return super().sampler(best(episodes, self.percent))


def best(episodes: Episodes, percent: float) -> Episodes:
    """The ``percent`` of ``episodes`` of the highest return, one at least, in their own order; ties to the first."""
    count = math.ceil(len(episodes) * percent / 100)
    ranked = episodes.returns.argsort(descending=True, stable=True)
    return episodes.select(ranked[:count].sort().values)
