"""A fitted method to a finished, verified Minari data set: resumable, over several processes, the same for one seed."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import WorkerError
from genrl.data.locate import datasets_root, require_new
from genrl.data.manifest import FILE_NAME, sha256
from genrl.data.ranges import require_whole
from genrl.data.room import told_without_room
from genrl.data.store import save
from genrl.methods.method import Method
from genrl.synthesis.forecast import diagnostics_of, forecast, strength
from genrl.synthesis.generate import Plan, fitted_spec, rewards_of, synthetic_card
from genrl.synthesis.relabel import Rewards
from genrl.synthesis.shards import Shards, identity
from genrl.training import checkpoint


def synthesize(
    method: Method,
    dataset_id: str,
    plan: Plan,
    *,
    root: str | Path | None = None,
    overwrite: bool = False,
    processes: int = 1,
    card: DatasetCard | None = None,
    progress: bool = True,
) -> Path:
    """Write synthetic episodes under ``dataset_id``; a run that was killed goes on where it stopped.

    Blocks are kept in a hidden folder beside the data sets until all are there; the data set then appears whole. The
    folder is found again by method, plan, id and the data that the method reads, so nothing else can get mixed in.

    Args:
        method: a fitted method.
        plan: what to make.
        processes: how many make blocks at the same time, each on one thread where there are several.
        card: authorship and whatever else to record of the data set; environments and scores are the source's.

    Returns:
        The data set's folder.

    Raises:
        ConfigurationError: the method was never fitted, or there is not even one process.
        DatasetExistsError: there is a data set of that id and ``overwrite`` is not set; nothing is computed then.
        WorkerError: one of several processes died.
        DatasetError: there is no room for it.
    """
    require_whole(1, processes=processes)
    spec = fitted_spec(method)
    require_new(dataset_id, root, overwrite)
    weights = identity(method.state_dict(), type(method).__qualname__, method.configuration())
    key = identity({}, dataset_id, weights, _identity(plan), *map(_content, method.reads))
    shards = Shards(datasets_root(root) / ".genrl-blocks" / key)
    told = synthetic_card(method, card)
    with told_without_room(dataset_id, datasets_root(root)):
        _make_missing(method, plan, shards, processes, progress)
    provenance = {
        "synthesized_by": type(method).__qualname__,
        "configuration": method.configuration(),
        "weights": weights,
        "trained_on": {"dataset_id": spec.card.dataset_id, "sha256": spec.fingerprint},
        "seed": plan.seed,
        "episodes": plan.episodes,
        "block_size": plan.block_size,
        "length": plan.length,
        "conditions": sorted(plan.conditions.given()) if plan.conditions is not None else [],
        "genrl": importlib.metadata.version("genrl-synth"),
    }
    path = save(
        _blocks(method, plan, shards, told),
        dataset_id,
        card=told,
        root=root,
        overwrite=overwrite,
        provenance=provenance,
    )
    shutil.rmtree(shards.folder, ignore_errors=True)
    return path


def _identity(plan: Plan) -> str:
    wishes = {} if plan.conditions is None else plan.conditions.given()
    return identity(wishes, plan.episodes, plan.seed, plan.length, plan.block_size)


def _content(folder: Path) -> str:
    """The hash of what a stored data set holds, as its manifest has it; empty where there is no manifest."""
    manifest = folder / FILE_NAME
    return sha256(manifest) if manifest.exists() else ""


def _make_missing(method: Method, plan: Plan, shards: Shards, processes: int, progress: bool) -> None:
    """Fill the gaps in ``shards``."""
    blocks = plan.blocks()
    missing = shards.missing(len(blocks))
    bar = tqdm(total=len(blocks), initial=len(blocks) - len(missing), unit="block", disable=not progress)
    several = processes > 1 and len(missing) > 1
    with bar:
        made = (
            _in_processes(method, plan, shards, missing, processes)
            if several
            else _here(method, plan, shards, missing, progress)
        )
        for done, diagnostics in enumerate(made):
            if progress and done == 0 and diagnostics:
                tqdm.write(strength(diagnostics))
            bar.update()


def _here(method: Method, plan: Plan, shards: Shards, missing: list[int], progress: bool) -> Iterator[dict[str, float]]:
    """Blocks made one after the other; yields their diagnostics."""
    blocks, rewards = plan.blocks(), rewards_of(method)
    for index in missing:
        began = time.perf_counter()
        episodes = plan.make(method, blocks[index], rewards)
        shards.write(index, episodes)
        if progress and index == missing[0] and len(missing) > 1:
            tqdm.write(forecast(episodes, len(missing), time.perf_counter() - began))
        yield diagnostics_of(method)


def _in_processes(
    method: Method, plan: Plan, shards: Shards, missing: list[int], processes: int
) -> Iterator[dict[str, float]]:
    """Blocks made by workers that load the method from a file of its own; yields their diagnostics as they finish."""
    stored = checkpoint.save(method, shards.folder / "method.ckpt")
    context = multiprocessing.get_context("spawn")
    device = next(method.parameters(), torch.empty(0)).device
    arguments = (str(stored), str(device), plan, str(shards.folder))
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=arguments) as pool:
        futures = [pool.submit(_work, index) for index in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                "A process that made blocks died, most likely for want of memory: take fewer processes or a smaller"
                " batch_size. What is finished is kept, and the next call goes on from there."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # nobody waits for what was not begun
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


_worker: tuple[Method, Plan, Shards, Rewards | None] | None = None


def _start_worker(stored: str, device: str, plan: Plan, folder: str) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asked for the blocks is interrupted, and says so
    torch.set_num_threads(1)
    method = checkpoint.load(stored, device)
    assert isinstance(method, Method)
    _worker = method, plan, Shards(Path(folder)), rewards_of(method)


def _work(index: int) -> dict[str, float]:
    assert _worker is not None
    method, plan, shards, rewards = _worker
    shards.write(index, plan.make(method, plan.blocks()[index], rewards))
    return diagnostics_of(method)


def _blocks(method: Method, plan: Plan, shards: Shards, card: DatasetCard) -> Iterator[Episodes]:
    """All blocks in order; one whose file was damaged is made again."""
    assert method.spec is not None
    for block in plan.blocks():
        episodes = shards.read(block.index, method.spec, card)
        if episodes is None:
            rewards = rewards_of(method)
            episodes = replace(plan.make(method, block, rewards), card=card)
        yield episodes
