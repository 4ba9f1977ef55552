"""Streams are functions of their keys, whatever kind of integer a key is made of."""

import numpy as np
import pytest

from genrl.data.randomness import generator


@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_numpy_integers_count_as_integers(kind):
    assert generator(kind(5), "split", kind(-3)).initial_seed() == generator(5, "split", -3).initial_seed()


def test_every_part_of_a_key_counts():
    keys = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", 1), (-1,)]
    assert len({generator(*key).initial_seed() for key in keys}) == len(keys)
