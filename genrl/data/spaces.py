"""Gymnasium spaces as a flat list of leaves, and the way back without loss.

A leaf is a Box, Discrete, MultiDiscrete or MultiBinary inside any nesting of Dict and Tuple. Its path joins keys and
tuple positions with "/"; the path of a space that is itself a leaf is the empty string.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from minari.serialization import deserialize_space, serialize_space
from torch import Tensor

from genrl.data.errors import AlignmentError, ConfigurationError, UnsupportedSpaceError

LEAF_SPACES = (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)

Leaves = dict[str, Tensor]
"""Path of a leaf -> tensor of its native dtype, rows first."""


class HasSpaces(Protocol):
    """Episodes, what was fitted to them, or an environment."""

    @property
    def observation_space(self) -> gym.Space:
        """What is seen."""

    @property
    def action_space(self) -> gym.Space:
        """What is done."""


def require_same_spaces(one: HasSpaces, who: str, other: HasSpaces, whose: str, remedy: str) -> None:
    """Refuse two that do not belong together; ``who``, ``whose`` and ``remedy`` are words of the error.

    Raises:
        ConfigurationError: their spaces differ.
    """
    for name in ("observation_space", "action_space"):
        here, there = getattr(one, name), getattr(other, name)
        if here != there:
            raise ConfigurationError(f"{who} has the {name.replace('_', ' ')} {here}, {whose} has {there}; {remedy}.")


def leaf_spaces(space: gym.Space) -> dict[str, gym.Space]:
    """All leaves of ``space`` by path, those of a Dict in the order of its keys.

    Raises:
        UnsupportedSpaceError: a leaf is of another kind (Text, Graph, Sequence, ...).
    """
    return dict(_walk(space, ()))


def forms(space: gym.Space) -> dict[str, tuple[Any, ...]]:
    """Path of each leaf -> its kind, shape and choices: all but the bounds of boxes and what arrays are kept in."""
    return {
        path: (
            type(leaf),
            leaf.shape,
            *(np.asarray(getattr(leaf, name, 0)).tolist() for name in ("n", "nvec", "start")),
        )
        for path, leaf in leaf_spaces(space).items()
    }


def bounds(space: gym.Space) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of a leaf space, broadcastable to its shape."""
    if isinstance(space, gym.spaces.Box):
        return space.low, space.high
    if isinstance(space, gym.spaces.Discrete):
        return np.asarray(space.start), np.asarray(space.start + space.n - 1)
    if isinstance(space, gym.spaces.MultiDiscrete):
        start, count = space.start.astype(np.int64), space.nvec.astype(np.int64)
        return start, start + count - 1
    return np.zeros((), np.int64), np.ones((), np.int64)  # MultiBinary


def _walk(space: gym.Space, path: tuple[str, ...]) -> Iterator[tuple[str, gym.Space]]:
    if isinstance(space, gym.spaces.Dict):
        for key, child in _sorted(space):
            if not isinstance(key, str) or "/" in key or key in ("", "."):
                raise UnsupportedSpaceError(
                    f"The key {key!r} of a Dict space cannot be part of a path; rename it to a word without '/'."
                )
            yield from _walk(child, (*path, key))
    elif isinstance(space, gym.spaces.Tuple):
        for index, child in enumerate(space.spaces):
            yield from _walk(child, (*path, str(index)))
    elif isinstance(space, LEAF_SPACES):
        yield "/".join(path), space
    else:
        where = "/".join(path) or "the space itself"
        raise UnsupportedSpaceError(
            f"{type(space).__name__} at {where} is not supported; "
            "supported are Box, Discrete, MultiDiscrete, MultiBinary and Dict or Tuple of these."
        )


def _sorted(space: gym.spaces.Dict) -> list[tuple[Any, gym.Space]]:
    """The children of a Dict by name: spaces that are equal may hold them in any order, and JSON keeps none."""
    return sorted(space.spaces.items(), key=lambda child: str(child[0]))


def flatten(space: gym.Space, value: Any) -> dict[str, np.ndarray]:
    """Split a (batched) value of ``space`` into its leaves by path; arrays are not copied.

    Raises:
        AlignmentError: the value lacks a part of the space.
    """
    try:
        if isinstance(space, gym.spaces.Dict):
            children = [(key, child, value[key]) for key, child in _sorted(space)]
        elif isinstance(space, gym.spaces.Tuple):
            children = [(str(i), child, value[i]) for i, child in enumerate(space.spaces)]
        else:
            return {"": np.asarray(value)}
    except (KeyError, IndexError, TypeError) as error:
        raise AlignmentError(
            f"A {type(value).__name__} lacks a part ({error}) of {space}: it is of another space."
        ) from error
    leaves = {}
    for key, child, part in children:
        for path, leaf in flatten(child, part).items():
            leaves[f"{key}/{path}" if path else str(key)] = leaf
    return leaves


def batch_of(space: gym.Space, observations: Any) -> Leaves:
    """B observations as tensors by path, rows first.

    Raises:
        AlignmentError: they lack a part of the space, or are one observation and not a batch.
    """
    leaves = flatten(space, observations)
    for path, leaf in leaf_spaces(space).items():
        if leaves[path].ndim != len(leaf.shape or ()) + 1:
            wanted, where = ", ".join(("B", *map(str, leaf.shape or ()))), f"with '{path}' of" if path else "of"
            raise AlignmentError(
                f"A policy acts for a batch, B observations {where} shape ({wanted}), not {leaves[path].shape}:"
                " genrl.Alone.of(policy, env) drives a single environment."
            )
    return to_tensors(leaves)


def unflatten(space: gym.Space, leaves: Mapping[str, Any]) -> Any:
    """The inverse of ``flatten``: leaves by path back into nested dictionaries and tuples."""
    if isinstance(space, gym.spaces.Dict):
        return {key: unflatten(child, _below(leaves, key)) for key, child in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(unflatten(child, _below(leaves, str(i))) for i, child in enumerate(space.spaces))
    return leaves[""]


def _below(leaves: Mapping[str, Any], key: str) -> dict[str, Any]:
    below = {path[len(key) + 1 :]: leaf for path, leaf in leaves.items() if path.startswith(f"{key}/")}
    if key in leaves:
        below[""] = leaves[key]
    return below


def enclosing(path: str, paths: Container[str]) -> str | None:
    """The outermost of ``paths`` that ``path`` is below ("a" of "a/b"), so that one file cannot hold both as arrays."""
    parts = path.split("/")
    return next((above for n in range(1, len(parts)) if (above := "/".join(parts[:n])) in paths), None)


def same_form(rows: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether two shapes differ in nothing but axes of length 1, so that one is the other reshaped without a mix-up."""
    return [n for n in rows if n != 1] == [n for n in shape if n != 1]


def to_tensors(leaves: Mapping[str, np.ndarray]) -> Leaves:
    """Numpy leaves as tensors of the same dtype (copied only where torch needs it)."""
    return {path: torch.from_numpy(np.ascontiguousarray(leaf)) for path, leaf in leaves.items()}


def space_to_json(space: gym.Space) -> str:
    """The space as JSON, in Minari's own format."""
    return serialize_space(space)


def space_from_json(text: str) -> gym.Space:
    """The inverse of ``space_to_json``."""
    return deserialize_space(text)
