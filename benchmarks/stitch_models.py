"""What the benchmarks of MBRCSL share: made once for each seed and each share of detours, and kept.

A data set (every seed draws one of its own), a world model and a behaviour policy fitted to it, and the rollouts of the
one in the other that surpass it. They lie below ``benchmarks/cells/.models``, each under a digest of the code and the
settings that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cells import REPOSITORY, artefact, code_digest, digest
from benchmarks.stitch_settings import BATCH, Settings
from genrl.data import store
from genrl.data.episodes import Episodes
from genrl.data.journeys import stitching
from genrl.diffusion.sampling import Sampling
from genrl.learners.beso import BESO
from genrl.methods.mbrcsl import MBRCSL
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.nets.policy_mlp import PolicyMLP
from genrl.synthesis.generate import sample
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

SHARED = REPOSITORY / "benchmarks" / "cells" / ".models" / "stitch"
DENOISING = Sampling(solver="ddim", steps=10, sigma_min=0.02, sigma_max=20.0, spacing="karras")
HELD_OUT = 0.02
"""Share of the data that tells which members of the world model are its best."""


class Origin(NamedTuple):
    """What everything here is made from."""

    seed: int
    settings: Settings


@dataclass(frozen=True)
class Needs:
    """What a part depends on beside its seed: files, and names of ``Settings``."""

    code: list[str]
    settings: list[str]

    def __add__(self, other: Needs) -> Needs:
        """What depends on both depends on."""
        return Needs(self.code + other.code, self.settings + other.settings)


def files(folder: str, *names: str) -> list[str]:
    """Python files of a folder."""
    return [f"{folder}/{name}.py" for name in names]


DATA = Needs(
    files("benchmarks", "stitch_models") + files("genrl/data", "stitch_maze", "journeys", "waypoint"),
    ["detours", "trajectories"],
)
WORLD = DATA + Needs(
    files("genrl/methods", "world_model", "columns")
    + files("genrl/dynamics", "ensemble")
    + files("genrl/nets", "ensemble_mlp"),
    ["world_members", "world_width", "world_layers", "world_updates"],
)
BEHAVIOUR = DATA + Needs(
    files("genrl/learners", "beso", "denoising", "sequence", "sequence_policy") + files("genrl/nets", "policy_mlp"),
    ["behaviour_width", "behaviour_layers", "behaviour_updates"],
)
ROLLOUTS = (
    WORLD
    + BEHAVIOUR
    + Needs(
        files("genrl/methods", "mbrcsl", "imagined_play", "model_rollouts")
        + files("genrl/dynamics", "rollout", "within"),
        ["margin", "kept", "quantile", "tries", "wave"],
    )
)
CODE = sorted(set(ROLLOUTS.code))


def data(origin: Origin) -> Episodes:
    """The trajectories, without the infos that tell where the goal was."""

    def build(folder: Path) -> None:
        made = stitching(origin.settings.trajectories, origin.settings.detours, origin.seed)
        _store(replace(made, infos={}), folder)

    return _stored(_kept("data", DATA, origin, build))


def world_model(origin: Origin) -> WorldModel:
    """Dynamics and rewards, fitted to ``data``."""
    settings = origin.settings
    net = partial(EnsembleMLP, width=settings.world_width, layers=settings.world_layers)
    fitted = partial(fit, steps=settings.world_updates, batch_size=BATCH, val_fraction=HELD_OUT, progress=False)

    def fresh() -> WorldModel:
        model = WorldModel(net=net, members=settings.world_members, elites=settings.world_members, seed=origin.seed)
        return fitted(model, data(origin))

    return _fitted("world_model", WORLD, origin, fresh)


def behaviour(origin: Origin, number: int) -> BESO:
    """A policy that acts as those of ``data`` do, or as the rollouts that the round before kept."""
    settings = origin.settings
    fresh = partial(
        BESO,
        net=partial(PolicyMLP, width=settings.behaviour_width, layers=settings.behaviour_layers, context=64),
        history=1,
        chunk=1,
        goal_length=0,
        goal_dropout=0.0,
        sampling=DENOISING,
        sigma_min=0.005,
        sigma_max=40.0,
        lr=3e-4,
        weight_decay=1e-4,
        ema_decay=0.99,
    )
    fitted = partial(fit, steps=settings.behaviour_updates, batch_size=BATCH, val_fraction=0.0, progress=False)
    needs = BEHAVIOUR if number == 1 else ROLLOUTS
    return _fitted(f"behaviour{number}", needs, origin, lambda: fitted(fresh(seed=origin.seed), before(origin, number)))


def before(origin: Origin, number: int) -> Episodes:
    """What a round begins with: ``data`` the first, what the round before kept the others."""
    return data(origin) if number == 1 else rollouts(origin, number - 1)


def rollouts(origin: Origin, number: int = 1) -> Episodes:
    """What a round keeps: rollouts of ``behaviour`` in ``world_model`` that surpass what the round began with.

    Raises:
        NothingAcceptedError: there are none.
    """
    settings = origin.settings

    def build(folder: Path) -> None:
        share = {"margin": settings.margin} if number == 1 else {"quantile": settings.quantile}
        parts = world_model(origin), behaviour(origin, number), before(origin, number)
        method = MBRCSL(*parts, tries=settings.tries, wave=settings.wave, **share)  # type: ignore[arg-type]
        _store(sample(method, settings.kept, 100 * number + origin.seed), folder)

    return _stored(_kept(f"rollouts{number}", ROLLOUTS, origin, build))


def _fitted(name: str, needs: Needs, origin: Origin, make: Callable[[], Any]) -> Any:
    place = _kept(name, needs, origin, lambda folder: save(make(), folder / "model.ckpt"))
    return load(place / "model.ckpt")


def _kept(name: str, needs: Needs, origin: Origin, build: Callable[[Path], Any]) -> Path:
    """The folder of a part, filled once."""
    SHARED.mkdir(parents=True, exist_ok=True)
    chosen = {setting: getattr(origin.settings, setting) for setting in needs.settings}
    return artefact(SHARED, f"{name}-{origin.seed}-{digest([code_digest(needs.code), chosen])[:16]}", build)


def _store(episodes: Episodes, folder: Path) -> None:
    store.save(episodes, "stitch/kept-v0", card=episodes.card, root=folder)


def _stored(folder: Path) -> Episodes:
    return store.load("stitch/kept-v0", folder)
