"""Pictures of data sets: trajectories, marginals, correlations, returns, nearest neighbours, denoising.

Each function returns a ``Picture``, a matplotlib figure that shows itself in a notebook; ``savefig`` stores it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from genrl.data.columns import comparable
from genrl.data.copying import CLOSE_PERCENTILE, Copying
from genrl.data.episodes import Episodes
from genrl.evaluation.fidelity import MAX_ROWS, Fidelity, scaled_wasserstein, total_variation
from genrl.evaluation.mazes import Maze
from genrl.evaluation.planes import DESIRED, Plane, Positions, plane_of
from genrl.evaluation.style import (
    FAINT,
    INK,
    MUTED,
    PALETTE,
    PANEL,
    REAL,
    SYNTHETIC,
    Picture,
    colours,
    grid,
    label,
    legend,
    legend_below,
)

MOST_PANELS = 24
MARKS: dict[str, dict[str, Any]] = {
    "start": {"marker": "o", "markersize": 4.5, "label": "start"},
    "end": {"marker": "o", "markersize": 4.5, "markeredgewidth": 0, "label": "end"},
    "goal": {"marker": "*", "markersize": 8, "color": "#F0E442", "markeredgecolor": INK, "markeredgewidth": 0.5}
    | {"label": "goal"},
}

BOTH = (Patch(color=REAL, alpha=0.35, label="real"), Line2D([], [], color=SYNTHETIC, label="synthetic"))


def trajectories(data: Mapping[str, Episodes], maze: Maze | None = None, most: int = 60, seed: int = 0) -> Picture:
    """The same plane once a data set, side by side: paths, their starts (rings), ends (dots) and goals (stars).

    Args:
        data: name -> episodes, e.g. ``{"real": ..., "synthetic": ...}``; the first one sets the plane.
        maze: its walls are drawn; by default the maze of the first data set's card, if it describes one.
        most: at most so many episodes a panel, drawn with ``seed``.
        seed: of that draw.
    """
    first = next(iter(data.values()))
    maze = maze or Maze.of_card(first.card)
    plane = plane_of(first, maze is not None)
    flat = 1.0 if maze is None else min(1.0, maze.half_size[1] / maze.half_size[0])  # a wide maze needs less height
    picture, panels = grid(len(data), 4, PANEL + 0.4, flat * PANEL + 0.7)
    for (name, episodes), colour, axes in zip(data.items(), colours(data).values(), panels, strict=True):
        order = torch.randperm(len(episodes), generator=torch.Generator().manual_seed(seed))
        shown = episodes.select(order[:most])
        count = f"{len(shown)} of {len(episodes)}" if len(shown) < len(episodes) else f"{len(shown)}"
        x, y = plane.labels if maze is None else ("", "")
        label(axes, x=x, y=y if axes is panels[0] else "", title=f"{name} ({count} episodes)")
        if maze is not None:
            maze.draw(axes)
        _paths(axes, shown, plane, colour)
    if maze is None:
        _share_limits(panels)
    marks = [MARKS["start"] | {"color": "white", "markeredgecolor": INK}, MARKS["end"] | {"color": INK}]
    marks += [MARKS["goal"]] if _has_goals(first, plane) else []
    legend_below(picture, [Line2D([], [], linestyle="", **mark) for mark in marks])
    return picture


def _paths(axes: Axes, episodes: Episodes, plane: Plane, colour: str) -> None:
    points = plane.project(episodes)
    starts = episodes.observation_starts.numpy()
    ends = starts + episodes.lengths.numpy()
    alpha = float(np.clip(12 / len(episodes), 0.25, 0.9))
    lines = [points[start : end + 1] for start, end in zip(starts, ends, strict=True)]
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=1.1, alpha=alpha))
    if _has_goals(episodes, plane):
        goals = episodes.observations[DESIRED][ends, :2].numpy()
        axes.plot(*goals.T, linestyle="", **MARKS["goal"])
    axes.plot(*points[starts].T, linestyle="", color="white", markeredgecolor=colour, **MARKS["start"])
    axes.plot(*points[ends].T, linestyle="", color=colour, **MARKS["end"])
    axes.autoscale_view()


def _has_goals(episodes: Episodes, plane: Plane) -> bool:
    return DESIRED in episodes.observations and isinstance(plane, Positions)


def _share_limits(panels: Sequence[Axes]) -> None:
    lows = np.min([(axes.get_xlim()[0], axes.get_ylim()[0]) for axes in panels], axis=0)
    highs = np.max([(axes.get_xlim()[1], axes.get_ylim()[1]) for axes in panels], axis=0)
    for axes in panels:
        axes.set(xlim=(lows[0], highs[0]), ylim=(lows[1], highs[1]))


def marginals(real: Episodes, synthetic: Episodes, most: int = MOST_PANELS) -> Picture:
    """Distributions of the first ``most`` variables, real filled and synthetic as a line.

    The grey figure is the distance of the two: Wasserstein-1 in real standard deviations; for a choice the total
    variation, the share of rows that would have to choose otherwise.

    Raises:
        AlignmentError: the two have different spaces.
    """
    first, second = comparable(real, synthetic)
    one, two = first.drawn(MAX_ROWS).numpy(), second.drawn(MAX_ROWS).numpy()
    variables = list(first.variables.items())[:most]
    picture, panels = grid(len(variables), 4, 2.45, 1.8)
    for (name, columns), axes in zip(variables, panels, strict=True):
        if first.categories[columns.start] is not None:
            _shares(axes, np.array(first.categories[columns]), one[:, columns], two[:, columns])
            distance = total_variation(one[:, columns], two[:, columns])
        else:
            _histograms(axes, one[:, columns.start], two[:, columns.start])
            distance = scaled_wasserstein(one[:, columns.start], two[:, columns.start])
        axes.set_yticks([])
        label(axes, title=name)
        axes.set_title(f"{distance:.2f}", fontsize=8.5, color=MUTED, loc="right")
    panels[0].set_ylabel("density", fontsize=9, color=INK)
    legend_below(picture, BOTH)
    return picture


def _shares(axes: Axes, values: np.ndarray, real: np.ndarray, synthetic: np.ndarray) -> None:
    """Share of each category, a bar for real and a step for synthetic, at the category's own number."""
    edges = np.append(values, values[-1] + 1) - 0.5
    axes.bar(values, real.mean(0), width=1.0, color=REAL, alpha=0.35, label="real")
    axes.stairs(synthetic.mean(0), edges, color=SYNTHETIC, linewidth=1.4, label="synthetic")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(False)


def returns(real: Episodes, synthetic: Episodes) -> Picture:
    """Distributions of undiscounted returns and of episode lengths, with their means."""
    picture, (left, right) = grid(2, 2, 4.4, 2.9)
    _histograms(left, real.returns.numpy(), synthetic.returns.numpy(), means=True)
    label(left, x="undiscounted return of an episode", y="density")
    _histograms(right, real.lengths.double().numpy(), synthetic.lengths.double().numpy(), means=True)
    label(right, x="length of an episode in steps", y="density")
    legend_below(picture, BOTH)
    return picture


def _histograms(axes: Axes, real: np.ndarray, synthetic: np.ndarray, means: bool = False) -> None:
    """Two densities over common bins that span the middle 99.8 % of both."""
    both = np.concatenate([np.quantile(values, [0.001, 0.999]) for values in (real, synthetic)])
    low, high = both.min(), both.max()
    margin = 0.02 * (high - low) or 0.5
    count = int(np.clip(2 * np.sqrt(min(real.size, synthetic.size)), 12, 40)) | 1  # odd: a lone value is centred
    bins = np.linspace(low - margin, high + margin, count + 1)
    axes.hist(real, bins, density=True, color=REAL, alpha=0.35, label="real")
    axes.hist(synthetic, bins, density=True, histtype="step", color=SYNTHETIC, linewidth=1.4, label="synthetic")
    for values, colour in ((real, REAL), (synthetic, SYNTHETIC)) if means else ():
        axes.axvline(values.mean(), color=colour, linestyle=(0, (4, 2)), linewidth=1.2)
    axes.grid(False)


def correlations(compared: Fidelity) -> Picture:
    """Correlation matrices of real and synthetic columns, and their difference."""
    matrices = {
        "real": compared.correlation_real,
        "synthetic": compared.correlation_synthetic,
        "difference": compared.correlation_synthetic - compared.correlation_real,
    }
    few = len(compared.names) <= 16
    picture, panels = grid(3, 3, PANEL + 0.3, PANEL + (0.7 if few else 0.2))
    for axes, (name, matrix) in zip(panels, matrices.items(), strict=True):
        image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=6.5)
        ticks = range(len(compared.names)) if few else []
        axes.set_xticks(ticks, compared.names if few else [], rotation=90)
        axes.set_yticks(ticks, compared.names if few and axes is panels[0] else [""] * len(ticks))
        label(axes, title=name)
    bar = picture.colorbar(image, ax=panels, shrink=0.6, aspect=25)
    bar.set_label("Pearson correlation", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return picture


def neighbours(measured: Copying) -> Picture:
    """Cumulative distribution of the distance to the nearest training window, synthetic against held-out real."""
    picture, (axes,) = grid(1, 1, 5.2, 3.2)
    for name, values, colour in (
        ("held-out real windows", measured.held_out, REAL),
        ("synthetic windows", measured.synthetic, SYNTHETIC),
    ):
        axes.ecdf(values, color=colour, linewidth=1.8, label=name)
    limit = float(np.percentile(measured.held_out, CLOSE_PERCENTILE))
    axes.axvline(limit, color=MUTED, linestyle=(0, (4, 2)), linewidth=1.2, label="held-out 5th percentile")
    axes.set_xlim(left=0.0)
    label(
        axes,
        x=f"distance to the nearest training window of {measured.horizon} steps (real std per entry)",
        y="share of windows",
        title=f"copying {measured.copying:.2f} (fresh data: 0.50)",
    )
    legend(axes, loc="lower right")
    return picture


def film_strip(
    steps: Sequence[ArrayLike], levels: Sequence[float], maze: Maze | None = None, most: int = 25, panels: int = 6
) -> Picture:
    """Denoising, left to right: the first two entries of every row of a batch of trajectories, some steps of many.

    Args:
        steps: K arrays (B, H, D), from noise to data, in the data's own units.
        levels: K noise levels sigma.
        maze: its walls are drawn.
        most: trajectories shown.
        panels: steps shown, first and last among them.
    """
    chosen = np.unique(np.linspace(0, len(steps) - 1, panels).round().astype(int))
    picture, axes_row = grid(len(chosen), len(chosen), 2.1, 2.5)
    last = np.asarray(steps[-1])[..., :2]
    centre, reach = last.mean((0, 1)), 3.0 * np.abs(last - last.mean((0, 1))).max()
    for axes, k in zip(axes_row, chosen, strict=True):
        batch = np.asarray(steps[k])[:most, :, :2]  # (b, H, 2)
        if maze is not None:
            maze.draw(axes)
        else:
            axes.set(xlim=centre[0] + np.array([-reach, reach]) / 2, ylim=centre[1] + np.array([-reach, reach]) / 2)
            axes.set(xticks=[], yticks=[], aspect="equal")
        axes.grid(False)
        axes.spines[:].set(visible=True, color=FAINT)
        axes.add_collection(LineCollection(list(batch), colors=SYNTHETIC, linewidths=0.6, alpha=0.22))
        axes.plot(*batch.reshape(-1, 2).T, ".", color=SYNTHETIC, markersize=2, alpha=0.5, markeredgewidth=0)
        axes.add_collection(LineCollection(list(batch[:3]), colors=PALETTE[2:5], linewidths=1.2))  # to follow by eye
        axes.set_title(rf"$\sigma$ = {levels[k]:.2g}", fontsize=9.5, color=INK)
    picture.supxlabel("denoising →", fontsize=9, color=INK)
    return picture
