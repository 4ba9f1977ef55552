"""Arguments, refused by their names where they are out of range."""

from __future__ import annotations

import math
from numbers import Integral, Real

from genrl.data.errors import ConfigurationError


def require_numbers(who: str, **values: object) -> None:
    """Refuse what is no finite number.

    Raises:
        ConfigurationError: a value of ``who`` is none.
    """
    for name, value in values.items():
        if not (isinstance(value, Real) and math.isfinite(value)):
            raise ConfigurationError(f"{name} of a {who} is a finite number, not {value!r}.")


def require_at_least(lowest: float, **numbers: float | None) -> None:
    """Refuse numbers that are lower, or none at all (NaN); None is not looked at.

    Raises:
        ConfigurationError: one is below ``lowest``.
    """
    for name, number in numbers.items():
        if number is not None and not number >= lowest:
            raise ConfigurationError(f"{name} must be at least {lowest:g}, not {number}.")


def require_whole(lowest: int, **numbers: object) -> None:
    """Refuse numbers that are not whole, or lower; None is not looked at.

    Raises:
        ConfigurationError: one is, or is no number at all.
    """
    for name, number in numbers.items():
        if number is not None and not isinstance(number, Integral):
            raise ConfigurationError(f"{name} must be a whole number, not {number!r}.")
    require_at_least(lowest, **numbers)  # type: ignore[arg-type]


def require_shares(**numbers: float) -> None:
    """Refuse numbers that are no shares.

    Raises:
        ConfigurationError: one is not from 0 to 1.
    """
    for name, number in numbers.items():
        if not 0 <= number <= 1:
            raise ConfigurationError(f"{name} must be from 0 to 1, not {number}.")
