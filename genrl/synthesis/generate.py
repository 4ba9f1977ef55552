"""A fitted method to episodes in memory, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import torch
from tqdm.auto import tqdm

from genrl.data.conditions import Conditions
from genrl.data.episodes import DatasetCard, Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_whole
from genrl.methods.method import Block, Method, require_method
from genrl.synthesis.relabel import Rewards
from genrl.training.spec import DataSpec


@dataclass(frozen=True)
class Plan:
    """What to synthesise. All but ``batch_size`` is part of the data's identity: the same plan gives the same data.

    Attributes:
        episodes: how many.
        seed: the one source of randomness.
        length: transitions in an episode; None for the method's own.
        conditions: wishes with one row per episode.
        block_size: episodes in a block, the unit of randomness, of resuming and of sharing out to processes.
        batch_size: episodes generated at once; None for whole blocks.
    """

    episodes: int
    seed: int = 0
    length: int | None = None
    conditions: Conditions | None = None
    block_size: int = 256
    batch_size: int | None = None

    def __post_init__(self) -> None:
        require_whole(1, episodes=self.episodes, length=self.length)
        require_whole(1, block_size=self.block_size, batch_size=self.batch_size)
        require_whole(0, seed=self.seed)
        if self.conditions is not None:
            self.conditions.require("synthesis", set(self.conditions.given()), self.episodes)

    def blocks(self) -> list[Block]:
        """All blocks, the last one as large as is left."""
        starts = range(0, self.episodes, self.block_size)
        return [
            Block(self.seed, index, min(self.block_size, self.episodes - start)) for index, start in enumerate(starts)
        ]

    def make(self, method: Method, block: Block, rewards: Rewards | None = None) -> Episodes:
        """The episodes of one block."""
        start = block.index * self.block_size
        wishes = None if self.conditions is None else self.conditions.rows(slice(start, start + block.size))
        with one_thread():
            episodes = method.synthesize(block, wishes, length=self.length, batch_size=self.batch_size)
        return episodes if rewards is None else method.rewarded(rewards(episodes))


@contextmanager
def one_thread() -> Iterator[None]:
    """On the CPU, sums over several threads round differently: bytes are equal everywhere only on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def fitted_spec(method: Method) -> DataSpec:
    """What ``method`` knows of its data.

    Raises:
        ConfigurationError: it was never fitted, or makes no data.
    """
    require_method(method)
    if method.spec is None:
        raise ConfigurationError(
            f"This {type(method).__name__} was never fitted; fit or load it before it can make data."
        )
    return method.spec


def rewards_of(method: Method) -> Rewards | None:
    """The rewards of the environment that ``method`` learned from, where its episodes are labelled in hindsight."""
    spec = fitted_spec(method)
    return Rewards.of(spec.card, spec.observation_space)


def generate(method: Method, plan: Plan, progress: bool = False) -> Iterator[Episodes]:
    """The blocks of ``plan``, one after the other.

    Raises:
        ConfigurationError: the method was never fitted.
    """
    rewards = rewards_of(method)
    for block in tqdm(plan.blocks(), unit="block", desc="synthesise", disable=not progress):
        yield plan.make(method, block, rewards)


def at_least(method: Method, transitions: int, plan: Plan) -> Iterator[Episodes]:
    """Whole blocks of ``plan.block_size`` episodes until they hold ``transitions``, however early episodes end.

    Raises:
        ConfigurationError: the method was never fitted.
    """
    rewards, made = rewards_of(method), 0
    for index in count():
        episodes = plan.make(method, Block(plan.seed, index, plan.block_size), rewards)
        made += episodes.num_transitions
        yield episodes
        if made >= transitions:
            return


def sample(
    method: Method,
    episodes: int,
    seed: int = 0,
    *,
    length: int | None = None,
    conditions: Conditions | None = None,
    progress: bool = False,
) -> Episodes:
    """Synthetic episodes in memory, for notebooks: the same as ``synthesize`` writes for the same arguments."""
    blocks = list(generate(method, Plan(episodes, seed, length, conditions), progress))
    return replace(concatenate(blocks), card=synthetic_card(method))


def synthetic_card(method: Method, card: DatasetCard | None = None) -> DatasetCard:
    """The card of what ``method`` makes: the source's environments and scores, and whatever ``card`` tells instead."""
    assert method.spec is not None
    source = method.spec.card
    made = replace(
        source,
        dataset_id=None,
        algorithm_name=type(method).__qualname__,
        description=f"Synthetic episodes by {type(method).__qualname__}, trained on {source.dataset_id or 'own data'}.",
    )
    said = {name: value for name, value in vars(card or DatasetCard()).items() if value not in (None, ())}
    return replace(made, **said)
