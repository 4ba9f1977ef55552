"""Leaves of a space as float32 columns for a model, and back to values inside the space.

Categories become one-hot columns; bounded boxes may be opened up by an inverse tanh, as policy-guided diffusion does
with actions (Jackson et al. 2024, arXiv:2404.06356). Whatever a model puts into the columns decodes into the space.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrl.data.errors import AlignmentError, ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.spaces import Leaves, leaf_spaces

SATURATION = 0.999
"""Largest magnitude that enters arctanh."""


class LeafCodec(nn.Module, ABC):
    """One leaf: values (..., *shape) of native dtype <-> columns (..., dim) of float32."""

    dim: int
    free = False
    """Whether any number in a column is a value of the leaf."""

    def __init__(self, space: gym.Space) -> None:
        super().__init__()
        self.shape = tuple(space.shape or ())
        self.dtype = torch.from_numpy(np.zeros(0, space.dtype)).dtype

    @abstractmethod
    def encode(self, values: Tensor) -> Tensor:
        """(..., *shape) to (..., dim) float32."""

    @abstractmethod
    def decode(self, columns: Tensor) -> Tensor:
        """(..., dim) to (..., *shape) in native dtype, inside the space."""

    def native(self, columns: Tensor) -> Tensor:
        """(..., dim) columns in the space's own units, not squashed; differentiable."""
        return columns

    def outside(self, columns: Tensor) -> Tensor:
        """(..., dim) bool, which entries stand for nothing in the space, so that decoding would change them."""
        return self.encode(self.decode(columns)) != columns

    def flat(self, values: Tensor) -> Tensor:
        """(..., *shape) to (..., size)."""
        return values.reshape(*values.shape[: values.ndim - len(self.shape)], math.prod(self.shape))

    def shaped(self, values: Tensor) -> Tensor:
        """(..., size) to (..., *shape) in native dtype."""
        return values.reshape(*values.shape[:-1], *self.shape).to(self.dtype)


class BoxCodec(LeafCodec):
    """The values themselves; on the way back they are clipped to the bounds, integers rounded."""

    low: Tensor
    high: Tensor

    def __init__(self, space: gym.spaces.Box) -> None:
        super().__init__(space)
        self.dim = math.prod(self.shape)
        for name, bound in (("low", space.low), ("high", space.high)):
            if not self.dtype.is_floating_point:
                bound = np.minimum(bound, np.iinfo(np.int64).max).astype(np.int64)  # which not all of uint64 fits
            self.register_buffer(name, torch.from_numpy(bound).reshape(-1))
        self.free = self.dtype in (torch.float32, torch.float64) and bool((self.low.isinf() & self.high.isinf()).all())

    def encode(self, values: Tensor) -> Tensor:
        """(..., *shape) to (..., dim) float32."""
        return self.flat(values).float()

    def decode(self, columns: Tensor) -> Tensor:
        """(..., dim) to (..., *shape) in native dtype, inside the bounds."""
        exact = columns if self.dtype.is_floating_point else columns.round()
        return self.shaped(exact.to(self.low.dtype).maximum(self.low).minimum(self.high))

    def outside(self, columns: Tensor) -> Tensor:
        """(..., dim) bool, which entries are beyond a bound."""
        low, high = self.low, self.high
        if self.dtype.is_floating_point:  # a bound in half as many digits is still inside
            columns, low, high = columns.float(), low.float(), high.float()
        return (columns < low) | (columns > high)


class SquashedBoxCodec(BoxCodec):
    """A bounded box as arctanh of its values rescaled to [-1, 1]; values at the very bounds move 0.05 % inwards."""

    centre: Tensor
    radius: Tensor
    reach: Tensor  # the radius itself, where that one is 1 to be divided by

    def __init__(self, space: gym.spaces.Box) -> None:
        super().__init__(space)
        radius = self.high / 2 - self.low / 2
        self.register_buffer("centre", self.low + radius)
        self.register_buffer("radius", torch.where(radius > 0, radius, 1.0))
        self.register_buffer("reach", radius, persistent=False)

    def encode(self, values: Tensor) -> Tensor:
        """(..., *shape) to (..., dim) float32."""
        unit = (self.flat(values) - self.centre) / self.radius
        return torch.atanh(unit.clamp(-SATURATION, SATURATION)).float()

    def native(self, columns: Tensor) -> Tensor:
        """(..., dim) to (..., dim) between the bounds; differentiable."""
        return torch.tanh(columns.to(self.low.dtype)) * self.reach + self.centre

    def decode(self, columns: Tensor) -> Tensor:
        """(..., dim) to (..., *shape) in native dtype, inside the bounds."""
        return super().decode(self.native(columns))

    def outside(self, columns: Tensor) -> Tensor:
        """(..., dim) bool, no entry: every number is a value of the box."""
        return torch.zeros_like(columns, dtype=torch.bool)


class CategoryCodec(LeafCodec):
    """Discrete and MultiDiscrete: a block of one-hot columns per category, read back by the largest."""

    start: Tensor

    def __init__(self, space: gym.spaces.Discrete | gym.spaces.MultiDiscrete) -> None:
        super().__init__(space)
        counts = space.n if isinstance(space, gym.spaces.Discrete) else space.nvec
        self.counts: list[int] = np.reshape(counts, -1).tolist()
        self.dim = sum(self.counts)
        self.register_buffer("start", torch.from_numpy(np.reshape(space.start, -1).astype(np.int64)))

    def encode(self, values: Tensor) -> Tensor:
        """(..., *shape) to (..., dim) float32."""
        places = (self.flat(values).long() - self.start).unbind(-1)
        return torch.cat([F.one_hot(p, n) for p, n in zip(places, self.counts, strict=True)], -1).float()

    def decode(self, columns: Tensor) -> Tensor:
        """(..., dim) to (..., *shape) in native dtype."""
        places = [block.argmax(-1) for block in columns.split(self.counts, -1)]
        return self.shaped(torch.stack(places, -1) + self.start)


class BinaryCodec(LeafCodec):
    """MultiBinary: columns of 0 and 1, cut at one half."""

    def __init__(self, space: gym.spaces.MultiBinary) -> None:
        super().__init__(space)
        self.dim = math.prod(self.shape)

    def encode(self, values: Tensor) -> Tensor:
        """(..., *shape) to (..., dim) float32."""
        return self.flat(values).float()

    def decode(self, columns: Tensor) -> Tensor:
        """(..., dim) to (..., *shape) in native dtype."""
        return self.shaped(columns > 0.5)


def leaf_codec(path: str, space: gym.Space, squash: bool) -> LeafCodec:
    """The codec for one leaf.

    Raises:
        UnsupportedSpaceError: the leaf is an image (uint8 with two or more axes).
    """
    if isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        return CategoryCodec(space)
    if isinstance(space, gym.spaces.MultiBinary):
        return BinaryCodec(space)
    assert isinstance(space, gym.spaces.Box)
    if space.dtype == np.uint8 and len(space.shape) >= 2:
        raise UnsupportedSpaceError(
            f"The leaf '{path}' of shape {space.shape} and dtype uint8 is an image; encode it into a vector first, or "
            "choose other leaves. Supported are other Boxes, Discrete, MultiDiscrete and MultiBinary."
        )
    bounded = np.isfinite(space.low).all() and np.isfinite(space.high).all()
    opened = squash and bounded and np.issubdtype(space.dtype, np.floating)
    return SquashedBoxCodec(space) if opened else BoxCodec(space)


class SpaceCodec(nn.Module):
    """Several leaves of a space side by side: leaves of native dtype <-> rows (..., D) of float32.

    Everything follows from the space alone; bounds travel with the module as buffers.

    Args:
        space: any nesting of Dict and Tuple over Box, Discrete, MultiDiscrete and MultiBinary.
        leaves: paths to encode, in this order; all leaves by default.
        squash: open bounded boxes up by arctanh.

    Attributes:
        dim: D, the number of columns.
        sections: leaf path -> its columns.

    Raises:
        ConfigurationError: a path is not a leaf of the space.
        UnsupportedSpaceError: a leaf is an image.
    """

    _place: Tensor

    def __init__(self, space: gym.Space, leaves: Sequence[str] | None = None, squash: bool = False) -> None:
        super().__init__()
        spaces = leaf_spaces(space)
        self.paths = tuple(spaces if leaves is None else leaves)
        for path in self.paths:
            if path not in spaces:
                raise ConfigurationError(f"The space has no leaf '{path}'; its leaves are: {', '.join(spaces)}.")
        self.codecs = nn.ModuleList([leaf_codec(path, spaces[path], squash) for path in self.paths])
        self.register_buffer("_place", torch.empty(0), persistent=False)  # knows the device, whatever the leaves
        self.sections: dict[str, slice] = {}
        self.dim = 0
        for path, codec in self._leaves():
            self.sections[path] = slice(self.dim, self.dim + codec.dim)
            self.dim += codec.dim

    def encode(self, leaves: Leaves) -> Tensor:
        """Leaves (R, *shape) to (R, D) float32 on this codec's device; any number of leading axes will do.

        Raises:
            AlignmentError: a leaf is missing or its last axes differ from the space's.
        """
        for path, codec in self._leaves():
            if path not in leaves or tuple(leaves[path].shape)[leaves[path].ndim - len(codec.shape) :] != codec.shape:
                given = tuple(leaves[path].shape) if path in leaves else "none"
                raise AlignmentError(
                    f"The leaf '{path}' must have the shape (R, *{codec.shape}), not {given}: it is of another space"
                    " than the one that this was fitted to."
                )
        if not self.paths:
            return self._place.new_zeros((next(iter(leaves.values())).shape[0], 0))
        device = self._place.device
        return torch.cat([codec.encode(leaves[path].to(device)) for path, codec in self._leaves()], -1)

    def decode(self, x: Tensor) -> Leaves:
        """Rows (..., D) to leaves (..., *shape) in native dtype, all inside the space, on this codec's device.

        Raises:
            AlignmentError: the last axis is not D.
        """
        if x.shape[-1] != self.dim:
            raise AlignmentError(f"Rows to decode have {self.dim} columns, not {x.shape[-1]}.")
        x = x.to(self._place.device)
        return {path: codec.decode(x[..., self.sections[path]]) for path, codec in self._leaves()}

    def require_inside(self, x: Tensor, condition: str) -> None:
        """Refuse rows (B, ..., D) of a condition that decoding would change, for what is stored would not be what led.

        Raises:
            ConditionError: an entry is outside the space.
        """
        x = x.to(self._place.device)
        for path, codec in self._leaves():
            outside = codec.outside(x[..., self.sections[path]]).flatten(1).any(1)
            if outside.any():
                raise ConditionError(
                    f"The condition '{condition}' lies outside the observation space at '{path}' in row"
                    f" {int(outside.nonzero()[0])}; it is given in the data's own units, categories as columns of 0"
                    " and 1."
                )

    @property
    def free(self) -> bool:
        """Whether any rows (..., D) are in the space as they are."""
        return all(codec.free for _, codec in self._leaves())

    def native(self, x: Tensor) -> Tensor:
        """Rows (..., D) as the columns of a codec that does not squash, (..., D) float32; differentiable."""
        return torch.cat([codec.native(x[..., self.sections[path]]).float() for path, codec in self._leaves()], -1)

    def _leaves(self) -> list[tuple[str, LeafCodec]]:
        return list(zip(self.paths, self.codecs, strict=True))  # type: ignore[arg-type]
