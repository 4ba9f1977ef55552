"""One cell of the speed benchmark: our side, the bare network and a reference take turns at one task on one core."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cells import REPOSITORY, Cell
from genrl.data.episodes import Episodes
from genrl.diffusion.guidance import Published
from genrl.diffusion.precision import at_precision
from genrl.learners.td3bc import TD3BC
from genrl.methods.method import Block, Method
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.sampling import Sampling
from genrl.methods.steered import Guidance
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.nets.residual_mlp import ResidualMLP
from genrl.nets.temporal_unet import TemporalUNet
from genrl.training.fit import fit

OBSERVATION, ACTION = 11, 3  # Hopper
HORIZON, STEPS = 32, 32
ROUNDS, TRAIN_STEPS = 5, 10  # turns of each side; training steps in a turn
GIVEN = "GENRL_REFERENCES"  # environment variable: {name: [folder, python]} as JSON

Turn = Callable[[], float]
"""Does one turn and gives the CPU seconds of one training step or one batch of samples."""


class Match(NamedTuple):
    """What is held against what: our method, the reference (none for ours alone), its size, the batches, our format."""

    method: Callable[[Sampling], TrajectoryDiffusion]
    reference: str = ""
    size: tuple[tuple[str, int], ...] = ()
    train_batch: int = 32
    sample_batch: int = 64
    precision: str = "32-true"

    def fresh(self) -> TrajectoryDiffusion:
        """Our method, not fitted yet."""
        return self.method(Sampling("heun", STEPS, precision=self.precision))


def unet(width: int, multipliers: tuple[int, ...], groups: int, sampling: Sampling) -> TrajectoryDiffusion:
    """Ours with a U-Net."""
    net = partial(TemporalUNet, width=width, multipliers=multipliers, groups=groups)
    return TrajectoryDiffusion(net, horizon=HORIZON, sampling=sampling)


def mlp(sampling: Sampling) -> TransitionDiffusion:
    """Ours with SynthER's smaller network."""
    return TransitionDiffusion(partial(ResidualMLP, width=1024, layers=6), sampling=sampling)


THREE_LEVELS, FOUR_LEVELS = partial(unet, 82, (1, 2, 4), 2), partial(unet, 44, (1, 2, 4, 8), 4)
PGD, SYNTHER = (("features", 128),), (("features", 1024), ("layers", 6))
WHOLE = {
    "trajectory": Match(THREE_LEVELS),
    "transition": Match(mlp),
    "pgd": Match(THREE_LEVELS, "pgd", PGD),
    "pgd_four_levels": Match(FOUR_LEVELS, "pgd", PGD),
    "synther": Match(mlp, "synther", SYNTHER),
    "synther_own_batch": Match(mlp, "synther", SYNTHER, train_batch=256, sample_batch=256),
}
MATCHES = WHOLE | {f"{name}_bf16": match._replace(precision="bf16-mixed") for name, match in WHOLE.items()}
GUIDED = {"sample_guided": False, "sample_guided_noisy": True}
"""Tasks under guidance, and whether its gradients are taken at the noisy state."""


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Median CPU seconds of a training step or a batch of samples on each side, and the sizes of the networks."""
    name, task = cell.environment.split("-")
    match, rounds = MATCHES[name], cell.settings.get("rounds", ROUNDS)
    with one_core(), reference(match, task) as (theirs, their_size):
        method = fit(match.fresh(), noise(), 1, progress=False)
        size, net = size_of(method), network(method)
        if task == "train":
            bare = partial(bare_training, net, inputs(method, match.train_batch), match.precision)
            taken = train(match, theirs | {"bare": bare}, rounds)
        else:
            bare = partial(bare_sampling, net, inputs(method, match.sample_batch), match.precision)
            taken = sample(led(method, task), match, theirs | {"bare": bare}, rounds)
    seconds = {side: median(turns[1:]) for side, turns in taken.items()}  # the first turn warms up
    return seconds | {f"ours_{key}": value for key, value in size.items()} | their_size


class Turns(Callback):
    """Times a fit in turns with others: after every few steps it is their turn, while the clock of the fit stands."""

    def __init__(self, others: dict[str, Turn]) -> None:
        self.others = others
        self.taken: dict[str, list[float]] = {name: [] for name in ("ours", *others)}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The clock starts."""
        self.begun = time.process_time()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Hand over after every ``TRAIN_STEPS`` steps."""
        if (batch_idx + 1) % TRAIN_STEPS:
            return
        self.taken["ours"].append((time.process_time() - self.begun) / TRAIN_STEPS)
        for name, turn in self.others.items():
            self.taken[name].append(turn())
        self.begun = time.process_time()


def train(match: Match, others: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    """A fit as users start it, in turns with the others, and a turn to warm up."""
    turns, steps = Turns(others), (rounds + 1) * TRAIN_STEPS
    fit(
        match.fresh(),
        noise(),
        steps,
        batch_size=match.train_batch,
        val_every=steps,
        val_fraction=0.0,
        progress=False,
        precision=match.precision,
        callbacks=[turns],
    )
    return turns.taken


def sample(method: Method, match: Match, others: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Batches of episodes, in turns with the others, and a turn to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in ("ours", *others)}
    for number in range(rounds + 1):
        begun = time.process_time()
        method.synthesize(Block(0, number, match.sample_batch))
        taken["ours"].append(time.process_time() - begun)
        for name, turn in others.items():
            taken[name].append(turn())
    return taken


def led(method: TrajectoryDiffusion, task: str) -> Method:
    """The method, under guidance by a policy where the task is that."""
    if task not in GUIDED:
        return method
    policy = fit(TD3BC(), noise(), 1, progress=False)
    return PolicyGuidedDiffusion(method, policy, Guidance(Published(), noisy=GUIDED[task], substeps=1))


def noise(episodes: int = 100, steps: int = 100) -> Episodes:
    """Random numbers in the shape of Hopper episodes: speed does not depend on what they are."""
    generator = torch.Generator().manual_seed(0)
    rows = episodes * steps
    truncations = torch.zeros(rows, dtype=torch.bool)
    truncations[steps - 1 :: steps] = True
    return Episodes(
        gym.spaces.Box(-np.inf, np.inf, (OBSERVATION,), np.float64),
        gym.spaces.Box(-1, 1, (ACTION,), np.float32),
        {"": torch.randn(rows + episodes, OBSERVATION, generator=generator, dtype=torch.float64)},
        {"": torch.rand(rows, ACTION, generator=generator) * 2 - 1},
        torch.randn(rows, generator=generator, dtype=torch.float64),
        torch.zeros(rows, dtype=torch.bool),
        truncations,
        torch.full((episodes,), steps),
    )


def network(method: TrajectoryDiffusion) -> nn.Module:
    """The bare network behind a method."""
    net = method.gaussian.net.net
    assert isinstance(net, nn.Module)
    return net


def inputs(method: TrajectoryDiffusion, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """What that network is called with: windows, noise levels, returns."""
    return torch.zeros(batch, method.rows, 3 * method.packing.dim), torch.zeros(batch), torch.zeros(batch, 1)


def bare_training(net: nn.Module, arguments: tuple[Tensor, ...], precision: str) -> float:
    """Seconds of a forward and a backward pass of the network alone."""
    net.requires_grad_(True)
    begun = time.process_time()
    for _ in range(TRAIN_STEPS):
        net.zero_grad()
        with at_precision(precision, arguments[0].device):
            made = net(*arguments).sum()
        made.backward()
    return (time.process_time() - begun) / TRAIN_STEPS


@torch.inference_mode()
def bare_sampling(net: nn.Module, arguments: tuple[Tensor, ...], precision: str) -> float:
    """Seconds of the network's calls alone: two in each step of Heun's method, one in the last."""
    begun = time.process_time()
    with at_precision(precision, arguments[0].device):
        for _ in range(2 * STEPS - 1):
            net(*arguments)
    return time.process_time() - begun


def size_of(method: TrajectoryDiffusion) -> dict[str, float]:
    """Parameters of the network, and multiply-adds of a call for one sample."""
    net = network(method)
    with FlopCounterMode(display=False) as counter:
        net(*inputs(method, 1))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return {"parameters": parameters, "multiply_adds": counter.get_total_flops() / 2}


@contextmanager
def one_core() -> Iterator[None]:
    """This process and its children on one core, where the system can pin them."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def reference(match: Match, task: str) -> Iterator[tuple[dict[str, Turn], dict[str, float]]]:
    """The reference in a process of its own: what takes its turn, and its sizes; nothing for ours alone."""
    if not match.reference:
        yield {}, {}
        return
    folder, python = given()[match.reference]
    shapes = {"observation": OBSERVATION, "action": ACTION, "horizon": HORIZON, "steps": STEPS}
    batches = {"train_batch": match.train_batch, "sample_batch": match.sample_batch, "train_steps": TRAIN_STEPS}
    settings = json.dumps(shapes | batches | dict(match.size))
    driver = str(REPOSITORY / "benchmarks" / "pgd_speed_reference.py")
    command = [python, driver, match.reference, folder, task, settings]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=alone) as process:

        def answer() -> dict[str, float]:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"The reference {match.reference} fell over; what it said stands above.")
            return json.loads(line)

        def turn() -> float:
            print("go", file=process.stdin, flush=True)
            return answer()["seconds"]

        yield {"reference": turn}, {f"reference_{key}": value for key, value in answer().items()}


def given() -> dict[str, list[str]]:
    """The references that are here: name to folder and python."""
    return json.loads(os.environ.get(GIVEN, "{}"))
