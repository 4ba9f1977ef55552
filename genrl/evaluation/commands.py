"""``genrl collect``, ``genrl evaluate``, ``genrl report``, ``genrl dynamics`` and ``genrl replay``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from gymnasium.envs.registration import EnvSpec

from genrl.data import collect as collecting
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import ConfigurationError, GenrlError
from genrl.data.locate import existing_path
from genrl.data.reader import Reader
from genrl.data.store import load, save
from genrl.evaluation import evaluate as evaluating
from genrl.evaluation.dynamics_error import MOST
from genrl.evaluation.dynamics_report import DynamicsReport, dynamics_report, error_curves
from genrl.evaluation.output import file_to_write, picture_to_write
from genrl.evaluation.policies import is_checkpoint, make_policy
from genrl.evaluation.quality import HORIZON, quality_report
from genrl.evaluation.recorded import recorded_environment
from genrl.evaluation.replay import Replay
from genrl.evaluation.replay import replay as taken_again
from genrl.evaluation.whole_file import write_whole
from genrl.learners.learner import Learner
from genrl.training.checkpoint import load as load_checkpoint
from genrl.training.checkpoint import read_file
from genrl.training.spec import DataSpec
from genrl.training.stored import read_header


def collect(
    env: str,
    policy: str,
    episodes: int,
    out: str,
    seed: int = 0,
    policy_options: dict[str, Any] | None = None,
    env_options: dict[str, Any] | None = None,
    card: DatasetCard = DatasetCard(),  # noqa: B008 (frozen)
    deterministic: bool = False,
    num_envs: int = 8,
    max_steps: int | None = None,
    root: Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Run a policy for whole episodes and store them as a Minari data set.

    Args:
        env: environment id, such as PointMaze_UMaze-v3.
        policy: random, waypoint (PointMaze), a genrl checkpoint (.ckpt), an actor in numpy arrays (.npz), or
            package.module.name of anything that makes a policy from an environment.
        episodes: how many to collect.
        out: id of the new data set, such as pointmaze/play-v0.
        seed: the one source of randomness.
        policy_options: what else the policy takes, e.g. --policy_options.noise 0.3.
        env_options: what else the environment takes, e.g. --env_options.continuing_task false.
        card: what to record of the data set, e.g. --card.author "[Ann]"; the environment is filled in.
        deterministic: ask the policy for deterministic actions.
        num_envs: environments stepped side by side; the data do not depend on it.
        max_steps: longer episodes are truncated.
        root: folder of data sets; Minari's own by default.
        overwrite: replace a data set of that id.
        progress: show a progress bar.

    Returns:
        The data set's folder.
    """
    actor = make_policy(policy, make_env(env, env_options), policy_options)
    how: dict[str, Any] = {"deterministic": deterministic, "max_steps": max_steps}
    play = partial(collecting.collect, env, actor, episodes, seed, num_envs=num_envs, env_options=env_options, **how)
    provenance = {"collected_by": policy, "policy_options": policy_options or {}, "seed": seed, **how}
    card = replace(card, algorithm_name=card.algorithm_name or policy)
    return save(_played(play, card, progress), out, root=root, overwrite=overwrite, provenance=provenance)


def _played(play: Callable[..., Episodes], card: DatasetCard, progress: bool) -> Iterator[Episodes]:
    """The episodes under their card; nothing is played before it is clear that there is room for them."""
    data = play(progress=progress)
    yield replace(data, card=replace(card, env_spec=data.card.env_spec))


def evaluate(
    policy: str,
    env: str | None = None,
    episodes: int = 50,
    seed: int = 0,
    data: str | None = None,
    policy_options: dict[str, Any] | None = None,
    env_options: dict[str, Any] | None = None,
    deterministic: bool = True,
    num_envs: int = 8,
    max_steps: int | None = None,
    root: Path | None = None,
    out: Path | None = None,
    progress: bool = True,
) -> evaluating.Evaluation:
    """Play a policy for whole episodes and print return, success rate and normalised score with their spread.

    Args:
        policy: as for collect: random, waypoint, a .ckpt, an .npz, or package.module.name.
        env: environment id; that of ``data``, or of what a checkpoint was fitted to, by default.
        episodes: how many to play.
        seed: the one source of randomness.
        data: id of a data set, for its environment and its reference scores.
        policy_options: what else the policy takes.
        env_options: what else the environment takes.
        deterministic: ask the policy for deterministic actions, as the field does.
        num_envs: environments stepped side by side; the result does not depend on it.
        max_steps: longer episodes are truncated.
        root: folder of data sets; Minari's own by default.
        out: a JSON file for the return, length and success of every episode.
        progress: show a progress bar.
    """
    out = out and file_to_write(out)
    card = _card(policy, data, root)
    where = env or _environment(card, policy)
    actor = make_policy(policy, make_env(where, env_options), policy_options)
    result = evaluating.evaluate(
        actor,
        where,
        episodes,
        seed,
        num_envs=num_envs,
        card=card,
        deterministic=deterministic,
        max_steps=max_steps,
        progress=progress,
        env_options=env_options,
    )
    if out is not None:
        _store(result, lambda: _write(result, out))
    return result


def report(
    real: str,
    synthetic: str,
    out: Path = Path("report.html"),
    held_out: str | None = None,
    horizon: int = HORIZON,
    root: Path | None = None,
) -> Path:
    """Compare two data sets in one HTML file: marginals, correlations, returns, nearest real neighbours.

    Args:
        real: id of the data set that the other one was learned from.
        synthetic: id of the other one.
        out: the file, replaced if it exists.
        held_out: id of real data that no model saw, for the measure of copying.
        horizon: steps of the windows whose nearest neighbours are looked for.
        root: folder of data sets; Minari's own by default.

    Returns:
        The file.
    """
    out = file_to_write(out)
    unseen = None if held_out is None else load(held_out, root)
    return quality_report(load(real, root), load(synthetic, root), out, unseen, horizon)


def dynamics(
    data: str,
    real: str,
    policy: Path | None = None,
    out: Path | None = None,
    most: int = MOST,
    seed: int = 0,
    root: Path | None = None,
) -> DynamicsReport:
    """Take the transitions of a data set again in the simulator; tell how far off they are, and how likely its actions.

    Beside it stand the real data, whose error is that of rounding, and the real data with their actions shuffled.

    Args:
        data: id of the data set to be measured, such as a synthetic one.
        real: id of real data of the same environment, which errors are measured by.
        policy: a genrl checkpoint of a learner, under which the log-likelihood of the actions is told.
        out: a picture of the distributions of errors (.png, .pdf or .svg).
        most: transitions taken again; of more, so many are drawn.
        seed: of that draw.
        root: folder of data sets; Minari's own by default.
    """
    out = out and picture_to_write(out)
    learner = None if policy is None else load_checkpoint(policy)
    result = dynamics_report(load(data, root), load(real, root), cast(Learner | None, learner), seed, most)
    if out is not None:
        _store(result, lambda: error_curves(result.errors).savefig(out, dpi=160))
    return result


def replay(data: str, root: Path | None = None) -> Replay:
    """Take whole synthetic episodes again in the simulator; tell their true return beside the predicted one.

    Of rollouts that were chosen from many (MBRCSL) it also tells the share that was kept.

    Args:
        data: id of the data set.
        root: folder of data sets; Minari's own by default.
    """
    return taken_again(load(data, root))


def _card(policy: str, data: str | None, root: Path | None) -> DatasetCard | None:
    """Of the data named, or else of those that a checkpoint was fitted to."""
    if data is not None:
        return Reader(existing_path(data, root), data).card
    if not is_checkpoint(policy):
        return None
    return DataSpec.from_json(read_header(read_file(policy), policy)["spec"]).card


def _environment(card: DatasetCard | None, policy: str) -> EnvSpec:
    recorded = recorded_environment(card)
    if recorded is None:
        raise ConfigurationError(f"No environment is recorded for '{policy}' to act in; name one with --env.")
    return recorded


def _store(result: object, write: Callable[[], object]) -> None:
    """Call ``write``; a result that it fails to store is printed, for it may have taken hours."""
    try:
        write()
    except (GenrlError, OSError):
        sys.stdout.write(f"{result}\n")
        raise


def _write(result: evaluating.Evaluation, path: Path) -> None:
    rows = {"returns": result.returns.tolist(), "lengths": result.lengths.tolist()}
    if result.success is not None:
        rows["success"] = result.success.tolist()
    write_whole(path, json.dumps(rows) + "\n")
