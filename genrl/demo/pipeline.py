"""Collect, fit, synthesise, verify, train on three kinds of data, evaluate, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from genrl.data.episodes import Episodes
from genrl.data.errors import CorruptDatasetError
from genrl.data.store import load, save
from genrl.data.verify import verify
from genrl.demo import task
from genrl.demo.page import write_page
from genrl.demo.results import HEADINGS, rows
from genrl.demo.task import Settings
from genrl.evaluation.evaluate import Evaluation
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.synthesis.generate import Plan, one_thread
from genrl.synthesis.synthesize import synthesize
from genrl.training import checkpoint
from genrl.training.fit import fit

REAL, SYNTHETIC = "demo/umaze-play-v0", "demo/umaze-synthetic-v0"
ARMS: Mapping[str, tuple[str, ...]] = {"real": (REAL,), "synthetic": (SYNTHETIC,), "both": (REAL, SYNTHETIC)}
LEARNER_SEEDS = 3


@dataclass(frozen=True)
class Outcome:
    """What a demo made: where it is, and the attempts of each arm's learners."""

    folder: Path
    report: Path
    attempts: Mapping[str, list[Evaluation]]


def run(folder: Path, seed: int = 0, settings: Settings = Settings()) -> Outcome:  # noqa: B008 (frozen)
    """The whole job below ``folder``; the data sets and checkpoints of a former run there are replaced."""
    say, began = Console(), time.perf_counter()
    root = folder / "datasets"
    say.rule("1  collect real play")
    real = task.play(settings, settings.fragments, seed)
    save(real, REAL, root=root, overwrite=True)
    real = load(REAL, root=root)
    say.print(f"{len(real)} fragments, {real.num_transitions} transitions: {root / REAL}")

    say.rule("2  fit a trajectory diffusion model")
    generator = fit_model(settings, real, seed, folder)
    checkpoint.save(generator, folder / "model.ckpt")

    say.rule("3  synthesise")
    plan = Plan(task.synthetic_episodes(settings, real), seed, settings.synthetic_steps, block_size=64)
    synthesize(generator, SYNTHETIC, plan, root=root, overwrite=True)
    checked = verify(SYNTHETIC, root=root)
    if not checked.ok:
        raise CorruptDatasetError(f"{SYNTHETIC}: {checked.problems[0]}")
    synthetic = load(SYNTHETIC, root=root)
    say.print(f"{synthetic.num_transitions} transitions, read back and verified: {root / SYNTHETIC}")

    say.rule("4  train and evaluate a learner on each")
    attempts = train_and_evaluate(settings, root, seed)
    for arm, evaluations in attempts.items():
        save(evaluations[0].episodes, f"demo/attempts-{arm}-v0", root=root, overwrite=True)

    say.rule("5  report")
    report = write_page(folder, settings, generator, real, synthetic, attempts, seed)
    say.print(_table(attempts))
    say.print(f"Report: {report.resolve()}   ({time.perf_counter() - began:.0f} s)")
    return Outcome(folder, report, attempts)


@one_thread()
def fit_model(settings: Settings, real: Episodes, seed: int, folder: Path | None = None) -> TrajectoryDiffusion:
    """The generative model, fitted to the training fragments; its log goes to ``folder``.

    On one thread: so small a network is as fast on one as on several, many times faster where another process keeps one
    of these waiting, and the same on every machine but for its processor.
    """
    logger = CSVLogger(str(folder), name="log", version="") if folder is not None else False
    return fit(
        task.model(settings, seed),
        real,
        settings.fit_batches,
        batch_size=settings.fit_batch_size,
        val_fraction=settings.held_out,
        seed=seed,
        progress=folder is not None,
        logger=logger,
    )


def train(settings: Settings, sources: list[Episodes], split_seed: int, seed: int) -> task.GCBC:
    """One learner on a mixture of data sets, each with an equal share of every batch."""
    return fit(
        task.learner(seed),
        list(sources),
        settings.learner_batches,
        weights=[1.0] * len(sources),
        val_fraction=settings.held_out,
        val_every=100,
        patience=settings.patience,
        seed=split_seed,
        progress=False,
    )


def train_and_evaluate(settings: Settings, root: Path, seed: int, processes: int = 2) -> dict[str, list[Evaluation]]:
    """Several learners on each arm's data, and their attempts on seeds of their own."""
    jobs = [(arm, index) for index in range(LEARNER_SEEDS) for arm in ARMS]
    attempts: dict[str, list[Evaluation]] = {arm: [] for arm in ARMS}
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(_attempt, settings, root, arm, seed, index) for arm, index in jobs]
        for (arm, _), future in tqdm(zip(jobs, futures, strict=True), total=len(jobs), unit="learner"):
            attempts[arm].append(future.result())
    return attempts


def _attempt(settings: Settings, root: Path, arm: str, seed: int, index: int) -> Evaluation:
    sources = [load(dataset_id, root=root) for dataset_id in ARMS[arm]]
    fitted = train(settings, sources, seed, LEARNER_SEEDS * seed + index)
    return task.attempt(settings, fitted, LEARNER_SEEDS * seed + index)


def _table(attempts: Mapping[str, list[Evaluation]]) -> Table:
    table = Table(title="Crossing the maze from one end to the other")
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows(attempts)[0]:
        table.add_row(*row)
    return table
