"""Where an observation is on a flat picture: its position, its value over time, or its two principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from genrl.data.columns import Columns
from genrl.data.episodes import Episodes
from genrl.data.errors import UnsupportedSpaceError
from genrl.evaluation.fidelity import spread

ACHIEVED, DESIRED = "achieved_goal", "desired_goal"
MOST_ROWS = 20_000


class Plane(Protocol):
    """A map from observations to a plane that several data sets share."""

    @property
    def labels(self) -> tuple[str, str]:
        """What its two axes are."""

    def project(self, episodes: Episodes) -> np.ndarray:
        """(N + E, 2) the observations of ``episodes`` in the plane."""


def plane_of(episodes: Episodes, in_maze: bool = False) -> Plane:
    """The achieved goal where there is one; a single variable over time; else the plane of most variance.

    Args:
        episodes: what is to be seen.
        in_maze: an observation without goal begins with a place in a maze, as Gymnasium-Robotics has it.

    Raises:
        UnsupportedSpaceError: the observations are images alone.
    """
    if ACHIEVED in episodes.observations and episodes.observations[ACHIEVED][0].numel() >= 2:
        return Positions()
    if in_maze and "" in episodes.observations:
        return Positions("")
    columns = Columns.of_observations(episodes)
    if not columns.names:
        raise UnsupportedSpaceError("Images have no place in a plane: there is no other leaf in these observations.")
    if len(columns.variables) == 1:
        return OverTime(("step", next(iter(columns.variables))))
    return Principal.of(columns)


@dataclass(frozen=True)
class Positions:
    """The first two entries of a leaf, the achieved goal."""

    leaf: str = ACHIEVED
    labels: tuple[str, str] = ("x", "y")

    def project(self, episodes: Episodes) -> np.ndarray:
        """(N + E, 2) positions, in the environment's unit of length."""
        return episodes.observations[self.leaf][:, :2].double().numpy()


@dataclass(frozen=True)
class OverTime:
    """A single number, or a single choice, over the steps of an episode."""

    labels: tuple[str, str]

    def project(self, episodes: Episodes) -> np.ndarray:
        """(N + E, 2) step and value."""
        columns = Columns.of_observations(episodes)
        if columns.categories[0] is None:
            values = columns.rows[:, 0]
        else:  # a category, by its own number
            values = torch.tensor(columns.categories)[columns.rows.argmax(-1)]
        steps = np.concatenate([np.arange(length + 1) for length in episodes.lengths.tolist()])
        return np.stack([steps, values.double().numpy()], -1)


@dataclass(frozen=True)
class Principal:
    """The two principal components of standardised observations; both axes themselves where there are but two.

    ``project`` is (observation - mean) @ axes.
    """

    labels: tuple[str, str]
    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, columns: Columns) -> Principal:
        """Fitted to these observations."""
        rows = columns.drawn(MOST_ROWS).double().numpy()
        if rows.shape[1] == 2:
            return cls((columns.names[0], columns.names[1]), np.zeros(2), np.eye(2))
        mean, scale = rows.mean(0), spread(rows)
        _, singular, directions = np.linalg.svd((rows - mean) / scale, full_matrices=False)
        share = 100 * singular**2 / ((singular**2).sum() or 1.0)  # of nothing, where all rows are alike
        first, second = (f"principal component {i + 1} ({share[i]:.0f} % of variance)" for i in range(2))
        return cls((first, second), mean, directions[:2].T / scale[:, None])

    def project(self, episodes: Episodes) -> np.ndarray:
        """(N + E, 2) components, in standard deviations of the observations' entries."""
        return (Columns.of_observations(episodes).rows.double().numpy() - self.mean) @ self.axes
