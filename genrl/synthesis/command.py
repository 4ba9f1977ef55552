"""``genrl synthesize``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genrl.data.conditions import Conditions
from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.npz import read_npz
from genrl.diffusion.sampling import changed
from genrl.methods.steered import Guidance
from genrl.synthesis import synthesize as synthesis
from genrl.synthesis.generate import Plan
from genrl.synthesis.lead import lead, renoised, scaled
from genrl.synthesis.lead import surpassing as exceeding
from genrl.training.checkpoint import load


def synthesize(
    method: Path,
    out: str,
    episodes: int,
    seed: int = 0,
    length: int | None = None,
    start: list[float] | None = None,
    goal: list[float] | None = None,
    returns: float | None = None,
    conditions: Path | None = None,
    sampling: dict[str, Any] | None = None,
    guide: Path | None = None,
    critic: Path | None = None,
    behaviour: Path | None = None,
    guidance_scale: float | None = None,
    guidance: Guidance = Guidance(),  # noqa: B008 (frozen)
    renoise: str | None = None,
    renoising: dict[str, Any] | None = None,
    surpass: str | None = None,
    surpassing: dict[str, Any] | None = None,
    block_size: int = 256,
    batch_size: int | None = None,
    processes: int = 1,
    device: str = "cpu",
    root: Path | None = None,
    overwrite: bool = False,
    card: DatasetCard = DatasetCard(),  # noqa: B008 (frozen)
    progress: bool = True,
) -> Path:
    """Make a Minari data set with a fitted method; called again after a kill, it goes on where it stopped.

    Args:
        method: checkpoint of a fitted method.
        out: id of the new data set, such as pointmaze/synthetic-v0.
        episodes: how many to make.
        seed: the one source of randomness.
        length: transitions in an episode; the method's own by default.
        start: first state of every episode, in the data's units.
        goal: goal of every episode, in the data's units.
        returns: return wanted of every episode.
        conditions: instead, an npz file with arrays named start, goal, returns, ... of one row per episode.
        sampling: other settings of the sampler than those fitted with, e.g. --sampling.steps 16.
        guide: checkpoint of a learner whose policy the data are to be for: it leads a diffusion model, and acts in a
            world model.
        critic: instead, checkpoint of a learner whose action value the data are to climb.
        behaviour: beside a guide, checkpoint of a learner that clones the data's own policy, to be led away from.
        guidance_scale: strength of guidance.
        guidance: how the agent leads, e.g. --guidance.normalize true or
            --guidance.schedule genrl.diffusion.guidance.Published.
        renoise: id of real data to vary instead, under an amplified return (GTA).
        renoising: how, e.g. --renoising.level 0.5 or --renoising.amplify 1.3.
        surpass: id of real data whose best return the guide's rollouts in a world model are to exceed (MBRCSL).
        surpassing: how, e.g. --surpassing.quantile 0.95 or --surpassing.tries 500.
        block_size: episodes in a block, the unit of randomness and of resuming.
        batch_size: episodes generated at once; whole blocks by default.
        processes: how many make blocks at the same time.
        device: where to generate.
        root: folder of data sets; Minari's own by default.
        overwrite: replace a data set of that id.
        card: what to record of the data set, e.g. --card.author "[Ann]"; environment and scores are the source's.
        progress: show a progress bar.
    """
    model = load(method, device)
    if sampling:
        model.sampling = changed(getattr(model, "sampling", None), sampling, type(model).__name__)  # type: ignore
    paths = {"guide": guide, "critic": critic, "behaviour": behaviour}
    agents = {name: load(path, device) for name, path in paths.items() if path is not None}
    if renoise is not None and not agents:
        model = renoised(model, renoise, renoising or {}, root)
    elif renoise is not None or renoising:
        raise ConfigurationError("Real data are varied by the model alone: give --renoise without agents that lead.")
    if surpass is None and surpassing:
        raise ConfigurationError("What is to be surpassed is not said: name data with --surpass beside --surpassing.")
    if surpass is not None:
        model = exceeding(model, agents, surpass, surpassing or {}, root)
    else:
        model = lead(model, agents, scaled(guidance, guidance_scale))
    wishes = _wishes(conditions, episodes, {"start": start, "goal": goal, "returns": returns})
    plan = Plan(episodes, seed, length, wishes, block_size, batch_size)
    return synthesis.synthesize(
        model, out, plan, root=root, overwrite=overwrite, processes=processes, card=card, progress=progress
    )


def _wishes(file: Path | None, episodes: int, same: dict[str, Any]) -> Conditions | None:
    """What each of ``episodes`` is asked for, by a file or as all others; None where nothing is wanted."""
    given = {name: value for name, value in same.items() if value is not None}
    if file is not None:
        if given:
            raise ConditionError(
                f"{file} says what each episode is asked for: put {', '.join(given)} into it, or leave it out."
            )
        return _read(file)
    rows = {
        name: torch.tensor(value, dtype=torch.float32).expand(episodes, *np.shape(value))
        for name, value in given.items()
    }
    return Conditions(**rows) if rows else None


def _read(path: Path) -> Conditions:
    """The conditions in an npz file.

    Raises:
        ConditionError: it is none, or an array in it has another name, no rows, or entries that are no numbers.
    """
    known = [field.name for field in fields(Conditions)]
    if not path.exists():
        raise ConditionError(f"There is no file {path} to read conditions from.")
    try:
        given = read_npz(path)
        if any(array.dtype.kind == "c" for array in given.values()):
            raise TypeError("complex numbers")
        arrays = {name: torch.from_numpy(array).float() for name, array in given.items()}
    except (ValueError, TypeError) as error:
        raise ConditionError(
            f"{path} is not an npz file of arrays of numbers: write one by numpy.savez(path, start=...)."
        ) from error
    if unknown := set(arrays) - set(known):
        raise ConditionError(f"{path} holds {', '.join(sorted(unknown))}; conditions are named {', '.join(known)}.")
    for name, array in arrays.items():
        if array.ndim == 0:
            raise ConditionError(f"{name} in {path} is a single number: give one row for each episode.")
    try:
        return Conditions(**arrays)
    except ConditionError as error:
        raise ConditionError(f"{path}: {error}") from error
