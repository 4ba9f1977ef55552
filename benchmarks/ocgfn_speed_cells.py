"""One cell of the benchmark of OC-GFN's speed: our fit and a bare loop over torchgfn, in turns on one core."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from gfn.containers import Trajectories
from gfn.gflownet import DBGFlowNet
from gfn.samplers import Sampler
from lightning.pytorch import Callback
from torch import Tensor

from benchmarks.cells import Cell
from benchmarks.ocgfn_cells import CODE as MODELS
from benchmarks.ocgfn_cells import data
from benchmarks.ocgfn_settings import BALANCED, GRIDS
from benchmarks.pgd_speed_cells import TRAIN_STEPS, Turns, one_core
from benchmarks.stitch_models import files
from genrl.data.episodes import Episodes
from genrl.data.randomness import generator
from genrl.gflownets.randomness import drawing_from
from genrl.gflownets.replay import actions_of
from genrl.gflownets.sampler import replayed, sample
from genrl.methods.ocgfn import OCGFN
from genrl.training.fit import fit
from genrl.training.schedule import warmup_cosine

ROUNDS = 7
"""Turns of each side, each of ``TRAIN_STEPS`` updates; one more to warm up."""

CHECKED = 20
"""Updates in which both sides' losses are compared."""

CODE = [*MODELS, *files("benchmarks", "ocgfn_speed_cells")]


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """CPU seconds of an update on each side, or how far their losses are apart in double precision."""
    batch, rounds = int(cell.environment[1:]), cell.settings.get("rounds", ROUNDS)
    episodes = data(GRIDS["grid8"], cell.seed)
    with one_core():
        if cell.arm == "losses":
            with double():
                return {"difference": difference(episodes, batch, cell.seed)}
        return timed(episodes, batch, cell.seed, rounds) | {"difference": difference(episodes, batch, cell.seed)}


@contextmanager
def double() -> Iterator[None]:
    """Everything that is made in here has double precision.

    In single precision the two sides' rounding differs, until some day a draw falls between both: from there on they
    see other trajectories.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def timed(episodes: Episodes, batch: int, seed: int, rounds: int) -> dict[str, float]:
    """Median CPU seconds for an update of a fit as users start it, and of bare loops."""
    steps = (rounds + 1) * TRAIN_STEPS
    sides = {
        "bare": BareLoop(episodes, batch, seed, steps, torchgfn),
        "bare_our_sampler": BareLoop(episodes, batch, seed, steps, ours),
    }
    turns = Turns({name: partial(per_update, side) for name, side in sides.items()})
    pretrain(episodes, batch, seed, steps, turns)
    return {side: median(taken[1:]) for side, taken in turns.taken.items()}


def difference(episodes: Episodes, batch: int, seed: int) -> float:
    """Largest distance between the two sides' losses over the first updates."""
    kept = Losses()
    pretrain(episodes, batch, seed, CHECKED, kept)
    bare = BareLoop(episodes, batch, seed, CHECKED, torchgfn)
    return max(abs(mine - bare.update()) for mine in kept.found)


def pretrain(episodes: Episodes, batch: int, seed: int, steps: int, callback: Callback) -> None:
    """Our fit."""
    how: dict[str, Any] = {"batch_size": batch, "val_every": steps, "val_fraction": 0.0, "progress": False}
    fit(OCGFN(**BALANCED, seed=seed), episodes, steps, callbacks=[callback], **how)


class Losses(Callback):
    """Keeps the loss of every update."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note it down."""
        self.found.append(float(outputs["loss"]))


def torchgfn(env: Any, pf: Any, n: int, conditions: Tensor | None, epsilon: float) -> Trajectories:
    """Its own sampler."""
    return Sampler(pf).sample_trajectories(env, n=n, conditions=conditions, epsilon=epsilon)


def ours(env: Any, pf: Any, n: int, conditions: Tensor | None, epsilon: float) -> Trajectories:
    """The same draws."""
    return sample(env, pf, n, conditions, epsilon=epsilon)


class BareLoop:
    """The same updates by torchgfn's samplers and losses and a plain loop.

    What torchgfn has no part for, the novelty and the kept examples, is ours on both sides.

    Args:
        episodes: the first examples.
        batch: trajectories of a kind in an update.
        seed: of weights and draws, which are those of our fit.
        steps: that the learning rate is planned for.
        sampler: how trajectories are drawn.
    """

    def __init__(self, episodes: Episodes, batch: int, seed: int, steps: int, sampler: Any) -> None:
        model = OCGFN(**BALANCED, seed=seed)
        model.prepare(episodes)
        self.model, self.batch, self.seed, self.sampler = deepcopy(model), batch, seed, sampler
        self.model.balance.weight = 0.0
        assert self.model.exploration is not None
        self.exploration = self.model.exploration
        rates = [{"params": self.model.balance.parameters()}, *self.exploration.rates()]
        self.optimizer = torch.optim.Adam(rates, model.lr)
        self.schedule = warmup_cosine(self.optimizer, steps)["lr_scheduler"]["scheduler"]
        self.position = 0

    def update(self) -> float:
        """One step of the optimiser; the loss before it."""
        with drawing_from(generator(self.seed, "train", 0, self.position)):
            loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.position += 1
        return float(loss.detach())

    def loss(self) -> Tensor:
        """Of the explorer, its examples half of them from before, and of what the network does when asked for them."""
        model, env = self.model, self.model.game.env
        made = self.sampler(env, self.exploration.balance.pf, self.batch, None, self.exploration.settings.epsilon)
        explored = self.exploration.losses(made)
        before = model.examples.draw(self.batch // 2)
        model.examples.add(actions_of(made))
        plus = joined(model, made, before, self.batch - self.batch // 2)
        y = plus.terminating_states.tensor
        minus = self.sampler(env, model.balance.pf, self.batch, model.game.encode(y), model.epsilon)
        x = minus.terminating_states.tensor
        failed = (x != y).any(-1) * model.log_miss
        lost = minus[failed.nonzero()[:, 0]]
        again = self.balance(lost, x[failed < 0], torch.zeros(len(lost))) * len(lost) / self.batch
        own = self.balance(minus, y, failed), again
        parts = [self.balance(plus, y, torch.zeros(self.batch)), *own, *explored.values()]
        return torch.stack(parts).sum()

    def balance(self, made: Trajectories, outcomes: Tensor, log_rewards: Tensor) -> Tensor:
        """Detailed balance of torchgfn under outcomes (N, S)."""
        made.states.conditions = self.model.game.encode(outcomes).expand(len(made.states.tensor), -1, -1)
        edges = made.to_transitions()
        of_edges = log_rewards.expand(made.max_length, -1)[~made.actions.is_dummy]
        return DBGFlowNet.loss(self.model.balance, self.model.game.env, edges, log_rewards=of_edges)


def joined(model: OCGFN, made: Trajectories, before: Tensor, fresh: int) -> Trajectories:
    """The first of the new trajectories, and kept ones, in torchgfn's own container."""
    plus = made[torch.arange(fresh)]
    plus.extend(replayed(model.game.env, before))
    return plus


def per_update(side: BareLoop) -> float:
    """CPU seconds of an update, of ``TRAIN_STEPS`` together."""
    begun = time.process_time()
    for _ in range(TRAIN_STEPS):
        side.update()
    return (time.process_time() - begun) / TRAIN_STEPS
