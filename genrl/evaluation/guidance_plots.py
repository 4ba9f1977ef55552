"""Pictures of guidance: how hard it pulls while a window is denoised, and what it buys at which price.

The two measures of the frontier are those of "Policy-Guided Diffusion" (Jackson et al. 2024), arXiv:2404.06356,
section 5: data should be likely under the target policy and yet follow the dynamics.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from genrl.diffusion.guidance import Diagnostics
from genrl.evaluation.dynamics_error import DynamicsError
from genrl.evaluation.likelihood import PolicyLikelihood
from genrl.evaluation.style import FAINT, INK, Picture, colours, grid, label, legend, legend_below

Measured = tuple[PolicyLikelihood, DynamicsError]
"""What was measured of one data set."""


def guidance_strength(watched: Mapping[str, Diagnostics]) -> Picture:
    """Norm of guidance over the norm of the denoiser's own update at every noise level, from noise to data.

    Above the dashed line at 1 the agent moves a window further than the model does. Calls at one level are averaged.

    Args:
        watched: name -> what a method has watched, e.g. ``{"scale 1": method.watched}``.
    """
    picture, (axes,) = grid(1, 1, 5.6, 3.2)
    for name, colour in colours(watched).items():
        levels, where = np.unique(watched[name].sigma, return_inverse=True)
        ratios = np.bincount(where, watched[name].ratio, len(levels)) / np.bincount(where, minlength=len(levels))
        axes.plot(levels, ratios, color=colour, linewidth=1.8, label=name)
    axes.axhline(1.0, color=FAINT, linestyle=(0, (4, 2)), linewidth=1.2, zorder=0.5)
    axes.set(xscale="log", yscale="log")
    axes.invert_xaxis()
    label(axes, x=r"noise level $\sigma$ (denoising →)", y="guidance / denoiser's update")
    legend(axes)
    return picture


def frontier(curves: Mapping[str, Mapping[str, Measured]]) -> Picture:
    """Likelihood under the target policy against the error of the dynamics, and against impossible states.

    Bottom right is where data should be. On the left a dot is the median, in standard deviations of real changes, and a
    thin line leads up to the 90 % quantile; data sets of which nothing could be compared are missing there.

    Args:
        curves: name of a curve -> name of a point on it, such as its scale -> what was measured.
    """
    picture, (left, right) = grid(2, 2, 4.4, 3.4)
    palette = colours(curves)
    for name, points in curves.items():
        x = np.array([likely.per_transition.value for likely, _ in points.values()])
        errors = [error for _, error in points.values()]
        medians, highs = np.array([(error.median, error.high) for error in errors]).T
        left.vlines(x, medians, highs, color=palette[name], linewidth=0.9, alpha=0.5)
        _curve(left, x, medians, list(points), palette[name])
        shares = np.array([error.impossible_share for error in errors])
        told = [point if share > 0 else "" for point, share in zip(points, shares, strict=True)]  # 0 is crowded
        _curve(right, x, 100 * shares, told, palette[name])
    likelihood = "log-likelihood of an action under the target policy"
    label(left, x=likelihood, y="error of next state (real std)")
    label(right, x=likelihood, y="begin in an impossible state (%)")
    for axes in (left, right):
        axes.set_ylim(bottom=0.0)
    marks = [Line2D([], [], color=colour, marker="o", markersize=4.5, label=name) for name, colour in palette.items()]
    legend_below(picture, marks)
    return picture


def _curve(axes: Axes, x: np.ndarray, y: np.ndarray, names: list[str], colour: str) -> None:
    """Points in their order, each with its name, to the right and to the left in turn."""
    axes.plot(x, y, color=colour, linewidth=1.4, marker="o", markersize=4.5, clip_on=False)
    for turn, (name, likelihood, error) in enumerate(zip(names, x, y, strict=True)):
        if np.isfinite(error):
            side, away = ("right", -4) if turn % 2 else ("left", 4)
            point = (likelihood, error)
            axes.annotate(name, point, (away, 4), textcoords="offset points", ha=side, fontsize=8, color=INK)
