"""All that was chosen for the benchmarks of OC-GFN, on tuning seeds from 1000, and how many choices were looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.ocgfn_ablations import PositivesOnly, WithoutSome
from genrl.methods.ocgfn import OCGFN
from genrl.nets.mlp import MLP


@dataclass(frozen=True)
class Sizes:
    """What a cell depends on beside its arm, its environment and its seed.

    Attributes:
        updates: of every fit.
        batch: trajectories of a kind in an update.
        asked: outcomes that success is measured on where they are too many to take all.
    """

    updates: int
    batch: int = 128
    asked: int = 1000


@dataclass(frozen=True)
class Place:
    """An environment that builds objects.

    Attributes:
        env, settings: id, and what the environment takes.
        sizes: of its cells.
    """

    env: str
    settings: Mapping[str, Any]
    sizes: Sizes


def hypergrid(height: int, updates: int) -> Place:
    """A square of height x height cells; every cell is an object."""
    settings = {"ndim": 2, "height": height, "validate_modes": False}
    return Place("genrl/hypergrid-v0", {"settings": settings}, Sizes(updates))


def bits(length: int, word: int, updates: int) -> Place:
    """Strings of bits, a word at a time."""
    settings = {"word_size": word, "seq_size": length, "n_modes": 4}
    return Place("genrl/bits-v0", {"settings": settings}, Sizes(updates))


GRIDS = {"grid8": hypergrid(8, 500), "grid16": hypergrid(16, 1500)}
BITS = {"L16": bits(16, 1, 500), "L32": bits(32, 4, 1000), "L64": bits(64, 4, 1500)}
PLACES: dict[str, Place] = GRIDS | BITS

SHARED: dict[str, Any] = {"net": partial(MLP, width=256, layers=3), "lr": 4e-3}
BALANCED: dict[str, Any] = SHARED | {"teleport": 0.0}
"""Plain detailed balance, whose flows are right: for grids."""

STRINGS: dict[str, Any] = SHARED | {"epsilon": 0.02}

Makers = dict[str, Callable[..., OCGFN]]

AMORTISED: dict[str, Any] = {"net": partial(MLP, width=128, layers=2), "lr": 5e-3}
"""Learned sums over outcomes; on the model of ``ocgfn``."""

GRID_ARMS: Makers = {
    "ocgfn": partial(OCGFN, **BALANCED),
    "held_out": partial(WithoutSome, **BALANCED),
    "positives_only": partial(PositivesOnly, **BALANCED),
}

BITS_ARMS: Makers = {
    "ot": partial(OCGFN, **STRINGS),
    "db": partial(OCGFN, **STRINGS, teleport=0.0),
    "ot_then_db": partial(OCGFN, **STRINGS, anneal=(0.5, 0.8)),
}

TRIED = {"ocgfn": 9, "amortised": 2, "ot": 4, "ot_then_db": 2, "db": 1}
"""Settings looked at for each arm; one where none stands here."""
