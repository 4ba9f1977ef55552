"""Pictures of a frozen lake: where episodes went, and what a policy does in each cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from genrl.data.episodes import Episodes
from genrl.data.errors import UnsupportedSpaceError
from genrl.evaluation.style import INK, MUTED, PANEL, REAL, Picture, grid, label

ARROWS = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
"""(right, down) of FrozenLake's actions: left, down, right, up."""


def visits(episodes: Episodes, states: int) -> np.ndarray:
    """(states,) share of all observed states."""
    counts = np.bincount(episodes.observations[""].numpy(), minlength=states)
    return counts / counts.sum()


def lakes(panels: Mapping[str, Episodes], env: gym.Env, actions: Mapping[str, np.ndarray] | None = None) -> Picture:
    """Panels side by side, each a lake shaded by how often its cells were visited.

    Args:
        panels: title -> episodes.
        env: FrozenLake, of their map.
        actions: title -> (S,) an action for each cell, drawn as arrows on the ice.

    Raises:
        UnsupportedSpaceError: another environment.
    """
    inner: Any = env.unwrapped
    if not hasattr(inner, "desc"):
        raise UnsupportedSpaceError(f"A picture of a lake needs FrozenLake's map, env.desc, which {env} has not.")
    letters = inner.desc.astype(str)
    shares = {title: visits(episodes, letters.size).reshape(letters.shape) for title, episodes in panels.items()}
    picture, axes = grid(len(panels), 3, PANEL, PANEL + 0.3)
    most = max(float(share.max()) for share in shares.values())
    for panel, (title, share) in zip(axes, shares.items(), strict=True):
        _draw(panel, letters, np.sqrt(share / most))
        if actions is not None:
            _draw_arrows(panel, letters, actions[title])
        label(panel, title=title)
    return picture


def _draw(axes: Axes, letters: np.ndarray, shade: np.ndarray) -> None:
    """Ice shaded between 0 and 1 in blue, holes in black, start and goal by their letters."""
    rows, columns = letters.shape
    for row, column in np.ndindex(rows, columns):
        place, letter = (column - 0.5, row - 0.5), letters[row, column]
        colour, alpha = (INK, 1.0) if letter == "H" else (REAL, 0.8 * shade[row, column])
        axes.add_patch(Rectangle(place, 1, 1, facecolor=colour, alpha=alpha, edgecolor=MUTED, linewidth=0.5))
        if letter in "SG":
            axes.annotate(letter, (column - 0.34, row - 0.26), ha="center", color=INK, fontsize=9, weight="bold")
    axes.set(xlim=(-0.52, columns - 0.48), ylim=(rows - 0.48, -0.52), aspect="equal", xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _draw_arrows(axes: Axes, letters: np.ndarray, actions: np.ndarray) -> None:
    """One arrow a cell of ice."""
    ice = np.flatnonzero((letters.ravel() == "F") | (letters.ravel() == "S"))
    row, column = np.divmod(ice, letters.shape[1])
    right, down = ARROWS[actions[ice]].T * 0.5
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "color": INK, "width": 0.012}
    axes.quiver(column - right / 2, row - down / 2, right, down, **style)
