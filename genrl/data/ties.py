"""Goal-conditioned observations repeat themselves: the achieved goal is often a copy of a part of the state."""

import gymnasium as gym
import torch

from genrl.data.episodes import Episodes
from genrl.data.spaces import leaf_spaces


def tied_columns(episodes: Episodes, achieved: str = "achieved_goal", state: str = "observation") -> list[int] | None:
    """Columns of the leaf ``state`` that the leaf ``achieved`` copies at every step; None where it does not.

    Only Boxes are compared: they alone have a column for each of their numbers. A generative model then models the
    state alone, and the copy is made when it is decoded.
    """
    spaces = leaf_spaces(episodes.observation_space)
    if not all(isinstance(spaces.get(leaf), gym.spaces.Box) for leaf in (achieved, state)):
        return None
    rows = episodes.num_transitions + len(episodes)
    goal = episodes.observations[achieved].reshape(rows, -1)
    whole = episodes.observations[state].reshape(rows, -1)
    columns: list[int] = []
    for wanted in goal.T:
        same = (whole == wanted[:, None]).all(0).nonzero().flatten().tolist()
        if not same:
            return None
        columns.append(next((column for column in same if column not in columns), same[0]))
    return columns if torch.equal(whole[:, columns], goal) else None
