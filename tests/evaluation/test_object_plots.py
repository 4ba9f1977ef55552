"""Pictures of distributions over cells: every number stands where its cell is."""

import numpy as np
import pytest
import torch

from genrl.data.errors import AlignmentError
from genrl.evaluation.object_plots import chances

CELLS = torch.cartesian_prod(torch.arange(3), torch.arange(3))


def test_a_panel_for_each_with_every_cell_in_its_place():
    values = torch.arange(9.0)
    picture = chances({"one": values, "two": values.flip(0)}, CELLS, marked={"two": (1, 2)})
    first, second = picture.axes
    shown = first.images[0].get_array()  # rows are the second entry, from below
    assert shown[2, 0] == pytest.approx(2 / 36)
    assert shown[0, 2] == pytest.approx(6 / 36)
    assert (first.get_title("left"), len(first.lines), len(second.lines)) == ("one", 0, 1)
    assert np.allclose(second.lines[0].get_xydata().mean(0)[:1], 1, atol=0.2)
    assert picture.png()


def test_what_does_not_fit_is_refused():
    with pytest.raises(AlignmentError, match=r"one has \(4,\) numbers for 9 objects"):
        chances({"one": torch.ones(4)}, CELLS)
    with pytest.raises(AlignmentError, match=r"takes objects \(X, 2\), not \(4, 3\)"):
        chances({"one": torch.ones(4)}, torch.zeros(4, 3))
