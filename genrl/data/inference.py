"""The spaces that plain arrays most likely come from."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.errors import AlignmentError
from genrl.data.table import native

WIDEST = 2**31
"""Scalar integers spread wider than this are numbers rather than choices: a Box."""


def infer_space(parts: Sequence[Any], actions: bool = False, where: str = "The data") -> gym.Space:
    """A space that holds every row of every part.

    Floats become a Box, unbounded for observations; for actions [-1, 1] if the data lie in it, else their range.
    Scalar integers become Discrete, booleans MultiBinary (scalar ones Discrete), integer vectors MultiDiscrete for
    actions and a Box over the whole dtype for observations. Dictionaries and tuples become Dict and Tuple.

    Args:
        parts: arrays (rows first), or dictionaries and tuples of these, all of the same form.
        actions: whether these are actions.
        where: what messages call these data.

    Raises:
        AlignmentError: the parts differ in form.
        UnsupportedSpaceError: a leaf is not numeric.
    """
    first = parts[0]
    try:
        if isinstance(first, Mapping):
            return gym.spaces.Dict(
                {key: infer_space([part[key] for part in parts], actions, f"{where}: {key}") for key in first}
            )
        if isinstance(first, tuple):
            return gym.spaces.Tuple(
                [infer_space([part[i] for part in parts], actions, f"{where}: {i}") for i in range(len(first))]
            )
    except (KeyError, IndexError, TypeError) as error:
        raise AlignmentError(f"{where} has not the same leaves in every episode ({error}).") from error
    arrays = [native(part, "leaf", where) for part in parts]
    if any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        raise AlignmentError(f"{where} has rows of different shapes {sorted({array.shape[1:] for array in arrays})}.")
    dtype = np.result_type(*arrays)
    filled = [array for array in arrays if len(array)] or [np.zeros((1, *arrays[0].shape[1:]), dtype)]
    low = np.min([array.min(axis=0) for array in filled], axis=0)
    high = np.max([array.max(axis=0) for array in filled], axis=0)
    return _leaf(low.astype(dtype), high.astype(dtype), dtype, actions)


def _leaf(low: np.ndarray, high: np.ndarray, dtype: np.dtype, actions: bool) -> gym.Space:
    """A space for rows between ``low`` and ``high``."""
    shape, kind = low.shape, dtype.kind
    if kind == "f":
        # NaN falls through to the unbounded Box, and is refused by ``check`` where it stands
        if actions and (low >= -1).all() and (high <= 1).all():
            return gym.spaces.Box(-1, 1, shape, dtype.type)
        if actions and np.isfinite(low).all() and np.isfinite(high).all():
            return gym.spaces.Box(low, high, shape, dtype.type)
        return gym.spaces.Box(-np.inf, np.inf, shape, dtype.type)
    if shape == () and int(high) - int(low) < WIDEST:
        start = min(0, int(low))
        return gym.spaces.Discrete(2 if kind == "b" else int(high) - start + 1, start=start)
    if kind == "b":
        return gym.spaces.MultiBinary(shape if len(shape) > 1 else shape[0])
    if actions and (low >= 0).all() and (high < np.iinfo(dtype).max).all():  # the counts need room in the dtype
        return gym.spaces.MultiDiscrete(high.astype(np.int64) + 1, dtype=dtype.type)
    if actions:
        return gym.spaces.Box(low, high, shape, dtype.type)
    return gym.spaces.Box(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype.type)
