"""Where an observation space keeps its state, the goal it has achieved and the goal it is asked for."""

from dataclasses import dataclass, replace
from typing import Self

import gymnasium as gym

from genrl.data.episodes import Episodes
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


def in_hindsight(episodes: Episodes) -> Episodes:
    """``episodes`` with what each achieved at its end as its desired goal; unchanged where the space holds no goals.

    Source: "Hindsight Experience Replay" (Andrychowicz et al. 2017), https://arxiv.org/abs/1707.01495, strategy final.
    """
    layout = GoalLayout.of(episodes.observation_space)
    end = (episodes.observation_starts + episodes.lengths).repeat_interleave(episodes.lengths + 1)
    pairs = zip(layout.achieved, layout.desired, strict=False)
    desired = {wanted: episodes.observations[got][end] for got, wanted in pairs}
    return replace(episodes, observations=episodes.observations | desired)
