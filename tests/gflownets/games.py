"""Small environments, and data of them."""

from collections.abc import Mapping
from typing import Any

from genrl.data.collect import collect
from genrl.data.construction import Game, Uniform
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes

GRID: Mapping[str, Any] = {"settings": {"ndim": 2, "height": 4, "validate_modes": False}}
BITS: Mapping[str, Any] = {"settings": {"word_size": 1, "seq_size": 8, "n_modes": 2}}
IDS = {"genrl/hypergrid-v0": GRID, "genrl/bits-v0": BITS}


def built(env: str = "genrl/hypergrid-v0", episodes: int = 40, seed: int = 0) -> Episodes:
    """Objects built by even actions."""
    return collect(env, Uniform.for_env(make_env(env, IDS[env])), episodes, seed, env_options=IDS[env])


def game(env: str = "genrl/hypergrid-v0") -> Game:
    """One of them."""
    return Game.of(built(env, 1).card)
