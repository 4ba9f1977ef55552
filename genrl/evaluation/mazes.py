"""The walls of a maze, as environments of Gymnasium-Robotics describe them, under the trajectories in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from genrl.data.env_specs import recorded_entries
from genrl.data.episodes import DatasetCard
from genrl.evaluation.style import FAINT, WALL


@dataclass(frozen=True)
class Maze:
    """Walls on a grid of square cells, the origin at its centre, as Gymnasium-Robotics lays its mazes out.

    Attributes:
        walls: (rows, columns) bool, the first row at the top.
        scaling: side of a cell, in units of length.
    """

    walls: np.ndarray
    scaling: float = 1.0

    @classmethod
    def of_map(cls, maze_map: Sequence[Sequence[int | str]], scaling: float = 1.0) -> Maze:
        """From a ``maze_map``: 1 is a wall, anything else is free."""
        return cls(np.array([[cell == 1 for cell in row] for row in maze_map]), scaling)

    @classmethod
    def of_card(cls, card: DatasetCard) -> Maze | None:
        """The maze that the card's environment specification describes, if it does.

        Raises:
            CorruptDatasetError: the specification cannot be read.
        """
        if (spec := recorded_entries(card)) is None:
            return None
        maze_map = spec.get("kwargs", {}).get("maze_map")
        return None if maze_map is None else cls.of_map(maze_map, 4.0 if spec["id"].startswith("AntMaze") else 1.0)

    @property
    def half_size(self) -> tuple[float, float]:
        """Half the width and half the height, in units of length."""
        rows, columns = self.walls.shape
        return columns * self.scaling / 2, rows * self.scaling / 2

    def draw(self, axes: Axes) -> None:
        """Draw the walls, and show the maze at its true proportions without ticks; of the outer wall only a rim."""
        width, height = self.half_size
        for row, column in np.argwhere(self.walls):
            corner = (column * self.scaling - width, height - (row + 1) * self.scaling)
            axes.add_patch(Rectangle(corner, self.scaling, self.scaling, facecolor=WALL, edgecolor=WALL, linewidth=0.3))
        rim = 0.7 * self.scaling
        axes.set(xlim=(rim - width, width - rim), ylim=(rim - height, height - rim))
        axes.set(aspect="equal", xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(FAINT)
