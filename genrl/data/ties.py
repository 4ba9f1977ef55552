"""Goal-conditioned observations repeat themselves: the achieved goal is often a copy of a part of the state."""

import torch

from genrl.data.episodes import Episodes


def tied_columns(episodes: Episodes, achieved: str = "achieved_goal", state: str = "observation") -> list[int] | None:
    """Columns of the leaf ``state`` that the leaf ``achieved`` copies at every step; None where it does not.

    A generative model then models the state alone, and the copy is made when it is decoded.
    """
    if achieved not in episodes.observations or state not in episodes.observations:
        return None
    goal = episodes.observations[achieved].flatten(1)
    whole = episodes.observations[state].flatten(1)
    columns: list[int] = []
    for wanted in goal.T:
        same = (whole == wanted[:, None]).all(0).nonzero().flatten().tolist()
        if not same:
            return None
        columns.append(next((column for column in same if column not in columns), same[0]))
    return columns if torch.equal(whole[:, columns], goal) else None
