"""One cell of the benchmark of OC-GFN on TFBind8: an arm that looks for the modes of one reward by asking for rewards.

TFBind8 is every sequence of 8 letters with its measured binding (Barrera et al. 2016), from the file that the
environment variable GENRL_TFBIND names.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from benchmarks.cells import REPOSITORY, Cell, artefact, code_digest, digest
from benchmarks.stitch_models import files
from genrl.data.collect import collect
from genrl.data.construction import Game, Uniform
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.randomness import generator
from genrl.gflownets.balances import TB
from genrl.gflownets.mcmc import metropolis_hastings, uniform
from genrl.gflownets.queries import Queries
from genrl.gflownets.rewards import Constant, Table
from genrl.methods.amortised_gfn import AmortisedGFN
from genrl.methods.flow_network import FlowNetwork
from genrl.methods.ocgfn import OCGFN
from genrl.methods.rewarded_gfn import RewardedGFN
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

SHARED = REPOSITORY / "benchmarks" / "cells" / ".models" / "ocgfn_tfbind"
"""Pre-trained models, each under a digest of the code and the settings that it depends on."""

FILE = os.environ.get("GENRL_TFBIND", str(REPOSITORY.parent / "shared" / "data" / "tfbind8_SIX6_REF_R1.npz"))
ENV, SETTINGS = "genrl/bits-v0", {"settings": {"word_size": 2, "seq_size": 16, "n_modes": 1}}
MODES = 327
"""Objects that count as modes: the best 0.5 % of 65,536."""

REWARDS: Mapping[str, Mapping[str, Any]] = {
    "sharp": {},
    "cubed": {"power": 3.0},
    "reversed": {"positions": [7, 6, 5, 4, 3, 2, 1, 0]},
    "interleaved": {"positions": [0, 4, 1, 5, 2, 6, 3, 7]},
    "rotated": {"letters": [1, 2, 3, 0], "positions": [2, 3, 4, 5, 6, 7, 0, 1]},
    "masked": {"required": [[0, 2]]},
}
"""What each reward changes of the table's eighth power."""


@dataclass(frozen=True)
class Sizes:
    """What a cell depends on beside its arm, its reward and its seed.

    Attributes:
        queries: rewards that an arm may ask for.
        marks: numbers of queries at which modes are counted.
        pretraining, warming: updates of the OC-GFN, and of N and Q for a reward that is the same for all.
        batch: of both.
        updates: at most, of an arm.
        tries: trajectories in an update of an arm; ``replay`` of them from before.
        chains: of the Markov chain.
    """

    queries: int = 8000
    marks: tuple[int, ...] = (1000, 2000, 4000, 8000)
    pretraining: int = 400
    warming: int = 200
    batch: int = 128
    updates: int = 400
    tries: int = 128
    replay: float = 0.75
    chains: int = 16


def obstacle(cell: Cell) -> str:
    """Why a cell cannot be computed here; empty where it can."""
    if Path(FILE).is_file():
        return ""
    return f"There is no table of TFBind8 at {FILE}: set GENRL_TFBIND to an .npz of x (65536, 8) and y (65536,)."


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """``modes_Q`` and ``seconds_Q`` (CPU) at each mark, and how many rewards were ``asked`` for."""
    sizes = replace(Sizes(), **cell.settings)
    reward = Table(FILE, **{"power": 8.0, **REWARDS[cell.environment]})
    if cell.arm == "ocgfn":
        pretrained(cell.seed, sizes)  # its time is its own
    queries, spent = ARMS[cell.arm](reward, cell.seed, sizes)
    found = found_modes(queries, reward)
    figures = {"asked": float(queries.asked), "pretraining": 0.0}
    if cell.arm == "ocgfn":
        figures["pretraining"] = float((pretrained(cell.seed, sizes) / "seconds").read_text())
    asked, seconds = np.array(spent).T
    for mark in sizes.marks:  # an arm that no longer meets new objects stays at what it has
        figures[f"modes_{mark}"] = float(found[:mark].sum())
        figures[f"seconds_{mark}"] = float(np.interp(mark, asked, seconds))
    return figures


def found_modes(queries: Queries, reward: Table) -> np.ndarray:
    """(Q,) whether each object asked for, in order, is one of the best."""
    words = torch.cartesian_prod(*[torch.arange(4)] * 8)  # in the order of their numbers
    best = torch.zeros(len(words), dtype=torch.bool)
    best[reward(words).argsort(descending=True, stable=True)[:MODES]] = True
    asked = queries.objects[: len(queries)].long()
    return best[asked @ (4 ** torch.arange(7, -1, -1))].numpy()


def data(seed: int) -> Episodes:
    """Trajectories of the policy that takes every letter equally often."""
    return collect(ENV, Uniform.for_env(make_env(ENV, SETTINGS)), 256, seed, num_envs=64, env_options=SETTINGS)


def pretrained(seed: int, sizes: Sizes) -> Path:
    """The folder of a seed's model, which has never seen a reward; made once, for all rewards."""

    def build(folder: Path) -> None:
        begun = time.process_time()
        how: dict[str, Any] = {"batch_size": sizes.batch, "val_fraction": 0.0, "progress": False}
        known = fit(OCGFN(explorer=None, miss=60.0, anneal=(1.0, 1.0), seed=seed), data(seed), sizes.pretraining, **how)
        even = AmortisedGFN(known, reward=Constant(), seed=seed)
        how["batch_size"] = sizes.batch // 2
        save(fit(even, data(seed), sizes.warming, **how), folder / "model.ckpt")
        (folder / "seconds").write_text(str(time.process_time() - begun))

    SHARED.mkdir(parents=True, exist_ok=True)
    chosen = digest([code_digest(CODE), asdict(sizes)])[:16]
    return artefact(SHARED, f"{seed}-{chosen}", build)


Spent = list[tuple[int, float]]
"""(rewards asked for, CPU seconds) as an arm goes on."""


def ocgfn(reward: Table, seed: int, sizes: Sizes) -> tuple[Queries, Spent]:
    """The pre-trained model, turned to the reward."""
    even: Any = load(pretrained(seed, sizes) / "model.ckpt")
    turned = even.turned_to(reward)
    turned.hindsight, turned.replay, turned.lr = 0.9, sizes.replay, 5e-3
    return fitted(turned, seed, replace(sizes, tries=sizes.tries // 2))


def tb(reward: Table, seed: int, sizes: Sizes) -> tuple[Queries, Spent]:
    """Trajectory balance from scratch."""
    return fitted(FlowNetwork(TB, reward=reward, replay=sizes.replay, lr=5e-3, seed=seed), seed, sizes)


def fitted(module: RewardedGFN, seed: int, sizes: Sizes) -> tuple[Queries, Spent]:
    """Fit until all queries are spent."""
    watch = Watch(sizes.queries)
    how: dict[str, Any] = {"batch_size": sizes.tries, "val_fraction": 0.0, "progress": False, "callbacks": [watch]}
    return fit(module, data(seed), sizes.updates, **how).asked, watch.spent


class Watch(Callback):
    """Ends a fit when its queries are spent."""

    def __init__(self, most: int) -> None:
        self.most, self.begun = most, time.process_time()
        self.spent: Spent = [(0, 0.0)]

    def on_train_batch_end(self, trainer: Any, module: Any, *rest: Any) -> None:
        self.spent.append((int(module.asked.asked), time.process_time() - self.begun))
        trainer.should_stop = self.spent[-1][0] >= self.most


def mcmc(reward: Table, seed: int, sizes: Sizes) -> tuple[Queries, Spent]:
    """Metropolis-Hastings."""
    return asked(
        reward, sizes, lambda game, queries, luck: metropolis_hastings(game, queries, sizes.chains, luck), seed
    )


def even(reward: Table, seed: int, sizes: Sizes) -> tuple[Queries, Spent]:
    """Objects drawn evenly."""

    def draws(game: Game, queries: Queries, luck: torch.Generator) -> Any:
        return (queries(uniform(game, sizes.chains, luck)) for _ in itertools.count())

    return asked(reward, sizes, draws, seed)


def asked(reward: Table, sizes: Sizes, made: Callable[..., Any], seed: int) -> tuple[Queries, Spent]:
    """Ask until all queries are spent, or a hundred times as many objects were looked at."""
    game = replace(Game.make("gfn.gym.BitSequence", SETTINGS["settings"]), reward=reward)
    queries, begun = Queries(game, 100_000), time.process_time()
    spent: Spent = [(0, 0.0)]
    looks: Iterator[Any] = made(game, queries, generator(seed, "tfbind"))
    for _ in range(100 * sizes.queries // sizes.chains):
        next(looks)
        spent.append((int(queries.asked), time.process_time() - begun))
        if spent[-1][0] >= sizes.queries:
            break
    return queries, spent


ARMS: Mapping[str, Callable[[Table, int, Sizes], tuple[Queries, Spent]]] = {
    "ocgfn": ocgfn,
    "tb": tb,
    "mcmc": mcmc,
    "uniform": even,
}

CODE = [
    *files("benchmarks", "ocgfn_tfbind_cells"),
    "genrl/gflownets/*.py",
    *files("genrl/data", "construction"),
    *files("genrl/methods", "ocgfn", "amortised_gfn", "flow_network", "rewarded_gfn"),
    *files("genrl/nets", "mlp"),
]
"""What cells depend on."""
