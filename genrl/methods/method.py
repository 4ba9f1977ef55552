"""What every generative method offers: a block of synthesis gives episodes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_whole
from genrl.data.spaces import require_same_spaces
from genrl.training.spec import DataSpec
from genrl.training.stored import Stored


@dataclass(frozen=True)
class Block:
    """The unit of synthesis: ``size`` episodes whose randomness is a function of (seed, index) alone."""

    seed: int
    index: int
    size: int

    def parts(self, batch_size: int | None = None) -> Iterator[slice]:
        """The rows of the block, so many of them (all by default) at once.

        Raises:
            ConfigurationError: a batch size below one.
        """
        require_whole(1, batch_size=batch_size)
        size = batch_size or self.size
        return (slice(first, min(first + size, self.size)) for first in range(0, self.size, size))


def require_length(length: int | None) -> None:
    """Refuse episodes without a transition.

    Raises:
        ConfigurationError: ``length`` is below one.
    """
    if length is not None and length < 1:
        raise ConfigurationError(f"An episode has at least one transition, not {length}.")


class Method(Stored):
    """A generative method. One that is fitted itself is a ``Trainable`` as well.

    Attributes:
        understands: names of the conditions that it takes; all others are refused.
    """

    understands: ClassVar[frozenset[str]]

    @abstractmethod
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """The episodes of one block: the same for the same fitted method, block and conditions.

        Args:
            block: which episodes to make.
            conditions: wishes with one row per episode of the block.
            length: transitions in an episode, fewer where the model ends it.
            batch_size: episodes made at once; it changes nothing beyond rounding.

        Raises:
            ConfigurationError: a batch size below one, see ``Block.parts``.
        """

    @property
    def reads(self) -> list[Path]:
        """Folders of the stored data sets that it reads while it makes its own."""
        return []

    def rewarded(self, episodes: Episodes) -> Episodes:
        """Episodes of this method, whose rewards are the environment's, with those that they are to have.

        Called where rewards are computed by the environment in the place of the generated ones: for goals, above all.
        """
        return episodes


def require_method(model: object) -> Method:
    """``model``, where it makes data.

    Raises:
        ConfigurationError: it does not by itself, as a world model or a learner.
    """
    if not hasattr(model, "synthesize"):
        raise ConfigurationError(
            f"A {type(model).__name__} makes no data by itself. A world model does so with a policy to act in it:"
            " Imagination(world_model, policy), or the policy's checkpoint after --guide. A learner acts in an"
            " environment: see genrl.collect."
        )
    return model  # type: ignore[return-value]


class Composite(Method):
    """A method made of parts that were fitted before: there is nothing left to fit, and no part is copied.

    Subclasses set ``spec`` to that of the part whose data they make, at the end of their constructor.
    """

    seed = 0

    def build(self, spec: DataSpec) -> None:
        """Nothing: the parts are built."""


def require_kind(policy: object, parts: Sequence[str], who: str, takes: str) -> None:
    """Refuse a policy that has not all of ``parts``; ``takes`` says what ``who`` works with.

    Raises:
        ConfigurationError: it has not.
    """
    if not all(hasattr(policy, part) for part in parts):
        raise ConfigurationError(f"{who} takes {takes}, not a {type(policy).__name__}.")


def require_one_world(method: Stored, agent: object) -> None:
    """Refuse an agent of another world.

    Raises:
        ConfigurationError: it was never fitted, or its spaces differ from the model's.
    """
    theirs, ours = getattr(agent, "spec", None), method.spec
    if theirs is None or ours is None:
        who = agent if theirs is None else method
        raise ConfigurationError(f"This {type(who).__name__} was never fitted; fit or load it first.")
    require_same_spaces(
        theirs,
        f"What the {type(agent).__name__} was fitted to",
        ours,
        f"that of the {type(method).__name__}",
        "fit both to data of one environment",
    )
