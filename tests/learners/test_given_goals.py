"""Goals are judged by what they are, in whatever numbers they come."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.errors import ConditionError
from genrl.learners.columns import Columns
from genrl.learners.given_goals import checked


def goal_in(low, high, value, dtype, of=np.float32):
    box = gym.spaces.Box(low, high, (1,), of)
    return checked(torch.tensor([[value]], dtype=dtype), Columns(box, [""]), 1, 1).tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_the_numbers_a_goal_is_made_of_do_not_matter(dtype):
    assert goal_in(-np.inf, np.inf, 3, dtype) == [[[3.0]]]
    assert goal_in(-3, 5, -3, dtype, np.int32) == [[[-3.0]]]
    for value in (0, 4):
        with pytest.raises(ConditionError, match="outside the observation space"):
            goal_in(0.5, 3.5, value, dtype)


@pytest.mark.parametrize("of", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bound_is_inside_however_it_is_rounded(of, dtype):
    for bound in (-0.9, 0.7):
        assert goal_in(-0.9, 0.7, bound, dtype, of) == [[[pytest.approx(bound)]]]


def test_a_category_is_one_of_its_columns():
    columns = Columns(gym.spaces.Discrete(3), [""])
    assert checked(torch.tensor([[0.0, 1.0, 0.0]]), columns, 1, 1).tolist() == [[[0.0, 1.0, 0.0]]]
    for goal in ([0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [7.3, 7.3, 7.3]):
        with pytest.raises(ConditionError, match="categories as columns of 0 and 1"):
            checked(torch.tensor([goal]), columns, 1, 1)
    with pytest.raises(ConditionError, match="outside the observation space"):
        checked(torch.tensor([[0.0, 0.5]]), Columns(gym.spaces.MultiBinary(2), [""]), 1, 1)
