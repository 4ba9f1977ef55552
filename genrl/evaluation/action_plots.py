"""Pictures of what policies choose: the first actions of episodes as dots, and a share against a setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.evaluation.statistics import Interval
from genrl.evaluation.style import FAINT, SYNTHETIC, Picture, colours, grid, label, legend, legend_below


def first_actions(data: Mapping[str, Episodes], columns: int = 4, width: float = 1.75) -> Picture:
    """The first two entries of the first action of every episode, a panel for each data set.

    Where all episodes begin alike, a panel shows the distribution of actions in one state.

    Args:
        data: name -> episodes, e.g. data and what ``collect`` made with ``max_steps=1``; the first data set has no
            panel of its own but lies below all others.
        columns: panels in a row.
        width: of a panel in inches.

    Raises:
        UnsupportedSpaceError: an action has fewer than two numbers.
        ConfigurationError: there are fewer than two data sets.
    """
    if len(data) < 2:
        raise ConfigurationError(
            f"first_actions draws data sets above a first one; {', '.join(data) or 'none'} is all."
        )
    (name, below), *rest = [(name, _first(episodes)) for name, episodes in data.items()]
    reach = 1.08 * max(float(np.abs(dots).max()) for _, dots in [(name, below), *rest])
    picture, panels = grid(len(rest), columns, width, width + 0.3)
    for place, (axes, (title, dots)) in enumerate(zip(panels, rest, strict=True)):
        axes.plot(*below.T, **_dots(FAINT))
        axes.plot(*dots.T, **_dots(SYNTHETIC))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        leftmost, lowest = place % columns == 0, place + columns >= len(rest)
        axes.tick_params(labelleft=leftmost, labelbottom=lowest)
        label(axes, x="first action [0]" if lowest else "", y="first action [1]" if leftmost else "", title=title)
    marks = [Line2D([], [], label=name, **_dots(FAINT)), Line2D([], [], label="policy", **_dots(SYNTHETIC))]
    legend_below(picture, marks)
    return picture


def _first(episodes: Episodes) -> np.ndarray:
    """(E, 2) the first two entries of each episode's first action."""
    codec = SpaceCodec(episodes.action_space)
    if codec.dim < 2:
        raise UnsupportedSpaceError(f"first_actions draws two entries of an action; {episodes.action_space} has fewer.")
    return codec.encode(episodes.actions)[episodes.transition_starts, :2].double().numpy()


def _dots(colour: str) -> dict[str, Any]:
    return {"linestyle": "", "marker": ".", "markersize": 4, "markeredgewidth": 0, "color": colour, "alpha": 0.7}


def shares(curves: Mapping[str, Mapping[float, Interval]], x: str, y: str) -> Picture:
    """Shares with their intervals against a setting, such as the weight of guidance.

    Args:
        curves: name of a curve -> setting -> share, 0 to 1.
        x: label of the settings.
        y: label of the shares: of what, and what the interval is.
    """
    picture, (axes,) = grid(1, 1, 5.6, 3.2)
    for name, colour in colours(curves).items():
        settings = np.array(list(curves[name]), dtype=float)
        value, low, high = np.array([(share.value, share.low, share.high) for share in curves[name].values()]).T
        axes.vlines(settings, low, high, color=colour, linewidth=1.2, alpha=0.6)
        axes.plot(settings, value, color=colour, linewidth=1.8, marker="o", markersize=4.5, label=name)
    axes.set_ylim(-0.03, 1.03)
    label(axes, x=x, y=y)
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return picture
