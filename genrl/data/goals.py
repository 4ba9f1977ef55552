"""Where an observation space keeps its state, the goal it has achieved and the goal it is asked for."""

from dataclasses import dataclass
from typing import Self

import gymnasium as gym

from genrl.data.spaces import leaf_spaces

GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")


@dataclass(frozen=True)
class GoalLayout:
    """Leaf paths of an observation space by their meaning.

    Attributes:
        state: what a dynamics model or a policy sees of the world.
        achieved: what a goal is compared with.
        desired: the goal asked for; empty where the space holds none.
    """

    state: tuple[str, ...]
    achieved: tuple[str, ...]
    desired: tuple[str, ...]

    @classmethod
    def of(cls, observation_space: gym.Space) -> Self:
        """Gymnasium-Robotics' goal dictionaries by their keys; of any other space, all leaves are state and goal."""
        paths = tuple(leaf_spaces(observation_space))
        if not isinstance(observation_space, gym.spaces.Dict) or set(observation_space.spaces) != set(GOAL_KEYS):
            return cls(state=paths, achieved=paths, desired=())
        state, achieved, desired = (
            tuple(path for path in paths if path == key or path.startswith(f"{key}/")) for key in GOAL_KEYS
        )
        return cls(state, achieved, desired)
