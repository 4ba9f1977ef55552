"""Pictures of latent futures: what each holds of its data, and what policies expect beside what they get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from genrl.data.codecs import CategoryCodec, SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.errors import UnsupportedSpaceError
from genrl.data.randomness import generator
from genrl.evaluation.statistics import Interval
from genrl.evaluation.style import INK, MUTED, PALETTE, Picture, colours, grid, label, legend_below
from genrl.learners.future_conditioned import FutureConditioned
from genrl.learners.latents import CategoricalLatent

UNUSED = 0.005
"""Probability below which a latent is left out of a picture."""


def contents(learners: Mapping[str, FutureConditioned], episodes: Episodes) -> Picture:
    """How likely each categorical latent is at the beginning of an episode, and what it holds.

    A bar is a latent, as high as it is likely; its colours are the first actions of the episodes that it tells of, dark
    where their return is above the mean and pale where it is not. Above it stands the return that the learner expects.

    Args:
        learners: name -> fitted learner of categorical latents, a panel each.
        episodes: of one discrete action.

    Raises:
        UnsupportedSpaceError: a latent is not categorical, or the action is not discrete.
    """
    first = _first_choices(episodes)
    good = (episodes.returns > episodes.returns.mean()).numpy()
    picture, panels = grid(len(learners), 4, 3.0, 2.9)
    choices = np.unique(first)
    for (name, learner), axes in zip(learners.items(), panels, strict=True):
        q, value = _posterior(learner, episodes)
        shown = np.flatnonzero(q.mean(0) > UNUSED)
        shown = shown[np.argsort(value[shown])]
        bottom = np.zeros(len(shown))
        for colour, choice in zip(PALETTE * 10, choices, strict=False):
            for luck, alpha in ((True, 0.95), (False, 0.4)):
                height = q[(first == choice) & (good == luck)][:, shown].sum(0) / len(q)
                axes.bar(range(len(shown)), height, 0.7, bottom, color=colour, alpha=alpha, linewidth=0)
                bottom += height
        for place, (top, latent) in enumerate(zip(bottom, shown, strict=True)):
            axes.text(place, top + 0.02, f"V = {value[latent]:.2f}", ha="center", fontsize=8.5, color=INK)
        axes.set(xticks=range(len(shown)), xticklabels=[f"z = {latent}" for latent in shown], ylim=(0, 1.12))
        axes.set_xlim(-0.7, max(len(shown), 3) - 0.3)
        label(axes, y="share of the data" if axes is panels[0] else "", title=name)
    marks = [
        Patch(color=c, alpha=0.95, label=f"action {choice}") for c, choice in zip(PALETTE * 10, choices, strict=False)
    ]
    legend_below(
        picture, [*marks, Patch(color=MUTED, alpha=0.95, label="good"), Patch(color=MUTED, alpha=0.4, label="bad")]
    )
    return picture


def _first_choices(episodes: Episodes) -> np.ndarray:
    codec = SpaceCodec(episodes.action_space)
    if len(codec.codecs) != 1 or not isinstance(codec.codecs[0], CategoryCodec) or len(codec.codecs[0].counts) != 1:
        raise UnsupportedSpaceError(f"contents shows one discrete action; these episodes have {episodes.action_space}.")
    return episodes.actions[codec.paths[0]][episodes.transition_starts].numpy()


@torch.no_grad()
def _posterior(learner: FutureConditioned, episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """(E, Z) q(z | tau) of every episode, and (Z,) the return expected of each latent, in the mean over beginnings."""
    if not isinstance(learner.latent, CategoricalLatent):
        raise UnsupportedSpaceError(
            f"contents shows categorical latents, not those of a {type(learner.latent).__name__}."
        )
    tau = learner.sampler(episodes).fetch(episodes.transition_starts).trimmed()
    q = learner.latent.mean_over(learner.tell(tau, generator(0)).q, torch.empty(0)).weight  # (Z, E)
    each = torch.eye(learner.latent.size)[:, None].expand(-1, len(episodes), -1)
    values = learner.model.V(each, tau.states[:, 0]).mean(1)
    return q.T.numpy(), learner.returns.normalizer.denormalize(values[:, None])[:, 0].numpy()


def expectations(
    curves: Mapping[str, Mapping[float, tuple[float, Interval]]],
    x: str,
    y: str,
    best: Mapping[float, float] | None = None,
) -> Picture:
    """What policies expect (dashed, hollow) and what they get (solid, with its interval) against a setting.

    Args:
        curves: name of a policy -> setting -> what it expects, and what it gets.
        x: label of the settings.
        y: label of what is expected and got.
        best: setting -> the most that can be had, drawn in grey.
    """
    picture, (axes,) = grid(1, 1, 6.4, 3.7)
    marks = []
    if best is not None:
        axes.plot(list(best), list(best.values()), color=MUTED, linewidth=4, alpha=0.35)
        marks.append(Line2D([], [], color=MUTED, linewidth=4, alpha=0.35, label="the best there is"))
    for name, colour in colours(curves).items():
        settings = np.array(list(curves[name]), dtype=float)
        expected = np.array([hope for hope, _ in curves[name].values()])
        got, low, high = np.array([(i.value, i.low, i.high) for _, i in curves[name].values()]).T
        axes.plot(settings, expected, color=colour, linestyle=(0, (4, 2)), linewidth=1.3, **_dots("white", colour))
        axes.vlines(settings, low, high, color=colour, linewidth=1.2, alpha=0.6)
        axes.plot(settings, got, color=colour, linewidth=1.8, **_dots(colour, colour))
        marks.append(Line2D([], [], color=colour, linewidth=1.8, label=name, **_dots(colour, colour)))
    hope = Line2D([], [], color=INK, linestyle=(0, (4, 2)), linewidth=1.3, label="expected", **_dots("white", INK))
    label(axes, x=x, y=y)
    legend_below(picture, [*marks, hope])
    return picture


def _dots(face: str, edge: str) -> dict[str, Any]:
    return {"marker": "o", "markersize": 5, "markerfacecolor": face, "markeredgecolor": edge}
