"""Data sets of play with goals that benchmarks share, the environments they come from, and how policies score in them.

``cube``, ``scene`` and ``pointmaze`` are 100,000 transitions each by the recipe of OGBench's cube-single-play,
scene-play and pointmaze-medium-navigate, a tenth of OGBench's own; ``pusht`` are the 206 human demonstrations of
Diffusion Policy, from the file that the environment variable GENRL_PUSHT names. The seed of the generated data is no
training seed. To make them all: ``python -m benchmarks.play cube pointmaze scene pusht``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cells import REPOSITORY, artefact
from genrl.data.collect import ResetOptions
from genrl.data.episodes import Episodes
from genrl.data.ogbench_envs import official_task
from genrl.data.ogbench_play import play as ogbench_play
from genrl.data.policy import Policy
from genrl.data.pusht import demonstrations, max_coverage
from genrl.data.store import load, save
from genrl.evaluation.evaluate import Evaluation, evaluate

TRANSITIONS = 100_000
DATA_SEED = 30_000
STARTS_SEED = 40_000
"""Of the first evaluation: that of training seed s plays the starts of STARTS_SEED + s, whatever the policy."""


@dataclass(frozen=True)
class Playground:
    """Where a data set comes from and how it is evaluated; ``recipe`` is a key of ``ogbench_play.RECIPES``."""

    env: str
    episodes: int
    recipe: str | None = None
    reset_options: ResetOptions | None = None


PLAYGROUNDS = {
    "pusht": Playground("genrl/PushT-v0", 50),
    "cube": Playground("genrl/cube-single-v0", 50, "cube-single-play", official_task),
    "scene": Playground("genrl/scene-v0", 50, "scene-play", official_task),
    "pointmaze": Playground("genrl/pointmaze-medium-v0", 50, "pointmaze-medium-navigate", official_task),
}


def workspace() -> Path:
    """The folder of the data sets, ignored by git."""
    folder = REPOSITORY / "benchmarks" / "cells" / ".models" / "play"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def data(name: str, folder: Path | None = None, progress: bool = False) -> Episodes:
    """The data set of a playground, made once in ``folder`` (``workspace()`` unless given)."""
    dataset = f"play/{name}/{PLAYGROUNDS[name].recipe or 'human'}-v0"

    def build(place: Path) -> None:
        recipe = PLAYGROUNDS[name].recipe
        episodes = ogbench_play(recipe, TRANSITIONS, DATA_SEED, progress=progress) if recipe else pusht()
        save(episodes, dataset, card=episodes.card, root=place)

    return load(dataset, artefact(folder or workspace(), f"data-{name}", build))


def pusht() -> Episodes:
    """The human demonstrations.

    Raises:
        DatasetMissingError: the file is not there.
    """
    default = REPOSITORY.parent / "shared" / "data" / "pusht_human_v7_state.npz"
    return demonstrations(os.environ.get("GENRL_PUSHT", default))


def environment(name: str) -> str:
    """The id of a playground's environment."""
    return PLAYGROUNDS[name].env


def episodes(name: str) -> int:
    """How many evaluation episodes a playground has: 50 starts, or five official tasks with 10 episodes each."""
    return PLAYGROUNDS[name].episodes


def play(policy: Policy, name: str, seed: int, *, num_envs: int = 5, count: int | None = None) -> np.ndarray:
    """(E,) scores of a policy, whose episode e starts where that of any other policy does for the same ``seed``.

    ``count`` episodes instead of all of them are for a quick look.
    """
    ground = PLAYGROUNDS[name]
    return score(
        name,
        evaluate(
            policy,
            ground.env,
            count or ground.episodes,
            STARTS_SEED + seed,
            num_envs=num_envs,
            reset_options=ground.reset_options,
        ),
    )


def score(name: str, evaluation: Evaluation) -> np.ndarray:
    """(E,) 0 to 1: the largest coverage of each episode in ``pusht``, success elsewhere."""
    if name == "pusht":
        return max_coverage(evaluation.episodes)
    assert evaluation.success is not None
    return evaluation.success.astype(float)


if __name__ == "__main__":
    for each in sys.argv[1:] or PLAYGROUNDS:
        print(each, data(each, progress=True).num_transitions, flush=True)
