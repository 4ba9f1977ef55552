"""Fits the policies of play on a GPU, many at once, with each update as one CUDA graph.

``python -m benchmarks.graphed pusht cube --jobs 16`` leaves every model where ``benchmarks.play_models.learner`` looks
for it. What is computed is what ``genrl.training.fit`` computes, of the same random numbers: a test holds one to the
other on a CPU. Only the launches are gone, which are most of a small network's time on a GPU.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.play import data
from genrl.data.episodes import Episodes
from genrl.data.history import HistoryWindows
from genrl.data.randomness import generator
from genrl.learners.sequence import SequenceLearner
from genrl.training.batches import RandomBatches
from genrl.training.rest import frozen
from genrl.training.schedule import warmup_cosine

WARM = 3
"""Updates before one is captured, as CUDA wants it; they are taken back."""


class Draws:
    """Random numbers of a loss, in buffers that stay where they are and are filled anew for each update."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.buffers: list[tuple[Callable[..., Tensor], Tensor]] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, torch.rand and torch.randn hand the buffers out in order; the first time they make them."""
        used = count()

        def holding(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
            def held(*shape: Any, generator: Any = None, dtype: Any = None) -> Tensor:
                place = next(used)
                if place == len(self.buffers):
                    again = partial(draw, *shape, dtype=dtype)
                    self.buffers.append((again, again(generator=torch.Generator()).to(self.device)))
                return self.buffers[place][1]

            return held

        with patch.object(torch, "rand", holding(torch.rand)), patch.object(torch, "randn", holding(torch.randn)):
            yield

    def fill(self, generator: torch.Generator) -> None:
        """Draw everything anew."""
        for draw, buffer in self.buffers:
            buffer.copy_(draw(generator=generator), non_blocking=True)


class Update:
    """One update of a learner from buffers: loss, AdamW, averaged weights."""

    def __init__(self, learner: SequenceLearner, batch: HistoryWindows, updates: int, device: torch.device) -> None:
        self.learner, self.draws = learner, Draws(device)
        self.batch = HistoryWindows(**{name: field.to(device) for name, field in vars(batch).items()})
        cuda = device.type == "cuda"
        lr = torch.tensor(learner.lr, device=device) if cuda else learner.lr
        self.optimizer = torch.optim.AdamW(
            learner.model.parameters(), lr, weight_decay=learner.weight_decay, fused=True, capturable=cuda
        )
        self.schedule = warmup_cosine(self.optimizer, updates)["lr_scheduler"]["scheduler"]
        self.parameters = list(learner.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.weight = torch.ones((), device=device)
        self.loss()  # makes the draws' buffers
        self.run: Callable[[], Any] = self.captured() if cuda else self

    def loss(self) -> Tensor:
        """The learner's loss of what lies in the buffers."""
        with self.draws.held():
            return self.learner.loss(self.batch, torch.Generator())["loss"]

    def __call__(self) -> None:
        """The whole update."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()
        with torch.no_grad():
            for averaged, parameter in zip(self.average, self.parameters, strict=True):
                averaged.lerp_(parameter, self.weight)

    def captured(self) -> Callable[[], Any]:
        """The same as a CUDA graph; weights and moments are left as they were."""
        begin = [parameter.detach().clone() for parameter in self.parameters]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                self()
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self()
        with torch.no_grad():
            for parameter, value in zip(self.parameters, begin, strict=True):
                parameter.copy_(value)
            for state in self.optimizer.state.values():
                for moment in state.values():
                    moment.zero_()
        return graph.replay

    def step(self, position: int, batch: HistoryWindows) -> None:
        """The update at a position of the fit."""
        for name, field in vars(batch).items():
            getattr(self.batch, name).copy_(field, non_blocking=True)
        self.draws.fill(generator(self.learner.seed, "train", 0, position))
        decay = min(self.learner.ema_decay, (1 + position) / (10 + position))  # see genrl.training.ema
        self.weight.fill_(1 - decay if position else 1.0)
        self.run()
        self.schedule.step()


def fit(learner: SequenceLearner, episodes: Episodes, updates: int, batch_size: int, device: str = "cuda") -> None:
    """What ``genrl.training.fit.fit`` does with nothing held out, for a multiple of ten updates."""
    learner.prepare(episodes)
    batches = RandomBatches([learner.sampler(episodes)], [batch_size], updates, (learner.seed, "train", 0))
    learner.to(device).train()
    with torch.random.fork_rng():
        update = Update(learner, batches.at(0), updates, torch.device(device))
        torch.random.manual_seed(int(generator(learner.seed, "dropout").initial_seed()))
        for position, batch in enumerate(batches):
            update.step(position, batch)
    with torch.no_grad():
        for parameter, averaged in zip(update.parameters, update.average, strict=True):
            parameter.copy_(averaged)
    frozen(learner.cpu())


def one(name: str, place: str, seed: int, device: str) -> str:
    """Fit one model where it is missing."""
    from benchmarks import play_models

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    play_models.learner(name, place, seed, by=partial(fit, device=device))
    return f"{name} {place} {seed}"


def main() -> None:
    """See the module."""
    from benchmarks.play_models import LEARNERS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--learners", nargs="+", default=list(LEARNERS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    for place in given.places:
        data(place)
    with ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        wanted = [(n, p, s) for p in given.places for s in given.seeds for n in given.learners]
        for done in as_completed([pool.submit(one, *each, given.device) for each in wanted]):
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
