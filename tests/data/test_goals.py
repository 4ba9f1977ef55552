import numpy as np
from gymnasium import spaces

from genrl.data.environments import make_env
from genrl.data.goals import GoalLayout

BOX = spaces.Box(-1, 1, (2,), np.float64)


def test_goal_dictionaries():
    layout = GoalLayout.of(make_env("PointMaze_UMaze-v3").observation_space)
    assert layout == GoalLayout(("observation",), ("achieved_goal",), ("desired_goal",))


def test_nested_goals_keep_all_their_leaves():
    goal = spaces.Dict({"kettle": BOX, "microwave": BOX})
    space = spaces.Dict({"observation": BOX, "achieved_goal": goal, "desired_goal": goal})
    layout = GoalLayout.of(space)
    assert layout.state == ("observation",)
    assert layout.achieved == ("achieved_goal/kettle", "achieved_goal/microwave")
    assert layout.desired == ("desired_goal/kettle", "desired_goal/microwave")


def test_any_other_space_is_its_own_goal():
    assert GoalLayout.of(BOX) == GoalLayout(("",), ("",), ())
    assert GoalLayout.of(spaces.Tuple([BOX, BOX])) == GoalLayout(("0", "1"), ("0", "1"), ())
    assert GoalLayout.of(spaces.Dict({"observation": BOX})) == GoalLayout(("observation",), ("observation",), ())
