"""One cell of the benchmark of dynamics: errors of a model beside the simulator, or its speed beside a reference."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.cells import Cell
from benchmarks.dynamics_reference import BATCH, DECAYS, ELITES, LAYERS, MEMBERS, WIDTH, ReferenceEnsemble, given
from benchmarks.pgd_speed_cells import TRAIN_STEPS, Turns, one_core
from benchmarks.stitch_models import HELD_OUT, WORLD, Origin, data, files, world_model
from benchmarks.stitch_settings import Settings
from genrl.data.episodes import Episodes
from genrl.data.journeys import stitching
from genrl.data.randomness import generator
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.rollout import rollout
from genrl.evaluation.simulators import Simulator
from genrl.methods.diffusion_world_model import DiffusionWorldModel
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.nets.mlp import DenoisingMLP
from genrl.training.fit import fit

HORIZONS = (1, 10, 50, 200)
FRESH, FRESH_SEED = 50, 50_000
"""Episodes that errors are measured on; those of seed s are drawn with FRESH_SEED + s, apart from all data."""

DENOISER = partial(DenoisingMLP, width=256, layers=3, context=64)
ROUNDS = {"train": 15, "rollout": 9}
"""Turns of each side: ``TRAIN_STEPS`` updates, or all rollouts once."""

ROLLOUTS, STEPS = 200, 200
"""Rollouts that the reference makes at once, and their length."""

CODE = [
    *files("benchmarks", "dynamics_cells", "dynamics_reference", "stitch_settings"),  # the clock is pgd_speed's
    *WORLD.code,
    *files("genrl/methods", "diffusion_world_model"),
    *files("genrl/dynamics", "diffusion", "rollout"),
    *files("genrl/nets", "mlp", "embedding"),
    *files("genrl/training", "weight_decay", "ema", "schedule"),
    *files("genrl/evaluation", "simulators", "bodies"),
    "genrl/diffusion/*.py",
]

Predict = Callable[[Tensor, Tensor], Tensor]
"""(N, S) states after the last of (N, H, A) actions from (N, S) states."""


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Errors of an arm at all horizons, or CPU seconds of every side for an update or a batch of rollouts."""
    settings = dict(cell.settings)
    rounds, fresh = settings.pop("rounds", ROUNDS.get(cell.environment, 0)), settings.pop("fresh", FRESH)
    origin = Origin(cell.seed, Settings(**settings))
    if cell.environment == "error":
        return errors(cell.arm, origin, fresh)
    with one_core():
        return {"train": train, "rollout": roll_out}[cell.environment](origin, rounds)


# errors


@torch.no_grad()
def errors(arm: str, origin: Origin, fresh: int) -> dict[str, float]:
    """Median and 90 % quantile over pieces of fresh episodes, at each horizon."""
    real = stitching(fresh, origin.settings.detours, FRESH_SEED + origin.seed)
    predictor = ARMS[arm](origin)
    figures: dict[str, float] = {}
    for horizon in HORIZONS:
        off = apart(predictor, real, data(origin), horizon)
        figures |= {f"h{horizon}": float(np.quantile(off, 0.5)), f"high_h{horizon}": float(np.quantile(off, 0.9))}
    return figures


def apart(predict: Predict | None, real: Episodes, known: Episodes, horizon: int) -> np.ndarray:
    """(N,) distance of predicted states from the simulator's, ``horizon`` steps after the same real state.

    Both take the recorded actions, from the first of every ``horizon`` rows on. The distance is the root mean square
    over columns, each in standard deviations of its change over so many steps in the ``known`` data. None predicts what
    was recorded.
    """
    start, actions, end = pieces(real, horizon)
    simulator = Simulator.of(real.card)
    goals = simulator.goals_of({"": start})
    true = rollout(simulator.towards(goals), given_actions(actions), start, horizon, _zeros)
    before, _, after = pieces(known, horizon)
    spread = (after - before).std(0, correction=0)
    found = end if predict is None else predict(start.float(), actions.float()).double()
    off = ((found - true.states[:, -1]) / spread).square().mean(-1).sqrt()
    return off[true.lengths == horizon].numpy()


def pieces(episodes: Episodes, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
    """Episodes of equal length cut into N pieces: (N, S) first states, (N, H, A) actions, (N, S) last states."""
    count, length = len(episodes), int(episodes.lengths[0])
    states = episodes.observations[""].double().unflatten(0, (count, length + 1))
    actions = episodes.actions[""].unflatten(0, (count, length))
    cut = length // horizon * horizon
    start, end = states[:, :cut:horizon], states[:, horizon : cut + 1 : horizon]
    return start.flatten(0, 1), actions[:, :cut].reshape(-1, horizon, actions.shape[-1]), end.flatten(0, 1)


def given_actions(actions: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Acts as (N, H, A) say, step by step."""
    steps = iter(actions.unbind(1))
    return lambda states, noise: next(steps)


def imagined(model: LearnedWorld, seed: int) -> Predict:
    """What a world model's rollouts come to, drawn as all rollouts are."""

    def predict(start: Tensor, actions: Tensor) -> Tensor:
        noise = BlockNoise(seed, actions.shape[1])
        made = rollout(model.learned, given_actions(actions), start, actions.shape[1], noise, (model.low, model.high))
        return made.states[:, -1]

    return predict


def diffusion(origin: Origin) -> DiffusionWorldModel:
    """Fitted to the same data by as many updates as the ensemble."""
    model = DiffusionWorldModel(DENOISER, seed=origin.seed)
    steps = origin.settings.world_updates
    return fit(model, data(origin), steps, batch_size=BATCH, val_fraction=HELD_OUT, progress=False)


ARMS: dict[str, Callable[[Origin], Predict | None]] = {
    "ensemble": lambda origin: imagined(world_model(origin), origin.seed),
    "diffusion": lambda origin: imagined(diffusion(origin), origin.seed),
    "unchanged": lambda origin: lambda start, actions: start,
    "recorded": lambda origin: None,
}


def _zeros(step: int, like: Tensor) -> Tensor:
    return torch.zeros_like(like)


# speed


def paper_model() -> WorldModel:
    """The reference's network in ours."""
    net = partial(EnsembleMLP, width=WIDTH, layers=LAYERS)
    return WorldModel(net, MEMBERS, ELITES, weight_decay=DECAYS)


def train(origin: Origin, rounds: int) -> dict[str, float]:
    """An update of a fit as users start it, of the reference, and of the bare network, in turns."""
    episodes = data(origin)
    theirs = ReferenceEnsemble(given(), episodes)
    prepared = paper_model()
    prepared.prepare(episodes)
    require_equal(prepared, theirs)
    net: Any = prepared.ensemble.net
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
    inputs = torch.randn(MEMBERS, BATCH, prepared.ensemble.state_dim + prepared.ensemble.action_dim)

    def bare() -> None:
        net.zero_grad()
        net(inputs).sum().backward()

    def bare_and_step() -> None:
        bare()
        optimizer.step()

    sides: dict[str, Callable[[int], object]] = {
        "reference": theirs.learn,
        "bare": partial(repeated, bare),
        "bare_and_step": partial(repeated, bare_and_step),
    }
    turns = Turns({name: partial(per_update, side) for name, side in sides.items()})
    steps = (rounds + 1) * TRAIN_STEPS
    fit(
        paper_model(),
        episodes,
        steps,
        batch_size=BATCH,
        val_every=steps,
        val_fraction=0.0,
        progress=False,
        callbacks=[turns],
    )
    return {side: median(taken[1:]) for side, taken in turns.taken.items()} | sizes(prepared, theirs)


@torch.no_grad()
def roll_out(origin: Origin, rounds: int) -> dict[str, float]:
    """A batch of whole rollouts by the same actions, of ours and of the reference, and the bare calls, in turns."""
    episodes = data(origin)
    model = fit(paper_model(), episodes, 20, batch_size=BATCH, progress=False)
    theirs = ReferenceEnsemble(given(), episodes)
    require_equal(model, theirs)
    starts = model.start_states[:ROLLOUTS]
    chance = generator(origin.seed, "actions")
    actions = 2 * torch.rand(ROLLOUTS, STEPS, model.ensemble.action_dim, generator=chance) - 1
    elites = EnsembleMLP(
        starts.shape[1] + actions.shape[2], 2 * starts.shape[1] + 2, ELITES, width=WIDTH, layers=LAYERS
    )
    inputs = torch.randn(ELITES, ROLLOUTS // ELITES, starts.shape[1] + actions.shape[2])

    def ours(disagreement: bool) -> None:
        dynamics, noise = model.dynamics(disagreement), BlockNoise(origin.seed, 0)
        made = rollout(dynamics, given_actions(actions), starts, STEPS, noise, (model.low, model.high))
        assert made.rewards.shape == (ROLLOUTS, STEPS)

    def bare() -> None:
        for _ in range(STEPS):
            elites(inputs)

    sides: dict[str, Callable[[], object]] = {
        "ours": partial(ours, disagreement=False),
        "telling": partial(ours, disagreement=True),
        "reference": partial(theirs.roll_out, starts.double().numpy(), actions.numpy()),
        "bare": bare,
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, turn in sides.items():
            taken[name].append(timed(turn))
    return {name: median(seconds[1:]) for name, seconds in taken.items()} | sizes(model, theirs)


def require_equal(model: WorldModel, theirs: ReferenceEnsemble, rows: int = 64) -> None:
    """Give the reference our weights; both then say the same of the same transitions, and so do their losses.

    Theirs adds the members' means over rows and targets of (target - mean)^2 / variance + log variance; ours is the
    mean over members and rows of half of it, summed over targets, with the constant of the Gaussian.

    Raises:
        RuntimeError: they do not.
    """
    theirs.copy(model.ensemble)
    ensemble = model.ensemble
    columns = ensemble.state_dim + 1
    chance = generator(0, "equal")
    inputs = torch.randn(MEMBERS, rows, ensemble.state_dim + ensemble.action_dim, generator=chance)
    targets = torch.randn(MEMBERS, rows, columns, generator=chance)
    states, actions = ensemble.inputs.denormalize(inputs).split((ensemble.state_dim, ensemble.action_dim), -1)
    following, rewards = ensemble.targets.denormalize(targets).split((ensemble.state_dim, 1), -1)
    with torch.no_grad():
        ours = ensemble.predict(states, actions)
        nll = ensemble.nll(states, actions, states + following, rewards[..., 0], torch.zeros(MEMBERS, rows)).mean()
    with torch.enable_grad():
        loss = theirs.loss(inputs, targets)
    expected = columns * (loss / MEMBERS + math.log(2 * math.pi)) / 2
    for name, mine, other in zip(("means", "log variances"), ours, theirs.predict(inputs), strict=True):
        if not torch.allclose(mine, other, atol=1e-4, rtol=1e-4):
            raise RuntimeError(f"The {name} differ from the reference's by {(mine - other).abs().max():.2g}.")
    if not math.isclose(float(nll), expected, rel_tol=1e-3):
        raise RuntimeError(f"The loss is {float(nll):.6g}, by the reference's {expected:.6g}.")


def sizes(model: WorldModel, theirs: ReferenceEnsemble) -> dict[str, float]:
    """Numbers that are learned on either side, bounds of the variance included."""
    ensemble = model.ensemble
    parts = [*ensemble.net.parameters(), ensemble.lowest, ensemble.highest]
    return {"parameters": sum(part.numel() for part in parts), "reference_parameters": theirs.parameters}


def timed(turn: Callable[[], object]) -> float:
    """CPU seconds of a turn."""
    begun = time.process_time()
    turn()
    return time.process_time() - begun


def per_update(side: Callable[[int], object]) -> float:
    """CPU seconds of an update, of ``TRAIN_STEPS`` together."""
    return timed(partial(side, TRAIN_STEPS)) / TRAIN_STEPS


def repeated(update: Callable[[], object], times: int) -> None:
    """So many updates."""
    for _ in range(times):
        update()
