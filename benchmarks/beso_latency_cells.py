"""One cell of the latency benchmark: one action of ours, bare network calls and others', in turns on one core."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.beso_latency_reference import (
    ACTION,
    GOALS,
    HEADS,
    LAYERS,
    OBSERVATION,
    SIGMA_MAX,
    SIGMA_MIN,
    STEPS,
    WIDTH,
    WINDOW,
    ReferenceBESO,
    given,
    in_turns,
)
from benchmarks.cells import Cell
from benchmarks.pgd_speed_cells import one_core
from benchmarks.scheduler_loops import SCHEDULERS, scheduler, scheduler_loop
from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.diffusion.sampling import Sampling
from genrl.learners.beso import BESO
from genrl.nets.policy_transformer import Observed, PolicyTransformer
from genrl.training.rest import frozen

ROUNDS = {1: 60, 64: 8}
SAMPLING = Sampling("ddim", STEPS, SIGMA_MIN, SIGMA_MAX, spacing="linear")
KITCHEN = partial(PolicyTransformer, width=WIDTH, layers=LAYERS, heads=HEADS)
SIZES: dict[str, Callable[..., nn.Module]] = {"kitchen": KITCHEN, "reference": KITCHEN, "small": PolicyTransformer}
"""The paper's network, the same beside the reference, and our default one."""
GUIDANCE = 1.5
"""lambda where both branches are called; the paper's for Kitchen."""

Side = Callable[[], object]


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Median CPU seconds of one action on each side, all environments of the batch together, and network sizes."""
    size, batch = cell.environment.split("-batch")
    guidance = GUIDANCE if cell.arm == "guided" else 1.0
    rounds = cell.settings.get("rounds", ROUNDS[int(batch)])
    with one_core():
        learner = ours(size)
        sides = own_sides(learner, int(batch), guidance)
        values = {"parameters": float(sum(part.numel() for part in learner.model.net.parameters()))}
        if size == "reference":
            theirs = ReferenceBESO(given(), int(batch), sampler="ddim", guidance=guidance)
            spared = ReferenceBESO(given(), int(batch), sampler="ddim", guidance=guidance, exchange=False)
            sides |= {"reference": theirs.act, "reference_spared": spared.act, "reference_bare": theirs.bare}
            values["reference_parameters"] = float(theirs.parameters)
        return values | in_turns(sides, rounds)


def ours(size: str) -> BESO:
    """BESO for Kitchen's observations and actions, with random weights, on which speed does not depend."""
    rng = np.random.default_rng(0)
    seen, done = rng.normal(size=(2, 9, OBSERVATION)), rng.uniform(-1, 1, (2, 8, ACTION))
    data = from_arrays(list(seen.astype(np.float32)), list(done.astype(np.float32)), [np.zeros(8)] * 2)
    learner = BESO(SIZES[size], history=WINDOW, goal_length=GOALS, sampling=SAMPLING, sigma_data=0.5)
    learner.prepare(data)
    frozen(learner)
    return learner


def own_sides(learner: BESO, batch: int, guidance: float) -> dict[str, Side]:
    """Our policy as any loop drives it, the bare calls in it, and the loops of schedulers around the same network."""
    rng, net = np.random.default_rng(1), learner.model.net
    policy = learner.policy(together=batch, guidance=guidance)
    policy.reset(np.ones(batch, bool), np.arange(batch))
    seen = rng.normal(size=(batch, OBSERVATION)).astype(np.float32)
    wishes = Conditions(goal=torch.from_numpy(rng.normal(size=(batch, GOALS, OBSERVATION)).astype(np.float32)))
    called = batch if guidance == 1 else 2 * batch  # both branches in one call
    observed = Observed(torch.randn(called, WINDOW, OBSERVATION), torch.randn(called, GOALS, OBSERVATION))
    actions, level = torch.randn(called, WINDOW, ACTION), torch.full((called,), -0.5)

    @torch.inference_mode()
    def bare() -> Tensor:
        for _ in range(STEPS):
            output = net(actions, level, observed)
        return output

    sides: dict[str, Side] = {"ours": lambda: policy.act(seen, wishes), "bare": bare}
    if guidance == 1:
        limits = (SIGMA_MIN, SIGMA_MAX, 0.5)
        sides |= {
            name: partial(scheduler_loop, scheduler(name, *limits), net, actions * SIGMA_MAX, observed, STEPS)
            for name in SCHEDULERS
        }
    return sides
