"""Objects without a network: drawn evenly, or by a Markov chain.

For environments in which every vector of entries is an object, as in grids and in sequences of one length.

Source: "Equation of State Calculations by Fast Computing Machines" (Metropolis et al. 1953); the moves are symmetric.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genrl.data.construction import Game, Reward


def uniform(game: Game, n: int, generator: torch.Generator) -> Tensor:
    """(N, S) objects, every entry drawn evenly."""
    return torch.randint(game.least, game.high + 1, (n, game.size), generator=generator)


def metropolis_hastings(game: Game, reward: Reward, chains: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endlessly the objects (C, S) that C chains are at, whose stationary distribution is in proportion to the reward.

    A move changes one entry to another value. ``reward`` is asked for the first objects and once for every move that is
    proposed; give ``Queries`` to count these.
    """
    now = uniform(game, chains, generator)
    earned = reward(now)
    rows = torch.arange(chains)
    while True:
        yield now
        entry = torch.randint(game.size, (chains,), generator=generator)
        values = game.high - game.least + 1
        shift = torch.randint(1, values, (chains,), generator=generator)
        proposed = now.clone()
        proposed[rows, entry] = (now[rows, entry] - game.least + shift) % values + game.least
        promised = reward(proposed)
        taken = torch.rand(chains, dtype=torch.float64, generator=generator) < promised / earned
        now, earned = torch.where(taken[:, None], proposed, now), torch.where(taken, promised, earned)
