"""The loop of policy-guided diffusion: a learner whose synthetic data are made anew as its policy changes.

Source: "Policy-Guided Diffusion" (Jackson et al. 2024), https://arxiv.org/abs/2404.06356: every 10,000 updates the
synthetic data are replaced by new ones for the current policy, and a batch of 256 holds 240 synthetic and 16 real rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from tqdm.auto import tqdm

from genrl.data.checks import check
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.randomness import generator
from genrl.data.spaces import require_same_spaces
from genrl.learners.agent import Agent
from genrl.methods.method import Method
from genrl.synthesis.forecast import diagnostics_of
from genrl.synthesis.generate import Plan, at_least, fitted_spec
from genrl.synthesis.shards import from_tensors, to_tensors
from genrl.synthesis.warned import one_of_a_kind
from genrl.training.batches import ChangingBatches, RandomBatches, shares
from genrl.training.forecast import batches_left
from genrl.training.rest import at_rest
from genrl.training.spec import DataSpec

Source = Callable[[Any, int], Any]
"""(agent, generation) -> the Method that makes the generation's data; ``genrl.synthesis.sources`` has some.

A source refuses agents that it can do nothing with. Its result is not named, for jsonargparse would take the type for a
factory of methods.
"""


class Renewal(Callback):
    """Adds synthetic rows to the batches of any learner, and renews them with its current policy.

    Generation g is made when ``g * every`` batches are done, the first before any. Real rows come from the data of the
    fit, which alone decide normalisers and validation. What is alive is stored in every checkpoint, so that a fit that
    was killed goes on with the very same batches.

    Args:
        source: gives the method for a learner and the number of a generation.
        every: batches (updates of the learner) between two renewals.
        transitions: of a generation, at least; blocks are made until there are so many.
        real_fraction: share of a batch that is real.
        lifetime: how many generations stay alive; those alive share the synthetic rows equally.
        length: transitions in a synthetic episode; the method's own by default.
        block_size: episodes in a block, the unit of randomness.
        batch_size: episodes generated at once; whole blocks by default.
        seed: of the synthetic data; the learner's own by default.
        progress: show a bar for each renewal and what it cost, where the fit has a progress bar.

    Attributes:
        history: of each generation its number, transitions, seconds, mean return, share of episodes that terminated,
            and what the method's ``diagnostics`` (a dictionary of numbers) say, if it has any.

    Raises:
        ConfigurationError: a setting is out of its range.
    """

    def __init__(
        self,
        source: Source,
        every: int = 10_000,
        transitions: int = 100_000,
        real_fraction: float = 1 / 16,
        lifetime: int = 1,
        length: int | None = None,
        block_size: int = 256,
        batch_size: int | None = None,
        seed: int | None = None,
        progress: bool = True,
    ) -> None:
        counts = {"every": every, "transitions": transitions, "lifetime": lifetime, "block_size": block_size}
        for name, value in {**counts, "length": length, "batch_size": batch_size}.items():
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} of a Renewal must be at least 1, not {value}.")
        if not 0 <= real_fraction <= 1:
            raise ConfigurationError(f"real_fraction is the real share of a batch, from 0 to 1, not {real_fraction}.")
        self.source, self.every, self.transitions = source, every, transitions
        self.real_fraction, self.lifetime, self.length = real_fraction, lifetime, length
        self.block_size, self.batch_size, self.seed, self.progress = block_size, batch_size, seed, progress
        self.history: list[dict[str, float]] = []
        self._alive: dict[int, dict[str, Tensor]] = {}
        self._mixture: RandomBatches | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget another fit; Lightning restores a checkpoint's generations after this.

        Raises:
            ConfigurationError: what is fitted is not a learner, and has no policy to make data for.
        """
        if not isinstance(pl_module, Agent):
            raise ConfigurationError(
                f"A Renewal makes data for a learner's policy; {type(pl_module).__name__} has none."
            )
        self.history, self._alive, self._mixture = [], {}, None

    def change_batches(self, trainer: Trainer, batches: RandomBatches) -> RandomBatches | ChangingBatches:
        """Real rows in the proportions of ``batches``, and synthetic ones beside them.

        Raises:
            ConfigurationError: fewer synthetic rows than generations that live at a time.
        """
        real, synthetic = shares(sum(batches.rows), [self.real_fraction, 1 - self.real_fraction])
        if synthetic == 0:
            return batches
        if synthetic < self.lifetime:
            raise ConfigurationError(
                f"{synthetic} rows of a batch are synthetic, which has no room for one of each of {self.lifetime}"
                " generations: raise the batch_size, or lower the Renewal's lifetime or real_fraction."
            )
        start = batches.drawn_from(batches.sources, shares(real, batches.rows))
        return ChangingBatches(start, lambda position: self._mixed(trainer, start, synthetic, position))

    def _mixed(self, trainer: Trainer, real: RandomBatches, rows: int, position: int) -> RandomBatches:
        """The stream for the batch at ``position``, after a renewal where one is due."""
        number, learner = position // self.every, trainer.lightning_module
        assert isinstance(learner, Agent)
        assert learner.spec is not None
        if number not in self._alive:
            episodes = self._renew(trainer, learner, number, position)
            kept = {g: tensors for g, tensors in self._alive.items() if number - self.lifetime < g < number}
            self._alive, self._mixture = {**kept, number: to_tensors(episodes)}, None
        if self._mixture is None:
            alive = [from_tensors(tensors, learner.spec, learner.spec.card) for tensors in self._alive.values()]
            samplers = [learner.sampler(episodes) for episodes in alive]
            self._mixture = real.drawn_from([*real.sources, *samplers], [*real.rows, *shares(rows, [1.0] * len(alive))])
        return self._mixture

    def _renew(self, trainer: Trainer, learner: Agent, number: int, position: int) -> Episodes:
        """Generation ``number``, by the learner as it is now."""
        assert learner.spec is not None
        began = time.perf_counter()
        with at_rest(learner), one_of_a_kind():
            method: Method = self.source(learner, number)
            _require_spaces(method, learner.spec)
            episodes = concatenate(list(self._blocks(trainer, learner, method, number)))
        check(episodes, f"generation {number}")
        self._record(trainer, method, episodes, number, position, time.perf_counter() - began)
        return episodes

    def _blocks(self, trainer: Trainer, learner: Agent, method: Method, number: int) -> Iterator[Episodes]:
        """The blocks of a generation, under a bar of their own that goes when they are there."""
        seed = int(generator(learner.seed if self.seed is None else self.seed, "generation", number).initial_seed())
        size = min(self.block_size, self.transitions)  # an episode has at least one transition
        plan = Plan(size, seed, self.length, block_size=size, batch_size=self.batch_size)
        hidden = not (self.progress and trainer.progress_bar_callback is not None and trainer.is_global_zero)
        name = f"generation {number}"
        with tqdm(total=self.transitions, desc=name, unit="transition", leave=False, disable=hidden) as bar:
            for block in at_least(method, self.transitions, plan):
                bar.update(block.num_transitions)
                yield block

    def _record(
        self, trainer: Trainer, method: Method, episodes: Episodes, number: int, position: int, seconds: float
    ) -> None:
        """Keep, log and tell what a generation is and what it cost."""
        facts: dict[str, float] = {
            "generation": number,
            "transitions": episodes.num_transitions,
            "seconds": seconds,
            "mean_return": float(episodes.returns.mean()),
            "terminated": float(episodes.terminations.sum()) / len(episodes),
            **diagnostics_of(method),
        }
        self.history.append(facts)
        for logger in trainer.loggers:
            logger.log_metrics({f"renewal/{name}": value for name, value in facts.items()}, step=position)
        if self.progress and trainer.progress_bar_callback is not None:
            more = (batches_left(trainer) or 0) // self.every
            trainer.progress_bar_callback.print(told(type(method).__name__, facts, more))

    def state_dict(self) -> dict[str, Any]:
        """The generations that are alive, as plain tensors, and the history."""
        return {"alive": self._alive, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._alive, self.history = dict(state_dict["alive"]), list(state_dict["history"])


def told(method: str, facts: dict[str, float], more: int) -> str:
    """One sentence: what a generation by ``method`` is, what it cost, and what ``more`` like it will."""
    return (
        f"Generation {facts['generation']}: {facts['transitions']:,} transitions by {method} in"
        f" {facts['seconds']:.1f} s, mean return {facts['mean_return']:.4g}, {facts['terminated']:.0%} terminated;"
        f" {more} more, about {more * facts['seconds'] / 60:.1f} minutes."
    )


def _require_spaces(method: Method, spec: DataSpec) -> None:
    require_same_spaces(
        fitted_spec(method),
        f"What this {type(method).__name__} makes",
        spec,
        "the learner's data set",
        "take a method that was fitted to data of the same environment",
    )
