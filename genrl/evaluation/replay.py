"""Synthetic episodes taken again in the simulator, from their own first states by their own actions.

A model's errors add up over an episode; its predicted return is worth as much as it is near to this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from genrl.data.aligned import aligned
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError
from genrl.evaluation.simulators import Simulator


@dataclass(frozen=True)
class Replay:
    """Returns of E episodes as a model predicted them, and as they are.

    Attributes:
        predicted: (E,) float64, the sum of the rewards in the data.
        true: (E,) float64, the sum of those that the simulator gave for the same steps.
        apart: (E,) distance between the last states, of the data and of the simulator, in units of the data's own.
        tried: rollouts that the episodes were chosen from; None where the data do not tell.
        left_out: episodes that begin where the simulator cannot be put, inside a wall for instance.
    """

    predicted: np.ndarray
    true: np.ndarray
    apart: np.ndarray
    tried: int | None
    left_out: int = 0

    @property
    def acceptance(self) -> float | None:
        """Share of the rollouts that was kept."""
        return None if self.tried is None else (len(self.true) + self.left_out) / self.tried

    def rows(self) -> list[tuple[str, str]]:
        """What to show of it: (quantity, value)."""
        error = self.predicted - self.true
        rows = [
            ("episodes", str(len(self.true))),
            ("predicted return, mean [min, max]", _spread(self.predicted)),
            ("true return, mean [min, max]", _spread(self.true)),
            ("predicted - true, mean ± std", f"{error.mean():.2f} ± {error.std():.2f}"),
            ("distance of the last states, median", f"{np.median(self.apart):.3g}"),
        ]
        if self.left_out:
            whole = self.left_out + len(self.true)
            rows.append(("left out, begin in an impossible state", f"{self.left_out} of {whole}"))
        if self.acceptance is not None:
            rows.append(("kept of all rollouts", f"{self.acceptance:.2%} of {self.tried}"))
        return rows

    def __str__(self) -> str:
        return aligned(self.rows())


def replay(data: Episodes, simulator: Simulator | None = None) -> Replay:
    """Take every episode of ``data`` again, from its first state on; those that begin nowhere are left out.

    Where the reward depends on what is not observed, such as a hidden goal, the simulator gives the expected one. A
    body in contact with the ground is chaotic: over hundreds of steps of HalfCheetah even the rounding of real data
    grows until the return is another one of the same distribution.

    Args:
        data: with an environment in their card whose states can be restored.
        simulator: of that environment; made by default.

    Raises:
        ConfigurationError, UnsupportedSpaceError, AlignmentError: there is no such simulator for these data.
        ConditionError: no episode begins in a state that the simulator can be in.
    """
    simulator = simulator or Simulator.of(data.card)
    states, goals = simulator.states(data.observations), simulator.goals_of(data.observations)
    first = data.observation_starts
    unlike = torch.stack([*simulator.faults(states[first]).values(), simulator.hidden(states[first])]).any(0)
    if unlike.all():
        raise ConditionError(
            f"The simulator can be put where none of these {len(data)} episodes begins: 'genrl dynamics' says why."
        )
    kept = (~unlike).nonzero()[:, 0]
    true, apart = np.zeros(len(kept)), np.zeros(len(kept))
    for row, episode in enumerate(kept.tolist()):
        start, length = int(first[episode]), int(data.lengths[episode])
        shown = slice(start, start + length + 1)  # its observations
        done = data.actions[""][data.transition_starts[episode] :][:length]
        made, rewards = simulator.episode(states[start], done, goals[shown][1:])
        true[row], apart[row] = rewards.sum(), (made[-1] - states[shown][-1]).norm()
    return Replay(data.returns[kept].numpy(), true, apart, _tried(data), int(unlike.sum()))


def _tried(data: Episodes) -> int | None:
    """Rollouts up to the last that was kept, block by block: numbers rise within a block of MBRCSL.

    Two blocks of which the second begins above where the first ended pass for one, as only tiny blocks do.
    """
    if "rollout" not in data.infos:
        return None
    numbers = data.infos["rollout"][data.transition_starts]
    ends = torch.cat((numbers[1:] <= numbers[:-1], torch.ones(1, dtype=torch.bool)))
    return int((numbers[ends] + 1).sum())


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.2f} [{values.min():.2f}, {values.max():.2f}]"
