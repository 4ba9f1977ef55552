"""The steps of an ensemble at the price of one network: the member drawn for a row computes it, and no other does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genrl.dynamics.altered import Altered
from genrl.dynamics.ensemble import GaussianEnsemble
from genrl.dynamics.protocol import Outcome


@dataclass(frozen=True)
class Drawn(Altered):
    """A ``Dynamics`` that leads where the ensemble ``dynamics`` leads from equal noise, up to rounding.

    The ensemble itself computes every row by all elites, to tell how far these are apart. That is not told here: of E
    elites, each computes its own rows, about B / E of them.
    """

    dynamics: GaussianEnsemble

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step, see ``Dynamics``; ``info`` holds ``member`` (B,), which one predicted."""
        drawn = self.dynamics.draw(noise)
        counts = drawn.bincount(minlength=len(self.dynamics.elites))
        columns, most = ranks(drawn, counts), int(counts.max())

        def spread(rows: Tensor) -> Tensor:
            """(B, D) to (E, C, D), with zeros behind the rows of an elite that has fewer than another."""
            return rows.new_zeros(len(counts), most, rows.shape[-1]).index_put((drawn, columns), rows)

        return self.dynamics.follow(state, action, noise, drawn, columns, spread)[0]


def ranks(groups: Tensor, counts: Tensor) -> Tensor:
    """(B,) place of each row among those of its own group, from the groups (B,) and the sizes of these."""
    order = groups.argsort(stable=True)
    first = counts.cumsum(0) - counts
    places = torch.arange(len(groups), device=groups.device) - first[groups[order]]
    return torch.empty_like(order).index_copy(0, order, places)
