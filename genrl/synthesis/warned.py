"""Warnings of work that is done in many parts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_of_a_kind() -> Iterator[None]:
    """Of warnings from one line of code only the first is passed on, at the end, with the number of the others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # the filters around this decide when they are passed on
        yield
    kinds: dict[tuple[type[Warning], str, int], list[str]] = {}
    for each in caught:
        kinds.setdefault((each.category, each.filename, each.lineno), []).append(str(each.message))
    for (category, filename, line), [first, *more] in kinds.items():
        text = f"{first} ({len(more)} more like this.)" if more else first
        warnings.warn_explicit(text, category, filename, line)
