"""What was made as a set: distinct objects, how probable each was, and its reward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError


@dataclass(frozen=True)
class ObjectSet:
    """U distinct objects, the best first.

    Attributes:
        objects: (U, S).
        log_probabilities: (U,) float64 of the trajectory that led there. Where every object has one trajectory, as a
            sequence that is written from left to right, that is log P(x); else it is less.
        rewards: (U,) float64.
        counts: (U,) how often each was made.
    """

    objects: Tensor
    log_probabilities: Tensor
    rewards: Tensor
    counts: Tensor

    @classmethod
    def of(cls, episodes: Episodes) -> ObjectSet:
        """The objects of synthesised episodes; of several trajectories to one object the most probable counts.

        Raises:
            ConfigurationError: they carry no ``log_pf``: a method of GFlowNets writes it.
        """
        if "log_pf" not in episodes.infos:
            raise ConfigurationError("These episodes carry no 'log_pf'; take those that a GFlowNet synthesised.")
        (seen,) = episodes.observations.values()
        made = seen[episodes.observation_starts + episodes.lengths]
        path = torch.zeros(len(episodes), dtype=torch.float64)
        path.index_add_(0, episodes.episode_of_transition, episodes.infos["log_pf"].double())
        objects, which, counts = made.unique(dim=0, return_inverse=True, return_counts=True)
        most = torch.full((len(objects),), -torch.inf, dtype=torch.float64)
        most.scatter_reduce_(0, which, path, "amax")
        rewards = torch.zeros(len(objects), dtype=torch.float64)
        rewards[which] = episodes.returns
        best = rewards.argsort(descending=True, stable=True)
        return cls(objects[best], most[best], rewards[best], counts[best])
