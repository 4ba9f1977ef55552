"""One cell of the benchmarks of OC-GFN: a fit without a reward, and what it builds when asked."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cells import REPOSITORY, Cell, artefact, code_digest, digest
from benchmarks.ocgfn_ablations import held_out
from benchmarks.ocgfn_settings import AMORTISED, BITS_ARMS, GRID_ARMS, PLACES, Place, Sizes
from benchmarks.stitch_models import files
from genrl.data.collect import collect
from genrl.data.construction import Uniform
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.randomness import generator
from genrl.gflownets.exact import StateSpace, table, total_variation
from genrl.gflownets.sampler import replayed
from genrl.methods.amortised_gfn import AmortisedGFN
from genrl.methods.converted_gfn import ConvertedGFN
from genrl.methods.ocgfn import OCGFN
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

SHARED = REPOSITORY / "benchmarks" / "cells" / ".models" / "ocgfn"
"""Fitted models, each under a digest of the code and the settings that it depends on."""

FIRST = 64
"""Objects that the data hold, drawn by uniform actions: they say which environment it is."""


def compute_grid(cell: Cell, workspace: Path) -> dict[str, float]:
    """Success over all objects that were explored, or over the held-out ones, and the exact distance after conversion.

    ``covered`` is the share of all objects among the last trajectories of the explorer, as many as are kept.
    """
    place = PLACES[cell.environment]
    sizes = replace(place.sizes, **cell.settings)
    if cell.arm == "amortised":
        return {"amortised_tv": amortised_distance(place, cell, sizes)}
    model = fitted(cell.arm, cell.environment, cell.seed, sizes)
    space = StateSpace.of(model.game.env)
    asked = model.game.encode_outcome(space.objects)
    success = space.spread(table(space, model.game.env, model.balance.pf, asked)).diagonal()  # (X,)
    if cell.arm == "held_out":
        return {"success": float(success[held_out(space, cell.seed)].mean())}
    found = among(space.objects, model.examples.objects())
    figures = {"success": float(success[found].mean()), "worst": float(success[found].min())}
    if cell.arm == "ocgfn":
        converted = ConvertedGFN(model)
        goal = model.game.rewards(space.objects)
        figures |= {"covered": float(found.double().mean())}
        figures |= {"zero_shot_tv": total_variation(converted.probabilities(), goal)}
        figures |= {"uniform_tv": total_variation(torch.ones_like(goal), goal)}
    return figures


def amortised_distance(place: Place, cell: Cell, sizes: Sizes) -> float:
    """Exact total variation from the grid's own reward of what learned sums draw, after as many updates again."""
    known = fitted("ocgfn", cell.environment, cell.seed, sizes)
    turned = AmortisedGFN(known, **AMORTISED, seed=cell.seed)
    how: dict[str, Any] = {"batch_size": sizes.batch // 2, "val_fraction": 0.0, "progress": False}
    fit(turned, data(place, cell.seed), sizes.updates, **how)
    space = StateSpace.of(turned.game.env)
    drawn = space.spread(table(space, turned.game.env, turned.policy))
    return total_variation(drawn, turned.game.rewards(space.objects))


def compute_bits(cell: Cell, workspace: Path) -> dict[str, float]:
    """Exact chance that the string asked for is built, over fixed strings drawn evenly from all there are."""
    sizes = replace(PLACES[cell.environment].sizes, **cell.settings)
    model = fitted(cell.arm, cell.environment, cell.seed, sizes)
    words = torch.randint(model.game.high + 1, (sizes.asked, model.game.size), generator=generator(0, "strings"))
    chance = path_probability(model, words)
    return {"success": float(chance.mean()), "above_half": float((chance > 0.5).double().mean())}


@torch.no_grad()
def path_probability(model: OCGFN, words: Tensor) -> Tensor:
    """(N,) probability of the one path to each string (N, S), when asked for it."""
    leave = torch.full((len(words), 1), model.game.actions - 1)
    paths = model.under(replayed(model.game.env, torch.cat((words, leave), 1)), words)
    policy: Any = model.balance.pf
    taken = ~paths.actions.is_dummy  # all: strings are equally long
    states = paths.states[:-1][taken]
    distribution = policy.to_probability_distribution(states, policy(states, states.conditions))
    log_pf = distribution.log_prob(paths.actions[taken].tensor)
    return log_pf.view(paths.max_length, -1).double().sum(0).exp()


def among(objects: Tensor, found: Tensor) -> Tensor:
    """(X,) which of the objects (X, S) are among those found (N, S)."""
    return (objects[:, None] == found.unique(dim=0)).all(-1).any(1)


def data(place: Place, seed: int) -> Episodes:
    """A few objects built at random."""
    policy = Uniform.for_env(make_env(place.env, place.settings))
    return collect(place.env, policy, FIRST, seed, env_options=place.settings)


def fitted(arm: str, where: str, seed: int, sizes: Sizes) -> OCGFN:
    """The model of an arm, made once and kept."""
    place = PLACES[where]

    def build(folder: Path) -> None:
        model = (GRID_ARMS | BITS_ARMS)[arm](seed=seed)
        how: dict[str, Any] = {"batch_size": sizes.batch, "val_fraction": 0.0, "progress": False}
        save(fit(model, data(place, seed), sizes.updates, **how), folder / "model.ckpt")

    SHARED.mkdir(parents=True, exist_ok=True)
    chosen = digest([code_digest(CODE), asdict(sizes)])[:16]
    model: Any = load(artefact(SHARED, f"{where}-{arm}-{seed}-{chosen}", build) / "model.ckpt")
    return model


CODE = [
    *files("benchmarks", "ocgfn_cells", "ocgfn_settings", "ocgfn_ablations"),
    *files("genrl/data", "construction"),
    *files("genrl/gflownets", "balance", "estimators", "explorer", "replay", "sampler", "paths", "exact"),
    *files("genrl/methods", "ocgfn", "converted_gfn"),
    *files("genrl/nets", "mlp"),
]
"""What models depend on."""

GRID_CODE = [
    *CODE,
    *files("genrl/gflownets", "outcomes", "queries"),
    *files("genrl/methods", "amortised_gfn", "rewarded_gfn"),
]
"""What cells of the grids depend on; those of strings do on their models alone."""
