"""One cell of the demo's benchmark: a learner trained on one kind of data, for one seed's own real data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import Cell, artefact
from genrl.data.codecs import SpaceCodec
from genrl.data.copying import copying
from genrl.data.episodes import Episodes, concatenate
from genrl.data.goals import in_hindsight
from genrl.data.randomness import generator
from genrl.data.store import load, save
from genrl.demo import task
from genrl.demo.pipeline import fit_model, train
from genrl.demo.task import Settings
from genrl.synthesis.generate import sample
from genrl.synthesis.relabel import Rewards

REAL, SYNTHETIC, MORE = "demo/real-v0", "demo/synthetic-v0", "demo/more-v0"
STATE, ACHIEVED = "observation", "achieved_goal"

Sources = list[Episodes]


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Success of one learner; for the synthetic arm also how much the model copies."""
    settings = settings_of(cell)
    name = f"seed{cell.seed}" + "".join(f"-{key}-{value}" for key, value in model_settings(cell).items())
    root = artefact(workspace, name.replace(".", "_"), lambda folder: build(settings, cell.seed, folder))
    real = load(REAL, root=root)
    sources = ARMS[cell.arm](settings, cell, real, root)
    fitted = train(settings, sources, cell.seed, cell.seed)
    outcome = task.attempt(settings, fitted, cell.seed)
    assert outcome.success is not None
    values = {"success": float(outcome.success.mean()), "steps": float(outcome.lengths.mean())}
    if cell.arm == "synthetic":
        fragments, held_out = task.parts(settings, real, cell.seed)
        measured = copying(fragments, held_out, load(SYNTHETIC, root=root), settings.horizon)
        values |= {"copying": measured.copying, "close": measured.close}
    return values


def settings_of(cell: Cell) -> Settings:
    """The demo's settings, with those that a tuning cell tries in their place."""
    return replace(Settings(), **{key: value for key, value in cell.settings.items() if key != "strength"})


def model_settings(cell: Cell) -> Mapping[str, Any]:
    """What a tuning cell changes of the data or the model, which arms share."""
    return {key: value for key, value in cell.settings.items() if key in Settings.__dataclass_fields__}


def build(settings: Settings, seed: int, folder: Path) -> None:
    """The seed's own real data, ten times as much of it, and what the model makes of the former."""
    real = task.play(settings, settings.fragments, seed)
    save(real, REAL, root=folder)
    save(task.play(settings, 10 * settings.fragments, 10_000 + seed), MORE, root=folder)
    model = fit_model(settings, real, seed)
    episodes = sample(model, task.synthetic_episodes(settings, real), seed, length=settings.synthetic_steps)
    save(episodes, SYNTHETIC, root=folder)


def jittered(settings: Settings, cell: Cell, real: Episodes, root: Path) -> Sources:
    """Real data beside as many noisy copies as there are synthetic transitions; noise in units of the data's spread."""
    strength = float(cell.settings.get("strength", JITTER))
    fragments, _ = task.parts(settings, real, cell.seed)
    stream = generator(cell.seed, "jitter")
    copies = []
    for _ in range(settings.synthetic_times):
        state = fragments.observations[STATE]
        noise = torch.randn(state.shape, generator=stream, dtype=state.dtype)
        moved = state + strength * state.std(0) * noise
        copies.append(replace(fragments, observations=fragments.observations | goals_of(moved, fragments)))
    return [real, concatenate(copies)]


def relabelled(settings: Settings, cell: Cell, real: Episodes, root: Path) -> Sources:
    """Real fragments labelled as the synthetic episodes are: the goal is what was achieved at the end."""
    rewards = Rewards.of(real.card, real.observation_space)
    assert rewards is not None
    return [rewards(in_hindsight(real))]


def spliced(settings: Settings, cell: Cell, real: Episodes, root: Path) -> Sources:
    """Real data beside long episodes pieced together from it, without a model.

    Where a fragment ends, the episode goes on from one of the nearest states of other fragments: temporal data
    augmentation (Ghugare et al. 2024, https://arxiv.org/abs/2401.11237) with nearest states in place of clusters.
    """
    fragments, _ = task.parts(settings, real, cell.seed)
    count = task.synthetic_episodes(settings, real)
    return [real, splice(fragments, count, settings.synthetic_steps, generator(cell.seed, "splice"))]


def splice(fragments: Episodes, count: int, length: int, stream: torch.Generator, nearest: int = 3) -> Episodes:
    """``count`` episodes of ``length`` steps that follow fragments and jump to a near state where one ends."""
    encoded = SpaceCodec(fragments.observation_space, (STATE,)).encode(fragments.observations)
    encoded = (encoded - encoded.mean(0)) / encoded.std(0)
    owner = torch.repeat_interleave(torch.arange(len(fragments)), fragments.lengths + 1)
    last = (fragments.observation_starts + fragments.lengths)[owner]
    starts = torch.nonzero(torch.arange(len(owner)) + 5 <= last).flatten()  # rows with at least five steps to go
    row = starts[torch.randint(len(starts), (count,), generator=stream)]
    rows, actions = [row], []
    for _ in range(length):
        actions.append(row - owner[row])  # the transition that begins at this row
        row = row + 1
        ended = torch.nonzero(row == last[row]).flatten()
        if len(ended):
            distance = torch.cdist(encoded[row[ended]], encoded[starts])
            distance[owner[row[ended]][:, None] == owner[starts][None]] = torch.inf
            near = distance.topk(nearest, largest=False).indices
            pick = torch.randint(nearest, (len(ended), 1), generator=stream)
            row = row.index_copy(0, ended, starts[near.gather(1, pick).flatten()])
        rows.append(row)
    observed, acted = torch.stack(rows, 1).flatten(), torch.stack(actions, 1).flatten()
    truncations = torch.zeros(count, length, dtype=torch.bool)
    truncations[:, -1] = True
    return replace(
        fragments,
        observations={path: leaf[observed] for path, leaf in fragments.observations.items()},
        actions={path: leaf[acted] for path, leaf in fragments.actions.items()},
        rewards=fragments.rewards[acted],
        terminations=torch.zeros(count * length, dtype=torch.bool),
        truncations=truncations.flatten(),
        lengths=torch.full((count,), length),
        infos={},
        seeds=None,
    )


def goals_of(state: torch.Tensor, fragments: Episodes) -> dict[str, torch.Tensor]:
    """Moved states, and the achieved goals that go with them (the position)."""
    return {STATE: state, ACHIEVED: state[:, : fragments.observations[ACHIEVED].shape[1]].clone()}


JITTER = 0.8  # the best of those tried on the tuning seeds

ARMS: dict[str, Callable[[Settings, Cell, Episodes, Path], Sources]] = {
    "real": lambda settings, cell, real, root: [real],
    "real_noise": jittered,
    "real_relabel": relabelled,
    "real_splice": spliced,
    "real_10x": lambda settings, cell, real, root: [load(MORE, root=root)],
    "synthetic": lambda settings, cell, real, root: [load(SYNTHETIC, root=root)],
    "both": lambda settings, cell, real, root: [real, load(SYNTHETIC, root=root)],
}
