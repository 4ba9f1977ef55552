"""Environments by id, and several of them stepped side by side."""

import importlib
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from types import ModuleType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from genrl.data.errors import AlignmentError, ConfigurationError, NonFiniteError, OutOfSpaceError
from genrl.data.spaces import bounds, flatten, leaf_spaces, same_form, unflatten

EnvLike = str | EnvSpec | Callable[[], gym.Env]
"""An environment id, a Gymnasium specification, or anything that makes an environment when called."""

OWN_ENVIRONMENTS = tuple(
    f"genrl.data.{name}" for name in ("bandit", "construction", "noisy_actions", "ogbench_envs", "pusht", "stitch_maze")
)
"""Modules that register the ids ``genrl/...``."""


def make_env(env: EnvLike, env_options: Mapping[str, Any] | None = None) -> gym.Env:
    """Make one environment; the ids of genrl and gymnasium_robotics are registered when first asked for.

    Raises:
        ConfigurationError: no environment of that id is registered, it cannot be made with these options, or ``env`` is
            itself an environment.
    """
    kwargs = dict(env_options or {})
    if isinstance(env, str):
        _register(env)
    if isinstance(env, str | EnvSpec):
        return _made(env, kwargs)
    if isinstance(env, gym.Env) or not callable(env):
        raise ConfigurationError(f"{env} makes no environments: pass its id, its spec, or a function that makes one.")
    return env(**kwargs)


def _made(env: str | EnvSpec, kwargs: dict[str, Any]) -> gym.Env:
    if isinstance(env, EnvSpec) and str(env.entry_point).startswith("gymnasium_robotics"):
        _robotics()
    try:
        return gym.make(env, **kwargs)
    except (gym.error.Error, TypeError, ImportError, KeyError, ValueError, OSError, AssertionError) as error:
        options = f" with the options {kwargs}" if kwargs else ""
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigurationError(
            f"The environment {env if isinstance(env, str) else env.id} cannot be made here{options}: "
            f"{type(error).__name__}: {reason}. Correct its options, or install what it needs."
        ) from error


def _register(env_id: str) -> None:
    """Make sure that ``env_id``, perhaps of the form ``module:id``, is registered."""
    module, _, name = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        elif name.startswith("genrl/"):
            for home in OWN_ENVIRONMENTS:
                importlib.import_module(home)
        elif name not in gym.registry:
            gym.register_envs(_robotics())
        gym.spec(name)
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"No environment '{env_id}' is registered: {error} Check the id with gymnasium.pprint_registry(), "
            "name the package that registers it ('package:id'), or pass a function that makes the environment."
        ) from error


def _robotics() -> ModuleType:
    """Gymnasium-Robotics, which is slow to import and prints a notice about environments that nobody asked for."""
    with redirect_stderr(io.StringIO()):
        return importlib.import_module("gymnasium_robotics")


def env_spec_json(env: gym.Env) -> str | None:
    """The environment's specification as JSON; None if it has none or one that JSON cannot hold."""
    if env.spec is None:
        return None
    try:
        return env.spec.to_json()
    except (TypeError, ValueError):
        return None


class StepResult(NamedTuple):
    """What one environment answered to one action."""

    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class Lockstep:
    """B environments side by side, none of which ever resets itself (Gymnasium's ``AutoresetMode.DISABLED``).

    Unlike Gymnasium's ``SyncVectorEnv``, each environment is reset with options of its own, and finished ones simply
    rest. ``observations`` holds the current observation of each environment, leaf path -> (B, *shape).

    Raises:
        ConfigurationError: two of the environments are the same one.
    """

    def __init__(self, envs: list[gym.Env]) -> None:
        if len({id(env.unwrapped) for env in envs}) < len(envs):
            raise ConfigurationError(
                "Environments side by side must not be one and the same: pass a function that makes a new one at each "
                "call, or num_envs=1."
            )
        self.envs = envs
        self.observation_space = envs[0].observation_space
        self.action_space = envs[0].action_space
        spaces = leaf_spaces(self.observation_space)
        self.observations = {
            path: np.zeros((len(envs), *(leaf.shape or ())), leaf.dtype) for path, leaf in spaces.items()
        }
        self._walks = [
            (path, _keys(self.observation_space, path), leaf.shape or (), np.dtype(leaf.dtype), self.observations[path])
            for path, leaf in spaces.items()
        ]
        self._action_leaves = leaf_spaces(self.action_space)

    def __len__(self) -> int:
        return len(self.envs)

    def snapshot(self) -> dict[str, np.ndarray]:
        """A copy of all current observations: leaf path -> (B, *shape)."""
        return {path: leaf.copy() for path, leaf in self.observations.items()}

    def batch(self) -> Any:
        """A copy of all current observations, nested as in the observation space, B rows first."""
        return unflatten(self.observation_space, self.snapshot())

    def reset(self, slot: int, seed: int, options: dict[str, Any] | None = None) -> None:
        """Begin a new episode in one environment.

        Raises:
            AlignmentError: what it observes does not fit its observation space.
        """
        observation, _ = self.envs[slot].reset(seed=seed, options=options)
        self._observe(slot, observation)

    def step(self, slot: int, actions: Mapping[str, np.ndarray]) -> StepResult:
        """Step one environment with its row of ``actions`` (leaf path -> (B, *shape)).

        Raises:
            AlignmentError: what it observes does not fit its observation space.
        """
        action = unflatten(self.action_space, {path: leaf[slot].copy() for path, leaf in actions.items()})
        observation, reward, terminated, truncated, info = self.envs[slot].step(action)
        self._observe(slot, observation)
        return StepResult(float(reward), bool(terminated), bool(truncated), info)

    def _observe(self, slot: int, observation: Any) -> None:
        for path, keys, shape, dtype, rows in self._walks:
            leaf = observation
            try:
                for key in keys:
                    leaf = leaf[key]
                leaf = np.asarray(leaf)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise AlignmentError(
                    f"The environment's observation has no array{_at(path)}, as its observation space has; correct one."
                ) from error
            if leaf.dtype is not dtype or leaf.shape != shape:
                leaf = _fitted(leaf, shape, dtype, path)
            rows[slot] = leaf

    def checked(self, actions: Any, active: np.ndarray) -> dict[str, np.ndarray]:
        """A policy's actions as leaves in the action space's dtype, checked where ``active`` (B,) is true.

        Raises:
            AlignmentError: a leaf's shape is not (B, *shape) or its dtype does not fit.
            NonFiniteError: an action is NaN or infinite.
            OutOfSpaceError: an action lies outside the action space.
        """
        try:
            given = flatten(self.action_space, actions)
        except AlignmentError as error:
            raise AlignmentError(f"The policy returned {type(actions).__name__} for {self.action_space}.") from error
        leaves = {}
        for path, leaf in given.items():
            space = self._action_leaves[path]
            expected = (len(self), *(space.shape or ()))
            if leaf.shape != expected or not np.can_cast(leaf.dtype, space.dtype, "same_kind"):
                raise AlignmentError(
                    f"The policy returned actions{_at(path)} of shape {leaf.shape} and dtype {leaf.dtype}; "
                    f"the environments take {expected} of {space.dtype}."
                )
            leaves[path] = leaf.astype(space.dtype)
            # a float clipped to a bound may differ from it before it is rounded; an integer must not wrap around
            _check_inside(space, (leaves[path] if leaf.dtype.kind == "f" else leaf)[active], path)
        return leaves


def _keys(space: gym.Space, path: str) -> list[str | int]:
    """The keys and positions that lead to the leaf at ``path``."""
    keys: list[str | int] = []
    for name in path.split("/") if path else []:
        key = int(name) if isinstance(space, gym.spaces.Tuple) else name
        keys.append(key)
        space = space[key]  # type: ignore[index]
    return keys


def _fitted(leaf: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, path: str) -> np.ndarray:
    """An observation's leaf in the shape of its space, where the dtype keeps all but the precision of a float.

    Raises:
        AlignmentError: it has another shape, or values that the dtype cannot hold.
    """
    if leaf.dtype.kind in "biuf" and (leaf.shape == shape or same_form(leaf.shape, shape)):
        if leaf.dtype == dtype or dtype.kind == "f":
            return leaf.reshape(shape)
        with np.errstate(invalid="ignore"):  # NaN among integers is unequal to what it becomes
            kept = bool((leaf.astype(dtype) == leaf).all())
        if kept:
            return leaf.reshape(shape)
    raise AlignmentError(
        f"The environment observed{_at(path)} {leaf.dtype} of shape {leaf.shape} where its observation space has "
        f"{dtype} of shape {shape}; correct one of them."
    )


def _check_inside(space: gym.Space, leaf: np.ndarray, path: str) -> None:
    if not np.isfinite(leaf).all():
        raise NonFiniteError(f"The policy returned actions{_at(path)} that are NaN or infinite.")
    low, high = bounds(space)
    if (leaf < low).any() or (leaf > high).any():
        raise OutOfSpaceError(
            f"The policy returned actions{_at(path)} between {leaf.min()} and {leaf.max()}, outside {space}; "
            "clip or squash them in the policy."
        )


def _at(path: str) -> str:
    return f" at '{path}'" if path else ""
