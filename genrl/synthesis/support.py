"""Where the data have been: synthetic episodes are cut where they leave it.

An episode stitched from many windows can drift away, and nothing a model says beyond its data is worth training on. A
state counts as supported when its nearest training state is no farther than training states of different episodes are
from one another. This is the rejection step of DiffStitch (Li et al. 2024, https://arxiv.org/abs/2402.02439), by
distance to the data in place of a learned dynamics model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes, ranges
from genrl.data.errors import EmptyDatasetError
from genrl.data.goals import GoalLayout

CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Support:
    """Training states (M, D), standardised, and how near to one of them a state must be.

    Attributes:
        states: standardised states of the training data.
        shift, scale: (D,) the standardisation.
        reach: largest distance to the nearest training state, in standard deviations per dimension.
        shortest: episodes that are cut shorter than this are dropped.
    """

    states: Tensor
    shift: Tensor
    scale: Tensor
    reach: float
    shortest: int

    @classmethod
    def of(cls, train: Episodes, quantile: float = 0.95, shortest: int = 2, most: int = 20_000) -> Support:
        """The support of ``train``: ``reach`` is a quantile of the distances from states to other episodes' states."""
        raw = _states(train)
        shift, scale = raw.mean(0), raw.std(0)
        scale = torch.where(scale > 0, scale, 1.0)
        states = (raw - shift) / scale
        owner = torch.repeat_interleave(torch.arange(len(train)), train.lengths + 1)
        every = -(-len(states) // most)
        states, owner = states[::every], owner[::every]
        apart = []
        for query, mine in zip(states.split(CHUNK), owner.split(CHUNK), strict=True):
            distance = torch.cdist(query, states)
            distance[mine[:, None] == owner[None]] = torch.inf
            apart.append(distance.amin(1))
        return cls(states, shift, scale, float(torch.cat(apart).quantile(quantile)), shortest)

    def inside(self, episodes: Episodes) -> Tensor:
        """(N + E,) bool: the observation is supported."""
        states = (_states(episodes) - self.shift) / self.scale
        return torch.cat([torch.cdist(part, self.states).amin(1) <= self.reach for part in states.split(CHUNK)])

    def cut(self, episodes: Episodes) -> Episodes:
        """``episodes`` up to their last observation before the first unsupported one; truncated there.

        Raises:
            EmptyDatasetError: nothing long enough is left.
        """
        outside = ~self.inside(episodes)
        owner = torch.repeat_interleave(torch.arange(len(episodes)), episodes.lengths + 1)
        place = torch.arange(len(owner)) - episodes.observation_starts[owner]
        first = torch.where(outside, place, episodes.lengths[owner] + 1)
        lengths = torch.zeros(len(episodes), dtype=torch.int64).scatter_reduce(
            0, owner, first, "amin", include_self=False
        )
        return shortened(episodes, lengths - 1, self.shortest)


def shortened(episodes: Episodes, lengths: Tensor, shortest: int = 1) -> Episodes:
    """The first ``lengths`` (E,) transitions of each episode; those with fewer than ``shortest`` are dropped.

    An episode that loses its end is truncated there.

    Raises:
        EmptyDatasetError: nothing is left.
    """
    kept = torch.nonzero(lengths >= shortest).flatten()
    if len(kept) == 0:
        raise EmptyDatasetError(
            f"None of {len(episodes)} synthetic episodes stays near the data for {shortest} steps;"
            " fit the model longer, or widen the support."
        )
    lengths = lengths[kept]
    transitions = ranges(episodes.transition_starts[kept], lengths)
    observations = ranges(episodes.observation_starts[kept], lengths + 1)
    last = lengths.cumsum(0) - 1
    terminations = episodes.terminations[transitions]
    truncations = torch.zeros_like(terminations)
    truncations[last] = ~terminations[last]
    return replace(
        episodes,
        observations={path: leaf[observations] for path, leaf in episodes.observations.items()},
        actions={path: leaf[transitions] for path, leaf in episodes.actions.items()},
        rewards=episodes.rewards[transitions],
        terminations=terminations,
        truncations=truncations,
        lengths=lengths,
        infos={},
        seeds=None,
    )


def _states(episodes: Episodes) -> Tensor:
    layout = GoalLayout.of(episodes.observation_space)
    return SpaceCodec(episodes.observation_space, layout.state).encode(episodes.observations)
