"""The demo's report: one HTML page with its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from genrl.data.copying import copying
from genrl.data.episodes import Episodes
from genrl.demo import task
from genrl.demo.results import HEADINGS, rows
from genrl.demo.task import Settings
from genrl.diffusion.noise import BlockNoise
from genrl.evaluation import plots
from genrl.evaluation.curves import bars, learning_curves
from genrl.evaluation.evaluate import Evaluation
from genrl.evaluation.mazes import Maze
from genrl.evaluation.report import Report
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion


def write_page(
    folder: Path,
    settings: Settings,
    model: TrajectoryDiffusion,
    real: Episodes,
    synthetic: Episodes,
    attempts: Mapping[str, list[Evaluation]],
    seed: int,
) -> Path:
    """Write ``report.html`` below ``folder`` and return its path."""
    maze = Maze.of_card(real.card)
    train, held_out = task.parts(settings, real, seed)
    measured = copying(train, held_out, synthetic, settings.horizon)
    table, intervals = rows(attempts)
    report = Report("What synthetic trajectories buy when real ones are scarce")
    report.text(
        f"The real data are {len(real)} fragments of {settings.steps} steps of play, {real.num_transitions} in all,"
        " in a U-shaped maze. The task is to cross the maze from one end to the other, which no fragment shows."
        f" A diffusion model fitted to {len(train)} of the fragments made {len(synthetic)} long trajectories"
        f" ({synthetic.num_transitions} transitions) by continuing its own windows; goal-conditioned behaviour cloning"
        " was then trained on the real data, on the synthetic data, and on both."
    )
    report.figure(bars(intervals, "success rate of attempts to cross, with 95 % interval"), "The result.")
    report.table(
        table,
        f"{settings.evaluation_episodes} attempts by each of {len(next(iter(attempts.values())))} learners per row.",
        HEADINGS,
    )
    report.heading("The data")
    report.figure(plots.trajectories({"real": real, "synthetic": synthetic}, maze), "Real and synthetic trajectories.")
    report.figure(
        plots.trajectories({arm: evaluations[0].episodes for arm, evaluations in attempts.items()}, maze),
        "What the learners do when asked to cross.",
    )
    report.heading("The model")
    steps, levels = film(model, 24, seed)
    report.figure(
        plots.film_strip(steps, levels, maze), f"Windows of {settings.horizon} transitions, from noise to data."
    )
    report.figure(learning_curves(folder / "log" / "metrics.csv"), "Denoising loss on training and held-out fragments.")
    report.heading("Does it copy?")
    if message := measured.excess():
        report.warning(message)
    report.figure(plots.neighbours(measured), "Distance of each window to its nearest neighbour in the training data.")
    return report.write(folder / "report.html")


def film(model: TrajectoryDiffusion, windows: int, seed: int) -> tuple[list[np.ndarray], list[float]]:
    """Windows on their way from noise to data: K arrays (B, R, 2) of positions, and the K noise levels."""
    frames: list[np.ndarray] = []
    levels: list[float] = []

    def watch(x: torch.Tensor, sigma: float) -> None:
        raw = model.packing.normalizer.denormalize(x)
        frames.append(raw[..., :2].cpu().numpy())
        levels.append(sigma)

    model.watch(BlockNoise(seed, 0), windows, watch)
    return frames, levels
