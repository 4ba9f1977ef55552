"""Randomness that belongs to an episode: the same draws whichever environment of a batch the episode runs in."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from genrl.data.errors import ConfigurationError


class EpisodeSeeds(NamedTuple):
    """What is random about one episode, derived from the seed of a collection and the index of the episode."""

    reset: int
    policy: int
    options: np.random.Generator

    @classmethod
    def of(cls, seed: int, episode: int) -> "EpisodeSeeds":
        """Seeds of episode number ``episode``; the reset seed fits 31 bits, which every simulator takes."""
        first, second, third = np.random.SeedSequence(seed, spawn_key=(episode,)).generate_state(3, np.uint64).tolist()
        return cls(first >> 33, second >> 1, np.random.default_rng(third))


class EpisodeGenerators:
    """One numpy generator for each of B environments, renewed at the start of every episode."""

    def __init__(self) -> None:
        self._generators: list[np.random.Generator] = []

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New generators where ``mask`` (B,) is true, from ``seeds`` (B,); a first call or another B renews all."""
        if len(self._generators) != len(mask):
            mask, self._generators = np.ones(len(mask), bool), [None] * len(mask)  # type: ignore[list-item]
        for slot in np.flatnonzero(mask):
            self._generators[slot] = np.random.default_rng(int(seeds[slot]))

    def draw(self, count: int, sample: Callable[[np.random.Generator], np.ndarray]) -> np.ndarray:
        """(B, ...) one sample from each environment's own generator, for ``count`` = B environments.

        Raises:
            ConfigurationError: a last ``reset`` was for another number of environments, or there was none.
        """
        if len(self) != count:
            raise ConfigurationError(
                f"This policy draws its actions: reset it for {count} environments first, or act deterministically."
            )
        return np.stack([sample(generator) for generator in self._generators])

    def __getitem__(self, slot: int) -> np.random.Generator:
        """The generator of one environment."""
        return self._generators[slot]

    def __len__(self) -> int:
        return len(self._generators)
