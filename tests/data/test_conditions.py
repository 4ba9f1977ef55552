"""Wishes that cannot be meant are refused where they are made."""

import numpy as np
import pytest
import torch

from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError


@pytest.mark.parametrize("name", ["start", "goal", "returns", "outcome", "latent"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_entries_that_are_no_numbers_are_refused_by_row(name, value):
    rows = torch.zeros(4) if name == "returns" else torch.zeros(4, 2)
    Conditions(**{name: rows})
    rows[2] = value
    with pytest.raises(ConditionError, match=f"The condition '{name}' holds NaN or infinite values in row 2"):
        Conditions(**{name: rows})


def test_known_entries_may_be_open_but_not_infinite():
    known = torch.full((3, 5, 2), torch.nan)
    assert Conditions(known=known).rows(slice(1, 3)).known.shape == (2, 5, 2)
    known[1, 4, 0] = torch.inf
    with pytest.raises(ConditionError, match="'known' holds NaN or infinite values in row 1"):
        Conditions(known=known)


def test_whole_numbers_are_taken():
    assert Conditions(outcome=torch.arange(3)).given()["outcome"].tolist() == [0, 1, 2]


def test_one_number_is_no_batch():
    wish = Conditions(returns=torch.tensor(90.0))
    with pytest.raises(ConditionError, match="'returns' has no rows for a batch of 2"):
        wish.require("RvS", {"returns"}, 2)


def test_an_array_is_no_tensor():
    with pytest.raises(ConditionError, match="'goal' is a tensor of torch, not a ndarray"):
        Conditions(goal=np.zeros((2, 2)))
