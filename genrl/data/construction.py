"""Objects that are built step by step: torchgfn's environments as Gymnasium's, so that they make data sets like any.

An episode builds one object: it begins with the empty one, every action adds to it, the exit ends the episode and earns
the reward R(x) of the object x. So T actions, the exit among them, and T + 1 observations, of which the last repeats x.
An environment's specification says all that is needed to build torchgfn's own again (``Game.of``).

Source: "Flow Network based Generative Models for Non-Iterative Diverse Candidate Generation" (Bengio et al. 2021),
https://arxiv.org/abs/2106.04399.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genrl.data.conditions import Conditions
from genrl.data.env_specs import recorded_entries
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConfigurationError, OracleError, OutOfSpaceError, UnsupportedSpaceError

if TYPE_CHECKING:
    from gfn.env import DiscreteEnv  # it takes seconds to import

Reward = Callable[[Tensor], Tensor]
"""(N, S) finished objects to (N,) rewards, finite and above 0."""

LAYOUTS: dict[str, Callable[[Any], tuple[int, int, int]]] = {
    "HyperGrid": lambda env: (0, env.height - 1, env.ndim * (env.height - 1) + 1),
    "BitSequence": lambda env: (-1, env.n_actions - 2, env.words_per_seq + 1),
    "Walks": lambda env: (-1, env.n_actions - 2, env.longest + 1),
}
"""Of environments: the least and the largest entry of a state, and the most actions, the exit included."""


@dataclass(frozen=True, eq=False)
class Game:
    """One of torchgfn's environments whose states are S whole numbers, and a reward.

    Attributes:
        env: torchgfn's own.
        low, high: the least and the largest entry of a state.
        longest: actions in the longest trajectory, the exit included.
        reward: of finished objects; None for the environment's own.
    """

    env: DiscreteEnv
    low: int
    high: int
    longest: int
    reward: Reward | None = None

    @classmethod
    def make(
        cls,
        game: str = "gfn.gym.HyperGrid",
        settings: Mapping[str, Any] | None = None,
        reward: Mapping[str, Any] | None = None,
        layout: tuple[int, int, int] | None = None,
    ) -> Game:
        """By names and numbers alone, as they stand in the specification of an environment.

        Args:
            game: class path of an environment of torchgfn, or of one like it.
            settings: what its constructor takes.
            reward: ``class_path`` and ``init_args`` of a reward that replaces its own.
            layout: least and largest entry of a state, and the most actions; known for grids and sequences.

        Raises:
            ConfigurationError: there is no such class, it does not take these settings, the reward names none, or the
                layout is not known.
        """
        env = _built(game, dict(settings or {}))
        name = type(env).__name__
        if layout is None:
            known = next((LAYOUTS[base.__name__] for base in type(env).__mro__ if base.__name__ in LAYOUTS), None)
            if known is None:
                raise ConfigurationError(
                    f"The states of {name} are not known: give layout=(least entry, largest entry, most actions)."
                )
            layout = known(env)
        if env.s0.ndim != 1:
            raise ConfigurationError(f"A state of {name} has the shape {tuple(env.s0.shape)}; it must be a vector.")
        if reward and "class_path" not in reward:
            raise ConfigurationError(f"The reward {dict(reward)} lacks class_path, the class that computes it.")
        made = _built(reward["class_path"], dict(reward.get("init_args", {}))) if reward else None
        return cls(env, *layout, made)

    @classmethod
    def of(cls, card: DatasetCard) -> Game:
        """That of a data set.

        Raises:
            UnsupportedSpaceError: its episodes do not build objects.
            CorruptDatasetError: the environment that it records cannot be read.
        """
        spec = recorded_entries(card) or {}
        if not str(spec.get("entry_point")).endswith(":Construction"):
            raise UnsupportedSpaceError(
                f"{card.dataset_id or 'The data set'} comes from {spec.get('id', 'an unknown environment')}, which"
                " builds no objects; take data of 'genrl/hypergrid-v0', 'genrl/bits-v0' or 'genrl/construction-v0'."
            )
        arguments = spec["kwargs"]
        names = ("game", "settings", "reward", "layout")
        return cls.make(**{name: arguments[name] for name in names if name in arguments})

    @property
    def size(self) -> int:
        """S, entries of a state."""
        return int(self.env.s0.numel())

    @property
    def values(self) -> int:
        """V, values that an entry may take."""
        return self.high - self.low + 1

    @property
    def least(self) -> int:
        """The least entry of a finished object: -1 stands for what is not there yet."""
        return self.low + (self.low < 0)

    @property
    def log_outcomes(self) -> float:
        """Logarithm of how many vectors could be outcomes."""
        size, low, high = self.outcome_shape
        return size * math.log(high - low + 1)

    @property
    def actions(self) -> int:
        """A, actions; the last one is the exit."""
        return int(self.env.n_actions)

    @property
    def columns(self) -> int:
        """D, numbers that a state is told in: ``env.columns`` where it encodes states, else S V."""
        return int(getattr(self.env, "columns", self.size * self.values))

    def encode(self, states: Tensor) -> Tensor:
        """(..., S) states as (..., D) columns: ``env.encode`` where there is one, else one-hot entries."""
        if hasattr(self.env, "encode"):
            told: Tensor = self.env.encode(states)
            return told
        return one_hot(states - self.low, self.values).flatten(-2).to(torch.get_default_dtype())

    def outcomes(self, objects: Tensor) -> Tensor:
        """(N, K) what the objects (N, S) come to: ``env.outcome`` where there is one, else they themselves."""
        found: Tensor = self.env.outcome(objects) if hasattr(self.env, "outcome") else objects
        return found

    @property
    def outcome_shape(self) -> tuple[int, int, int]:
        """K, and the least and the largest entry of an outcome: ``env.outcome_shape`` where there is one."""
        own: tuple[int, int, int] = getattr(self.env, "outcome_shape", (self.size, self.least, self.high))
        return own

    @property
    def outcome_columns(self) -> int:
        """Numbers that an outcome is told in."""
        size, low, high = self.outcome_shape
        return size * (high - low + 1)

    def encode_outcome(self, outcomes: Tensor) -> Tensor:
        """(..., K) outcomes as one-hot columns."""
        _, low, high = self.outcome_shape
        return one_hot(outcomes - low, high - low + 1).flatten(-2).to(torch.get_default_dtype())

    def rewards(self, objects: Tensor) -> Tensor:
        """(N,) float64 rewards of the objects (N, S).

        Raises:
            OracleError: the reward failed, or is not finite and above 0; the message names an object.
        """
        reward = self.reward or (lambda x: self.env.reward(self.env.states_from_tensor(x)))
        try:
            found = reward(objects).double()
        except Exception as error:
            raise OracleError(
                f"The reward failed for {len(objects)} objects, the first {_shown(objects[0])}: {error}"
            ) from error
        if found.shape != objects.shape[:1]:
            raise OracleError(f"The reward gave {tuple(found.shape)} for {len(objects)} objects; it gives one each.")
        bad = ~(torch.isfinite(found) & (found > 0))
        if bad.any():
            first = int(bad.nonzero()[0])
            raise OracleError(
                f"The reward of {_shown(objects[first])} is {float(found[first])}; rewards must be finite and above 0:"
                " raise those that are not by a small constant."
            )
        return found

    def require_outcomes(self, outcomes: Tensor) -> Tensor:
        """(N, K) int64, refused where no outcome could be so.

        Raises:
            OutOfSpaceError: another shape, or an entry out of range.
        """
        size, low, high = self.outcome_shape
        if outcomes.ndim != 2 or outcomes.shape[1] != size or bool((outcomes != outcomes.round()).any()):
            raise OutOfSpaceError(
                f"Outcomes here are (N, {size}) whole numbers, not {tuple(outcomes.shape)} of {outcomes.dtype}."
            )
        whole = outcomes.long()
        wrong = ((whole < low) | (whole > high)).any(1)
        if wrong.any():
            raise OutOfSpaceError(
                f"The outcome {_shown(whole[wrong][0])} is outside the environment: entries go from {low} to {high}."
            )
        return whole


class Construction(gym.Env):
    """Builds one object an episode.

    Args:
        game, settings, reward, layout: see ``Game.make``.
        render_mode: None; there is nothing to see.

    Raises:
        ConfigurationError: see ``Game.make``.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        game: str = "gfn.gym.HyperGrid",
        settings: Mapping[str, Any] | None = None,
        reward: Mapping[str, Any] | None = None,
        layout: tuple[int, int, int] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.game, self.render_mode = Game.make(game, settings, reward, layout), render_mode
        self.observation_space = gym.spaces.MultiDiscrete(
            [self.game.values] * self.game.size, start=[self.game.low] * self.game.size
        )
        self.action_space = gym.spaces.Discrete(self.game.actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The empty object."""
        super().reset(seed=seed)
        self.states: Any = self.game.env.reset((1,))
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Add to the object, or end with it.

        Raises:
            OutOfSpaceError: the action cannot be taken in this state.
        """
        if not bool(self.states.forward_masks[0, int(action)]):
            allowed = self.states.forward_masks[0].nonzero()[:, 0].tolist()
            raise OutOfSpaceError(f"Action {action} cannot be taken in {_shown(self.states.tensor[0])}; {allowed} can.")
        if int(action) == self.game.actions - 1:
            return self._seen(), float(self.game.rewards(self.states.tensor)[0]), True, False, {}
        self.states = self.game.env.step(
            self.states.clone(), self.game.env.actions_from_tensor(torch.tensor([[int(action)]]))
        )
        return self._seen(), 0.0, False, False, {}

    def _seen(self) -> np.ndarray:
        return self.states.tensor[0].numpy().copy()


class Uniform:
    """Takes every action that can be taken with equal probability.

    Args:
        game: that it plays.
    """

    def __init__(self, game: Game) -> None:
        self.game = game
        self._generators = EpisodeGenerators()

    @classmethod
    def for_env(cls, env: gym.Env) -> Uniform:
        """The policy for an environment that builds objects.

        Raises:
            UnsupportedSpaceError: another environment.
        """
        if not isinstance(env.unwrapped, Construction):
            raise UnsupportedSpaceError(f"Uniform builds objects, as in genrl/hypergrid-v0, and does not act in {env}.")
        return cls(env.unwrapped.game)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New draws where an episode begins."""
        self._generators.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B,) int64 actions.

        Raises:
            ConditionError: there are conditions; it has no aim.
        """
        if conditions is not None:
            conditions.require("Uniform", set(), batch=len(observations))
        states: Any = self.game.env.states_from_tensor(torch.as_tensor(observations))
        coins = self._generators.draw(len(observations), lambda generator: np.asarray(generator.random()))
        steps = states.forward_masks.double().cumsum(-1).numpy()
        return (steps > coins[:, None] * steps[:, -1:]).argmax(-1)


def _built(class_path: str, arguments: dict[str, Any]) -> Any:
    try:
        return resolve_name(class_path)(**arguments)
    except (ImportError, AttributeError, ValueError, TypeError, AssertionError) as error:
        raise ConfigurationError(f"{class_path} cannot be made from {arguments}: {error}") from error


def _shown(state: Tensor) -> str:
    return str(tuple(state.tolist()))


gym.register("genrl/construction-v0", "genrl.data.construction:Construction")
gym.register(
    "genrl/hypergrid-v0",
    "genrl.data.construction:Construction",
    kwargs={"game": "gfn.gym.HyperGrid", "settings": {"ndim": 2, "height": 8}},
)
gym.register(
    "genrl/bits-v0",
    "genrl.data.construction:Construction",
    kwargs={"game": "gfn.gym.BitSequence", "settings": {"word_size": 1, "seq_size": 16, "n_modes": 4}},
)
