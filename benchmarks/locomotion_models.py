"""Models of the locomotion data that several benchmarks share: fitted once for each environment, data set and seed.

They are kept below ``benchmarks/cells/.models`` under a digest of the code and the settings that they depend on, so
that no benchmark has to fit again what another one has fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cells import REPOSITORY, artefact, code_digest
from benchmarks.locomotion import MEDIUM, actor, data
from genrl.data.episodes import Episodes
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.methods.world_model import WorldModel
from genrl.nets.residual_mlp import ResidualMLP
from genrl.nets.temporal_unet import TemporalUNet
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from genrl.training.module import Trainable

UPDATES, WINDOW_BATCH, BATCH = 20_000, 32, 256
HORIZON, CALLS = 32, 31
SAMPLING = Sampling(solver="dpmpp_2s", steps=(CALLS + 1) // 2, options={"eta": 1.0})
"""The ancestral form: a third to a half less error of the dynamics than Heun's method, in as many calls."""
CODE = [
    "benchmarks/locomotion_models.py",
    "benchmarks/locomotion.py",
    "genrl/methods/trajectory_diffusion.py",
    "genrl/methods/packing.py",
    "genrl/methods/known.py",
    "genrl/methods/transition_diffusion.py",
    "genrl/methods/world_model.py",
    *(f"genrl/diffusion/{part}.py" for part in ("gaussian", "denoiser", "path", "sampling", "samplers", "solvers")),
    "genrl/dynamics/ensemble.py",
    "genrl/nets/temporal_unet.py",
    "genrl/nets/residual_mlp.py",
]


class Origin(NamedTuple):
    """What a model is fitted to, see ``benchmarks.locomotion``."""

    environment: str
    kind: str
    seed: int


FREE: dict[str, Any] = {"completion": 0.0, "return_dropout": 1.0, "sampling": SAMPLING}
"""Models that are sampled freely, and never asked for a return."""


def windows(origin: Origin, **changes: Any) -> TrajectoryDiffusion:
    """Diffusion over windows: the rows at full resolution, for an action hangs on its own row's state above all."""
    net = partial(TemporalUNet, width=128, multipliers=(1, 1))
    settings = {"squash": ends_in_tanh(origin.environment), "seed": origin.seed, **FREE, **changes}
    return TrajectoryDiffusion(net, HORIZON, overlap=0, lr=2e-3, **settings)


def transitions(origin: Origin) -> TransitionDiffusion:
    """Diffusion over transitions (SynthER)."""
    net = partial(ResidualMLP, width=384, layers=6)
    squash = ends_in_tanh(origin.environment)
    return TransitionDiffusion(net, lr=1e-3, squash=squash, seed=origin.seed, **FREE)


def ends_in_tanh(environment: str) -> bool:
    """Whether the actor of ``medium`` does: Hopper's; a quarter of HalfCheetah's actions are clipped to a bound."""
    return actor(MEDIUM[environment]).squash == "tanh"


MODELS: dict[str, Callable[[Origin], Trainable]] = {
    "diffusion": windows,
    "transitions": transitions,
    "dynamics": lambda origin: WorldModel(seed=origin.seed),
}


def fit_windows(method: Trainable, real: Episodes, updates: int = UPDATES, precision: str = "32-true") -> Trainable:
    """Fit diffusion over windows; gradients are clipped, for a rare huge one undoes thousands of updates."""
    limits: dict[str, Any] = {"gradient_clip_val": 1.0, "precision": precision}
    return fit(method, real, updates, batch_size=WINDOW_BATCH, progress=False, **limits)


FITS: dict[str, Callable[[Trainable, Episodes], Trainable]] = {
    "diffusion": fit_windows,
    "transitions": lambda method, real: fit(method, real, UPDATES, batch_size=BATCH, progress=False),
    "dynamics": lambda method, real: fit(
        method, real, UPDATES, batch_size=BATCH, val_every=400, patience=5, progress=False
    ),
}


def shared() -> Path:
    """The folder of what is fitted with the code as it is."""
    folder = REPOSITORY / "benchmarks" / "cells" / ".models" / code_digest(CODE)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def real_data(environment: str, kind: str) -> Episodes:
    """A data set of ``benchmarks.locomotion``, collected once."""
    return data(environment, kind, shared())


def model(name: str, origin: Origin) -> Trainable:
    """A fitted model: ``diffusion`` over windows, ``transitions`` (SynthER) or ``dynamics`` (the ensemble)."""

    def build(folder: Path) -> None:
        save(
            FITS[name](MODELS[name](origin), real_data(origin.environment, origin.kind)),
            folder / "model.ckpt",
        )

    place = artefact(shared(), f"{name}-{origin.environment}-{origin.kind}-{origin.seed}", build)
    found = load(place / "model.ckpt")
    assert isinstance(found, Trainable)
    return found
