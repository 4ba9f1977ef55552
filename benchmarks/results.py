"""Finished cells as an aggregate function wants them: complete comparisons only, ordered by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.cells import Cell
from genrl.evaluation.statistics import Interval, bootstrap, paired_gain


@dataclass(frozen=True)
class Results:
    """What is done of ``planned``. A seed counts in an environment when every arm planned there has it finished.

    Attributes:
        planned: all cells.
        done: the values of those that are finished.
        processors: what they were computed on.
        carried: how many of them an earlier state of the code computed, see ``benchmarks.carry``.
    """

    planned: Sequence[Cell]
    done: Mapping[Cell, Mapping[str, float]]
    processors: Sequence[str] = ()
    carried: int = 0

    @cached_property
    def complete(self) -> dict[str, list[int]]:
        """Environment -> the seeds that all its arms have finished; environments without one are left out."""
        counted = {}
        for place in dict.fromkeys(cell.environment for cell in self.planned):
            cells = [cell for cell in self.planned if cell.environment == place]
            arms = {cell.arm for cell in cells}
            seeds = []
            for seed in sorted({cell.seed for cell in cells}):
                here = [cell for cell in cells if cell.seed == seed]
                if {cell.arm for cell in here} == arms and all(cell in self.done for cell in here):
                    seeds.append(seed)
            if seeds:
                counted[place] = seeds
        return counted

    @property
    def environments(self) -> list[str]:
        """The environments with at least one complete seed, in the order planned."""
        return list(self.complete)

    @property
    def arms(self) -> list[str]:
        """The arms planned in those environments, in the order planned."""
        return list(dict.fromkeys(cell.arm for cell in self.planned if cell.environment in self.complete))

    @property
    def missing(self) -> list[Cell]:
        """The planned cells that are not done."""
        return [cell for cell in self.planned if cell not in self.done]

    def cells(self, arm: str, environment: str | None = None) -> list[Cell]:
        """The arm's cells of complete seeds, by seed; ``environment`` may be None where there is only one."""
        place = self._place(environment)
        seeds = self.complete[place]
        mine = [cell for cell in self.planned if (cell.arm, cell.environment) == (arm, place) and cell.seed in seeds]
        return sorted(mine, key=lambda cell: cell.seed)

    def values(self, arm: str, key: str, environment: str | None = None) -> np.ndarray:
        """(n,) the figure ``key`` of the arm, one entry a complete seed: arms of one environment pair up."""
        return np.array([self.done[cell][key] for cell in self.cells(arm, environment)], dtype=np.float64)

    def summary(self, arm: str, key: str, environment: str | None = None) -> Interval:
        """Interquartile mean over seeds with its 95 % bootstrap interval."""
        return bootstrap(self.values(arm, key, environment))

    def gain(self, arm: str, control: str, key: str, environment: str | None = None) -> Interval:
        """Paired gain of ``arm`` over ``control`` with its 95 % bootstrap interval."""
        return paired_gain(self.values(arm, key, environment), self.values(control, key, environment))

    def scores(self, arm: str, key: str, environment: str | None = None, name: str | None = None) -> dict[str, float]:
        """``summary`` as figures of a result file: ``iqm.NAME``, ``low.NAME``, ``high.NAME``; by default the arm's."""
        interval, name = self.summary(arm, key, environment), name or arm
        return {f"iqm.{name}": interval.value, f"low.{name}": interval.low, f"high.{name}": interval.high}

    def gains(self, arm: str, control: str, key: str, environment: str | None, name: str) -> dict[str, float]:
        """``gain`` as figures of a result file: ``gain.NAME``, ``gain_low.NAME``, ``gain_high.NAME``."""
        gain = self.gain(arm, control, key, environment)
        return {f"gain.{name}": gain.value, f"gain_low.{name}": gain.low, f"gain_high.{name}": gain.high}

    def _place(self, environment: str | None) -> str:
        if environment is not None:
            return environment
        if len(self.complete) != 1:
            raise ValueError(f"Name one of the environments {self.environments}.")
        return self.environments[0]
