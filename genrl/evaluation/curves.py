"""Pictures of runs: learning curves from a log, and arms compared with their intervals."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from genrl.data.errors import ConfigurationError
from genrl.evaluation.statistics import Interval
from genrl.evaluation.style import FAINT, INK, Picture, colours, grid, label, legend, tidy

Curve = tuple[ArrayLike, ArrayLike]
"""Steps and values of one metric."""


def read_metrics(path: Path | str) -> dict[str, Curve]:
    """Every metric of the ``metrics.csv`` that Lightning's CSVLogger writes: name -> (steps, values)."""
    points: dict[str, list[tuple[float, float]]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                if name not in ("step", "epoch") and text:
                    points.setdefault(name, []).append((float(row["step"]), float(text)))
    return {name: (np.array(rows)[:, 0], np.array(rows)[:, 1]) for name, rows in points.items()}


def learning_curves(
    source: Path | str | Mapping[str, Curve],
    metrics: Sequence[str] | None = None,
    y: str = "loss",
    log: bool = False,
) -> Picture:
    """Metrics over training steps, from a ``metrics.csv`` or a dictionary; noisy ones faint with their running mean.

    Args:
        source: path of a ``metrics.csv``, or name -> (steps, values).
        metrics: which ones, in that order; by default all.
        y: label of the vertical axis, with its unit.
        log: logarithmic vertical axis.

    Raises:
        ConfigurationError: a metric was asked for that the log does not hold.
    """
    curves = dict(source) if isinstance(source, Mapping) else read_metrics(source)
    for name in metrics or ():
        if name not in curves:
            raise ConfigurationError(f"The log holds no metric '{name}'; it holds {', '.join(curves) or 'none'}.")
    shown = list(metrics or curves)
    picture, (axes,) = grid(1, 1, 5.6, 3.2)
    for name, colour in colours(shown).items():
        steps, values = (np.asarray(part, dtype=float) for part in curves[name])
        width = max(len(values) // 30, 1)
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        if width > 1:
            axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.3)
        marker = "o" if len(values) == 1 else None
        axes.plot(steps[width - 1 :], smooth, color=colour, linewidth=1.8, marker=marker, label=name)
    if log:
        axes.set_yscale("log")
    label(axes, x="training step", y=y)
    legend(axes)
    return picture


def bars(arms: Mapping[str, Interval], unit: str, reference: float | None = None, digits: int = 2) -> Picture:
    """One bar an arm with its interval and its value, names on the left.

    Args:
        arms: name -> value with interval.
        unit: label of the axis: what is measured, in which unit, and what the interval is.
        reference: a vertical line, e.g. the arm to beat.
        digits: decimals of the values.
    """
    picture = Picture(6.4, 0.9 + 0.38 * len(arms))
    axes = picture.subplots()
    _draw_bars(axes, arms, digits, colours(arms))
    if reference is not None:
        axes.axvline(reference, color=FAINT, linestyle=(0, (4, 2)), linewidth=1.2, zorder=0.5)
    label(axes, x=unit)
    return picture


def panels_of_bars(
    panels: Mapping[str, Mapping[str, Interval]], unit: str, digits: int = 1, columns: int = 2
) -> Picture:
    """``bars`` for several comparisons side by side, each under its title.

    Args:
        panels: title -> arms.
        unit: label of all axes.
        digits: decimals of the values.
        columns: panels beside one another.
    """
    rows = max(len(arms) for arms in panels.values())
    picture, axes = grid(len(panels), columns, 4.6, 1.1 + 0.36 * rows)
    shades = colours(dict.fromkeys(name for arms in panels.values() for name in arms))
    for panel, (title, arms) in zip(axes, panels.items(), strict=True):
        _draw_bars(panel, arms, digits, shades)
        label(panel, title=title)
    picture.supxlabel(unit, fontsize=9, color=INK)
    return picture


def _draw_bars(axes: Axes, arms: Mapping[str, Interval], digits: int, shades: Mapping[str, str]) -> None:
    """One bar an arm, names on the left."""
    tidy(axes)
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=5)  # more would run into one another where numbers are long
    for row, (arm, interval) in enumerate(arms.items()):
        colour = shades[arm]
        axes.barh(row, interval.value, height=0.62, color=colour, alpha=0.8)
        edge = interval.value
        if np.isfinite([interval.low, interval.high]).all():
            axes.plot([interval.low, interval.high], [row, row], color=INK, linewidth=1.4, solid_capstyle="butt")
            edge = max(edge, interval.high)
        axes.annotate(
            f"{interval.value:.{digits}f}", (max(edge, 0.0), row), (5, 0), textcoords="offset points", va="center",
            fontsize=8.5, color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(arms)), list(arms))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=9)
