"""Policies to collect data with: random, any callable, and pretrained actors stored as plain numpy arrays."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import AlignmentError, CheckpointError, ConfigurationError
from genrl.data.npz import read_npz
from genrl.data.spaces import flatten, unflatten


class RandomPolicy:
    """Samples any action space, each episode from its own seed."""

    def __init__(self, action_space: gym.Space) -> None:
        self.action_space = action_space
        self._spaces: list[gym.Space] = []

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """A new random sequence where an episode begins."""
        while len(self._spaces) < len(mask):
            self._spaces.append(deepcopy(self.action_space))
        del self._spaces[len(mask) :]
        for slot in np.flatnonzero(mask):
            self._spaces[slot].seed(int(seeds[slot]))

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Random actions for all B environments, whatever they observe.

        Raises:
            ConfigurationError: the policy was never reset.
        """
        _refuse(conditions, "RandomPolicy")
        if not self._spaces:
            raise ConfigurationError("This policy draws its actions: reset it for the environments first.")
        samples = [flatten(space, space.sample()) for space in self._spaces]
        return unflatten(self.action_space, {path: np.stack([s[path] for s in samples]) for path in samples[0]})


class CallablePolicy:
    """Any function from a batch of observations to a batch of actions."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Nothing to do: a function has no state."""

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """What the function returns."""
        _refuse(conditions, "CallablePolicy")
        return self.function(observations)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}

SQUASHES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"tanh": np.tanh, "none": lambda x: x}


@dataclass
class ActorPolicy:
    """A Gaussian actor (multi-layer perceptron) in numpy, for observations and actions that are flat Boxes.

    mu = W_mu h + b_mu on the last hidden layer h of the normalised observation; a stochastic action adds
    exp(log std) N(0, 1) before squashing. Actions are clipped to [-1, 1]. Each row is multiplied on its own, so that
    an action has the same bits whatever the size of the batch.

    Attributes:
        hidden: weights (in, out) and biases of the hidden layers.
        mean: weights and biases of mu.
        log_std: weights and biases of the log standard deviation; weights None if it does not depend on the
            observation; None for an actor without noise.
        activation: ``tanh`` or ``relu``.
        squash: ``tanh`` or ``none``.
        shift, scale, clip: the observation enters as clip((o - shift) / scale, +-clip).
        stochastic: whether to add noise where the caller does not ask for deterministic actions.
    """

    hidden: list[tuple[np.ndarray, np.ndarray]]
    mean: tuple[np.ndarray, np.ndarray]
    log_std: tuple[np.ndarray | None, np.ndarray] | None = None
    activation: str = "tanh"
    squash: str = "none"
    shift: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0
    clip: float = np.inf
    stochastic: bool = True
    _generators: EpisodeGenerators = field(default_factory=EpisodeGenerators, repr=False)

    @classmethod
    def load(cls, path: str | Path, *, squash: str | None = None, stochastic: bool = True) -> "ActorPolicy":
        """Read an actor from an npz file with W0, b0, ..., W_mu, b_mu, optionally W_ls, b_ls or log_std, obs_mean, ...

        Raises:
            CheckpointError: the file is not such an actor, or asks for an unknown activation or squashing.
        """
        try:
            return cls._from_arrays(read_npz(path), squash, stochastic)
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path} is not an actor in numpy arrays: {error}.") from error

    @classmethod
    def _from_arrays(cls, arrays: dict[str, np.ndarray], squash: str | None, stochastic: bool) -> "ActorPolicy":
        log_std: tuple[np.ndarray | None, np.ndarray] | None = None
        if "W_ls" in arrays:
            log_std = arrays["W_ls"], arrays["b_ls"]
        elif "log_std" in arrays:
            log_std = None, arrays["log_std"]
        actor = cls(
            hidden=[(arrays[f"W{i}"], arrays[f"b{i}"]) for i in range(int(arrays["n_layers"]))],
            mean=(arrays["W_mu"], arrays["b_mu"]),
            log_std=log_std,
            activation=str(arrays["activation"]),
            squash=squash or str(arrays["squash"]),
            stochastic=stochastic,
        )
        if "obs_mean" in arrays:
            actor.shift = arrays["obs_mean"]
            actor.scale = np.sqrt(arrays["obs_var"] + arrays["obs_eps"])
            actor.clip = float(arrays["obs_clip"])
        return actor

    def __post_init__(self) -> None:
        for value, known in ((self.activation, ACTIVATIONS), (self.squash, SQUASHES)):
            if value not in known:
                raise CheckpointError(f"An actor knows {' and '.join(known)}, not '{value}'.")

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New noise where an episode begins."""
        self._generators.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, A) float32 actions in [-1, 1] for observations (B, D).

        Raises:
            AlignmentError: the observations are not of the actor's size.
            ConfigurationError: actions are to be drawn, and the policy was not reset for B environments.
        """
        _refuse(conditions, "ActorPolicy")
        hidden = self._hidden(np.asarray(observations))
        action = _affine(hidden, *self.mean)
        if self.stochastic and not deterministic and self.log_std is not None:
            weights, bias = self.log_std
            log_std = bias if weights is None else np.clip(_affine(hidden, weights, bias), -20, 2)
            size = action.shape[1]
            action = action + np.exp(log_std) * self._generators.draw(len(action), lambda g: g.standard_normal(size))
        return np.clip(SQUASHES[self.squash](action), -1.0, 1.0).astype(np.float32)

    def _hidden(self, observations: np.ndarray) -> np.ndarray:
        """(B, width) the last hidden layer, or the normalised observations of a linear actor."""
        size = (self.hidden[0] if self.hidden else self.mean)[0].shape[0]
        if observations.ndim != 2 or observations.shape[1] != size:
            raise AlignmentError(f"This actor takes observations (B, {size}), not {observations.shape}.")
        hidden = np.clip((observations - self.shift) / self.scale, -self.clip, self.clip).astype(np.float32)
        for weights, bias in self.hidden:
            hidden = ACTIVATIONS[self.activation](_affine(hidden, weights, bias))
        return hidden


def _affine(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """X W + b with one product per row."""
    return (x[:, None, :] @ weights)[:, 0] + bias


def _refuse(conditions: Conditions | None, who: str) -> None:
    if conditions is not None:
        conditions.require(who, set())
