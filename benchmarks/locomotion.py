"""Data sets of Hopper and HalfCheetah that benchmarks share, collected with fixed pretrained actors: not those of D4RL.

``medium`` is what one mediocre stochastic actor does, ``expert`` the same of the best one, ``mixed`` equal shares of a
poor, a mediocre and the best one. 100,000 transitions each, in whole episodes, from one seed. The actors (numpy
arrays, MIT licence) are converted from DLR-RM/rl-trained-agents; the environment variable GENRL_ACTORS names their
folder. Whoever has a network may take Minari's ``mujoco/hopper/medium-v0`` and the like in their place: the
configurations differ in the id alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from benchmarks.cells import REPOSITORY, artefact
from genrl.data.collect import collect
from genrl.data.episodes import Episodes, concatenate
from genrl.data.policies import ActorPolicy
from genrl.data.store import load, save

ENVIRONMENTS = {"hopper": "Hopper-v5", "halfcheetah": "HalfCheetah-v5"}
MEDIUM = {"hopper": "hopper_sac", "halfcheetah": "halfcheetah_ppo"}
TRANSITIONS = 100_000
SEED = 20_000
"""Of every collection: no training seed."""


def actors_of(environment: str, kind: str) -> list[str]:
    """The actors behind a kind of data, each with an equal share."""
    chosen = {
        "medium": [MEDIUM[environment]],
        "expert": [f"{environment}_tqc"],
        "mixed": [f"{environment}_a2c", MEDIUM[environment], f"{environment}_tqc"],
    }
    return chosen[kind]


def actor(name: str) -> ActorPolicy:
    """A pretrained actor.

    Raises:
        FileNotFoundError: the actors are not here.
    """
    folder = Path(os.environ.get("GENRL_ACTORS", REPOSITORY.parent / "shared" / "data" / "policies"))
    if not (folder / f"{name}.npz").exists():
        raise FileNotFoundError(
            f"There is no actor {name}.npz in {folder}: set GENRL_ACTORS to a folder of actors as numpy arrays (see"
            " genrl.data.policies.ActorPolicy), converted from DLR-RM/rl-trained-agents."
        )
    return ActorPolicy.load(folder / f"{name}.npz")


def data(environment: str, kind: str, workspace: Path) -> Episodes:
    """The data set ``medium``, ``expert`` or ``mixed`` of ``hopper`` or ``halfcheetah``, made once in ``workspace``.

    ``medium_10`` is the first tenth of ``medium``, in whole episodes; likewise of the others.
    """
    whole, _, tenth = kind.partition("_")
    name = f"locomotion/{environment}/{whole}-v0"
    root = artefact(workspace, f"data-{environment}-{whole}", lambda folder: _make(environment, whole, name, folder))
    episodes = load(name, root)
    return first(episodes, TRANSITIONS * int(tenth) // 100) if tenth else episodes


def first(episodes: Episodes, transitions: int) -> Episodes:
    """As many episodes from the beginning as it takes to reach ``transitions``."""
    reached = episodes.lengths.cumsum(0) >= transitions
    return episodes[: int(reached.int().argmax()) + 1]


def _make(environment: str, kind: str, name: str, folder: Path) -> None:
    actors = actors_of(environment, kind)
    parts = [play(environment, each, TRANSITIONS // len(actors)) for each in actors]
    card = replace(
        parts[0].card,
        algorithm_name=" + ".join(actors),
        description=f"{ENVIRONMENTS[environment]} by {', '.join(actors)} of rl-trained-agents, stochastic. Not D4RL.",
    )
    save(concatenate(parts), name, card=card, root=folder)


def play(environment: str, name: str, transitions: int, seed: int = SEED) -> Episodes:
    """At least ``transitions`` of one stochastic actor."""
    parts: list[Episodes] = []
    while sum(part.num_transitions for part in parts) < transitions:
        parts.append(collect(ENVIRONMENTS[environment], actor(name), 50, seed=seed + len(parts), num_envs=10))
    together = concatenate(parts)
    return first(replace(together, infos={}), transitions)
