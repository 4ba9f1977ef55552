"""OC-GFN without one of its parts, or kept from some outcomes: methods of the benchmarks alone."""

from __future__ import annotations

import torch
from gfn.containers import Trajectories
from torch import Tensor

from genrl.data.randomness import generator
from genrl.gflownets.exact import StateSpace
from genrl.methods.ocgfn import OCGFN

SHARE = 0.1
"""Of the outcomes, held out."""


class PositivesOnly(OCGFN):
    """Learns from examples alone: a network that ignores outcomes balances them perfectly."""

    def own(self, outcomes: Tensor) -> dict[str, Tensor]:
        """Nothing of its own."""
        return {}


def held_out(space: StateSpace, seed: int) -> Tensor:
    """(X,) which of the objects are held out; drawn for each seed."""
    order = torch.randperm(len(space.objects), generator=generator(seed, "held out"))
    return torch.zeros(len(order), dtype=torch.bool).index_fill(0, order[: round(SHARE * len(order))], True)


class WithoutSome(OCGFN):
    """Never learns from a trajectory that comes to a held-out object, nor asks for one."""

    def under(self, made: Trajectories, outcomes: Tensor) -> Trajectories:
        """Trajectories under outcomes (N, K), but for those that are held out."""
        if not hasattr(self, "kept_from"):
            space = StateSpace.of(self.game.env)
            self.kept_from = space.objects[held_out(space, self.seed)]
        kept = (outcomes[:, None] != self.kept_from).any(-1).all(1)
        return super().under(made[kept.nonzero()[:, 0]], outcomes[kept])
