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
CHUNK = 10
SEED = 20_000
"""Of the first chunk of episodes: no training seed."""


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

    ``medium_10`` is the first tenth of ``medium`` in whole episodes, and so on for other percentages and kinds.
    """
    whole, _, percent = kind.partition("_")
    name = f"locomotion/{environment}/{kind.replace('_', '-')}-v0"
    transitions = TRANSITIONS * int(percent or 100) // 100

    def build(folder: Path) -> None:
        episodes = gather(environment, actors_of(environment, whole), transitions)
        save(episodes, name, card=episodes.card, root=folder)

    return load(name, artefact(workspace, f"data-{environment}-{kind}", build))


def gather(environment: str, actors: list[str], transitions: int) -> Episodes:
    """At least ``transitions`` in equal shares of several actors, described as what they are."""
    together = concatenate([play(environment, each, transitions // len(actors)) for each in actors])
    card = replace(
        together.card,
        algorithm_name=" + ".join(actors),
        description=f"{ENVIRONMENTS[environment]} by {', '.join(actors)} of rl-trained-agents, stochastic. Not D4RL.",
    )
    return replace(together, card=card)


def play(environment: str, name: str, transitions: int) -> Episodes:
    """Whole episodes of one stochastic actor until there are ``transitions``; fewer are a prefix of more."""
    parts: list[Episodes] = []
    while sum(part.num_transitions for part in parts) < transitions:
        parts.append(collect(ENVIRONMENTS[environment], actor(name), CHUNK, seed=SEED + len(parts), num_envs=CHUNK))
    together = concatenate(parts)
    enough = int((together.lengths.cumsum(0) < transitions).sum()) + 1
    return replace(together[:enough], infos={})
