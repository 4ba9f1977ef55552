"""One cell of steps_vs_quality: windows that one solver makes in so many calls of a fitted model, and their worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks import locomotion
from benchmarks.cells import Cell, artefact
from genrl.data.copying import copying
from genrl.data.episodes import Episodes, split
from genrl.data.normalizers import ZScore
from genrl.data.store import load as load_data
from genrl.data.store import save as save_data
from genrl.demo import task
from genrl.evaluation.dynamics_error import dynamics_error, shuffled_actions
from genrl.evaluation.fidelity import fidelity
from genrl.methods.method import Block
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.window_mlp import WindowMLP
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

HORIZON, WIDTH, LAYERS = 16, 256, 2
UPDATES, BATCH, RATE, HELD_OUT = 4_000, 256, 2e-3, 0.2
PLAY = task.Settings(fragments=100, steps=100)
AT_ONCE = 250
"""Windows denoised together: few enough to stay in the processor's cache."""
DRAWS = 2
TRANSITIONS, COMPARED = 10_000, 1_000
"""Of each draw: transitions taken again in the simulator, and windows looked up among those trained on."""
NOTHING = 1e6
"""What is measured of windows of which nothing can be compared, so that they are the worst of all."""

CHURN = {"s_churn": 80.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}  # policy-guided diffusion's
NOISY_BELOW = {"eta": 1.15, "s_tmax": 7.0}
SOLVERS: Mapping[str, Callable[[int], Sampling]] = {
    "euler": partial(Sampling, "euler"),
    "ancestral": partial(Sampling, "ancestral"),
    "heun": lambda calls: Sampling("heun", calls // 2),
    "heun_churn": lambda calls: Sampling("heun", calls // 2, options=CHURN),
    "dpmpp_2m": partial(Sampling, "dpmpp_2m"),
    "dpmpp_2m_sde": partial(Sampling, "dpmpp_2m_sde"),
    "dpmpp_2s_ancestral": lambda calls: Sampling("dpmpp_2s", calls // 2, sigma_min=0.03, options=NOISY_BELOW),
    "lms": partial(Sampling, "lms"),
}
"""Arm -> the sampling that so many calls buy; where a step takes two, the last takes one, which leaves one over.

All but ``dpmpp_2s_ancestral``, which was chosen on tuning seeds of Hopper, are as they come.
"""
SHUFFLED = "shuffled_actions"

Values = dict[str, float]


def compute(cell: Cell, workspace: Path) -> Values:
    """Each measure's mean over independent draws, and the standard error that their difference tells."""
    settings = dict(cell.settings)
    real = real_data(cell.environment, workspace)
    if cell.arm == SHUFFLED:
        return {"dynamics_median": dynamics_error(shuffled_actions(real), real, most=DRAWS * TRANSITIONS).median}
    method = model(cell.environment, cell.seed, settings.get("updates", UPDATES), workspace)
    method.sampling = SOLVERS[cell.arm](settings["calls"])
    trained, held_out = split(real, HELD_OUT, cell.seed)  # as the fit split them
    draws = []
    for draw in range(DRAWS):
        windows = method.synthesize(Block(cell.seed, draw, settings["windows"] // DRAWS), batch_size=AT_ONCE)
        draws.append(measures(windows, trained, held_out, seed=draw))
    values = {name: mean(each[name] for each in draws) for name in draws[0]}
    errors = {f"{name}_error": abs(draws[0][name] - draws[1][name]) / 2 for name in draws[0]}
    return values | errors | {"parameters": sum(weights.numel() for weights in method.gaussian.net.parameters())}


def measures(windows: Episodes, trained: Episodes, held_out: Episodes, seed: int) -> Values:
    """How far ``windows`` are from the environment and from the data; less is better in all of them."""
    wrong = dynamics_error(windows, trained, seed, TRANSITIONS)
    like = fidelity(trained, windows, seed)
    whole = int(windows.lengths.max()) >= HORIZON  # in few calls, all may end early
    return {
        "dynamics_median": float(np.nan_to_num(wrong.median, nan=NOTHING)),
        "dynamics_high": float(np.nan_to_num(wrong.high, nan=NOTHING)),
        "impossible": wrong.impossible_share,
        "marginal": like.marginal,
        "correlation": like.correlation,
        "copying": copying(trained, held_out, windows, HORIZON, COMPARED, seed).copying if whole else NOTHING,
    }


def model(environment: str, seed: int, updates: int, workspace: Path) -> TrajectoryDiffusion:
    """The model of windows that all cells of an environment and a seed share, fitted once."""

    def build(folder: Path) -> None:
        net = partial(WindowMLP, width=WIDTH, layers=LAYERS)
        # it is sampled freely, and never asked for a return
        method = TrajectoryDiffusion(
            net, HORIZON, 0, lr=RATE, completion=0.0, return_dropout=1.0, ends=ZScore, seed=seed
        )
        real = real_data(environment, workspace)
        fit(method, real, updates, batch_size=BATCH, val_fraction=HELD_OUT, progress=False)
        save(method, folder / "model.ckpt")

    found = load(artefact(workspace, f"model-{environment}-{seed}-{updates}", build) / "model.ckpt")
    assert isinstance(found, TrajectoryDiffusion)
    return found


def real_data(environment: str, workspace: Path) -> Episodes:
    """About 10,000 transitions: a tenth of ``medium`` of ``benchmarks.locomotion``, or the demo's play in a maze."""
    if environment in locomotion.ENVIRONMENTS:
        return locomotion.data(environment, "medium_10", workspace)

    def build(folder: Path) -> None:
        save_data(task.play(PLAY, PLAY.fragments, locomotion.SEED), "maze/play-v0", root=folder)

    return load_data("maze/play-v0", artefact(workspace, f"data-{environment}", build))
