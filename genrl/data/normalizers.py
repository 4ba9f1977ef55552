"""Normalisers per dimension as modules: buffers only, so that a checkpoint carries them, and exactly invertible.

A dimension that is constant in the data is only shifted, so nothing is ever divided by zero. Values outside the range
of the data are mapped linearly, never clipped.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from genrl.data.errors import AlignmentError, EmptyDatasetError, NonFiniteError

NEGLIGIBLE = 1e-6
"""Spread relative to the largest magnitude below which a float32 dimension counts as constant."""

SMALLEST = 1e-30
"""Spread below which anything counts as constant: float32 soon ends."""


class Normalizer(nn.Module, ABC):
    """Maps data (..., D) to a well-scaled range and back; the identity until it is fitted.

    Args:
        dim: D, the number of dimensions; may be 0.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def fit(self, x: Tensor) -> Self:
        """Learn the map from data (N, D) and return the normaliser itself.

        Raises:
            AlignmentError: the data are not (N, D).
            EmptyDatasetError: N is 0.
            NonFiniteError: a value is NaN or infinite; the message names the dimension.
        """
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise AlignmentError(
                f"{type(self).__name__}({self.dim}) is fitted to (N, {self.dim}), not {tuple(x.shape)}."
            )
        if x.shape[0] == 0:
            raise EmptyDatasetError(f"{type(self).__name__} cannot be fitted to no rows at all.")
        for d, column in enumerate(_columns(x)):
            if not column.isfinite().all():
                raise NonFiniteError(f"Dimension {d} of the data holds NaN or infinite values; remove those episodes.")
            self._fit_column(d, column)
        return self

    @abstractmethod
    def _fit_column(self, d: int, column: Tensor) -> None:
        """Learn the map of dimension d from its values (N,), float64."""

    @abstractmethod
    def normalize(self, x: Tensor) -> Tensor:
        """Data (..., D) to the normalised range."""

    @abstractmethod
    def denormalize(self, x: Tensor) -> Tensor:
        """The inverse of ``normalize``."""


class Identity(Normalizer):
    """Leaves everything as it is."""

    def _fit_column(self, d: int, column: Tensor) -> None: ...

    def normalize(self, x: Tensor) -> Tensor:
        """The data themselves."""
        return x

    def denormalize(self, x: Tensor) -> Tensor:
        """The data themselves."""
        return x


class Affine(Normalizer):
    """normalize(x) = (x - shift) / scale."""

    shift: Tensor
    scale: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.register_buffer("shift", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def _set(self, d: int, column: Tensor, shift: Tensor, scale: Tensor) -> None:
        self.shift[d] = shift
        self.scale[d] = 1.0 if _negligible(scale, column) else scale

    def normalize(self, x: Tensor) -> Tensor:
        """(x - shift) / scale."""
        return (x - self.shift) / self.scale

    def denormalize(self, x: Tensor) -> Tensor:
        """``x * scale + shift``."""
        return x * self.scale + self.shift


class ZScore(Affine):
    """Zero mean and unit standard deviation."""

    def _fit_column(self, d: int, column: Tensor) -> None:
        self._set(d, column, column.mean(), column.std(correction=0))


class MinMax(Affine):
    """The range of the data to [-1, 1]."""

    def _fit_column(self, d: int, column: Tensor) -> None:
        low, high = column.aminmax()
        self._set(d, column, (low + high) / 2, (high - low) / 2)


class Quantile(Normalizer):
    """The empirical distribution function, piecewise linear between quantiles, to [-1, 1]: the data become uniform.

    Values that occur often (an atom of the distribution) get one knot at the mean of their levels, so the map rises
    strictly and has an inverse; beyond the data it goes on with its average slope.

    Args:
        dim: D, the number of dimensions.
        knots: K, the number of quantiles kept, at least 2.
    """

    values: Tensor
    levels: Tensor
    count: Tensor

    def __init__(self, dim: int, knots: int = 256) -> None:
        super().__init__(dim)
        line = torch.full((dim, max(knots, 2)), torch.inf)
        line[:, :2] = torch.tensor([-1.0, 1.0])
        self.register_buffer("values", line)  # (D, K) knots in the data's units, rising, infinite after the last
        self.register_buffer("levels", line.clone())  # (D, K) knots in the normalised range
        self.register_buffer("count", torch.full((dim,), 2))  # (D,) knots in use

    def _fit_column(self, d: int, column: Tensor) -> None:
        knots = self.values.shape[1]
        probabilities = torch.linspace(0, 1, knots, dtype=torch.float64)
        place = probabilities * (len(column) - 1)
        ordered = column.sort().values
        below = ordered[place.floor().long()]
        quantiles = below + (ordered[place.ceil().long()] - below) * place.frac()
        atoms, atom = quantiles.float().unique(
            return_inverse=True
        )  # one knot for values that float32 cannot tell apart
        levels = torch.zeros(len(atoms), dtype=torch.float64)
        levels = levels.index_add(0, atom, probabilities) / atom.bincount()
        levels[0], levels[-1] = 0.0, 1.0
        levels = self._level(levels)
        if _negligible(ordered[-1] - ordered[0], column):
            atoms, levels = atoms.mean() + torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0])
        for buffer, new in ((self.values, atoms), (self.levels, levels)):
            buffer[d] = torch.inf
            buffer[d, : len(new)] = new
        self.count[d] = len(atoms)

    def _level(self, probabilities: Tensor) -> Tensor:
        """Where quantiles of these probabilities go in the normalised range; rises strictly."""
        return 2 * probabilities - 1

    def normalize(self, x: Tensor) -> Tensor:
        """Data (..., D) to [-1, 1]; outside the range of the data, beyond it."""
        return self._interpolate(x, self.values, self.levels)

    def denormalize(self, x: Tensor) -> Tensor:
        """The inverse of ``normalize``."""
        return self._interpolate(x, self.levels, self.values)

    def _interpolate(self, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        columns = x.reshape(math.prod(x.shape[:-1]), self.dim).T.contiguous()  # (D, M)
        last = (self.count - 1)[:, None]
        right = torch.searchsorted(source, columns).clamp(min=1).minimum(last)  # (D, M)
        a, b = source.gather(1, right - 1), source.gather(1, right)
        p, q = target.gather(1, right - 1), target.gather(1, right)
        low, high = source[:, :1], source.gather(1, last)
        slope = (target.gather(1, last) - target[:, :1]) / (high - low)  # (D, 1) beyond the data
        inside = columns.maximum(low).minimum(high)
        result = p + (inside - a) / (b - a).clamp(min=SMALLEST) * (q - p) + (columns - inside) * slope
        return result.T.reshape(x.shape)


class GaussianQuantile(Quantile):
    """As ``Quantile``, but the data become standard normal, between the levels of a sample of K values."""

    def _level(self, probabilities: Tensor) -> Tensor:
        half = 0.5 / self.values.shape[1]
        return torch.special.ndtri(probabilities.clamp(half, 1 - half))


def _negligible(spread: Tensor, column: Tensor) -> bool:
    return float(spread) <= max(NEGLIGIBLE * float(column.abs().max()), SMALLEST)


def _columns(x: Tensor) -> Iterator[Tensor]:
    """Each dimension by itself in float64, so that no second copy of the data is made."""
    return (x[:, d].double().cpu() for d in range(x.shape[1]))
