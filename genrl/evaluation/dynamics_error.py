"""How far transitions are from what the environment would have done: the state restored, the action taken again.

The measure of "Policy-Guided Diffusion" (Jackson et al. 2024, arXiv:2404.06356, section 5), here in units that say what
is large: standard deviations of how much the real state changes in one step. Always next to two controls: real data
come back to float precision, and real data with their actions shuffled show what ignoring the action costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genrl.data.aligned import aligned
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError
from genrl.data.randomness import generator
from genrl.data.ranges import require_whole
from genrl.evaluation.fidelity import ROUNDING
from genrl.evaluation.recorded import elsewhere, named
from genrl.evaluation.simulators import Simulator

MOST = 10_000


@dataclass(frozen=True)
class DynamicsError:
    """N transitions of a data set beside the simulator's answers; M of them could be compared.

    Attributes:
        names: of the S columns of a state.
        states: (M, S) distance of the next state from the simulator's, in standard deviations of the change of that
            column in one real step (1 where that is 0); angles are compared around the circle.
        rewards: (M,) distance of the reward from the simulator's, in standard deviations of real rewards.
        terminated: (M, 2) bool, whether the episode ends there: in the data, in the simulator.
        transitions: N.
        faults: reason -> how many of the N begin in a state that no running episode has. One may have several.
        impossible: how many of the N have any, or make the simulation diverge.
        hidden: how many others begin in a state that its observation does not tell whole.
    """

    names: list[str]
    states: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    transitions: int
    faults: dict[str, int]
    impossible: int
    hidden: int

    @cached_property
    def errors(self) -> np.ndarray:
        """(M,) error of each next state: root mean square over its S columns."""
        return np.sqrt(np.square(self.states).mean(1))

    @property
    def median(self) -> float:
        """Median over transitions of ``errors``; NaN if nothing could be compared."""
        return quantile(self.errors, 0.5)

    @property
    def high(self) -> float:
        """90 % quantile over transitions of ``errors``; NaN if nothing could be compared."""
        return quantile(self.errors, 0.9)

    @property
    def impossible_share(self) -> float:
        """Share of the N transitions that begin in an impossible state."""
        return self.impossible / self.transitions

    @property
    def hidden_share(self) -> float:
        """Share of the N transitions that cannot be judged."""
        return self.hidden / self.transitions

    @property
    def agreement(self) -> float:
        """Share of the M transitions whose termination is the simulator's; NaN if nothing could be compared."""
        return float((self.terminated[:, 0] == self.terminated[:, 1]).mean()) if len(self.terminated) else math.nan

    def columns(self) -> Iterator[tuple[str, float, float]]:
        """Name, median and 90 % quantile of the error of each column of the state."""
        for name, errors in zip(self.names, self.states.T, strict=True):
            yield name, quantile(errors, 0.5), quantile(errors, 0.9)

    def rows(self) -> Iterator[tuple[str, str]]:
        """What to show of it: (quantity with unit, value)."""
        yield "transitions", f"{self.transitions:,}"
        yield "begin in an impossible state", f"{100 * self.impossible_share:.2f} %"
        for reason, count in self.faults.items():
            yield f"  {reason}", f"{100 * count / self.transitions:.2f} %"
        yield "begin in a state not told whole", f"{100 * self.hidden_share:.2f} %"
        yield "next state, median in std of real changes", f"{self.median:.3g}"
        yield "next state, 90 % in std of real changes", f"{self.high:.3g}"
        yield "reward, median in real std", f"{quantile(self.rewards, 0.5):.3g}"
        yield "reward, 90 % in real std", f"{quantile(self.rewards, 0.9):.3g}"
        yield "terminations that agree", f"{100 * self.agreement:.2f} %"

    def __str__(self) -> str:
        return aligned(self.rows())


def dynamics_error(data: Episodes, real: Episodes, seed: int = 0, most: int = MOST) -> DynamicsError:
    """Take transitions of ``data`` again in the simulator; of more than ``most``, so many are drawn with ``seed``.

    The environment is the one that the card of ``real`` records, or else that of ``data``. Median, 90 % quantile and
    agreement of terminations are over the transitions that could be compared; impossible and hidden states are counted
    apart, so look at their shares first.

    Args:
        data: any data set of the environment, synthetic or real.
        real: the data that errors are measured by: their changes of state and their rewards have standard deviation 1.
        seed: of the draw.
        most: transitions that are looked at.

    Raises:
        ConfigurationError: no environment is recorded, or it cannot be made here; ``most`` is below 1.
        UnsupportedSpaceError: the environment's states cannot be restored.
        AlignmentError: a data set does not have the environment's spaces, or the two are of different environments.
    """
    if elsewhere(data.card, real.card):
        raise AlignmentError(
            f"The data are of {named(data.card)}, the real ones of {named(real.card)}: errors can be measured by data"
            " of the same environment alone."
        )
    require_whole(1, most=most)
    simulator = Simulator.of(real.card if real.card.env_spec or real.card.eval_env_spec else data.card)
    scale, reward_scale = _scales(real, simulator)
    chosen = torch.randperm(data.num_transitions, generator=generator(seed, "dynamics error"))[:most].sort().values
    before = {path: leaf[data.observation_rows[chosen]] for path, leaf in data.observations.items()}
    after = {path: leaf[data.observation_rows[chosen] + 1] for path, leaf in data.observations.items()}
    here = simulator.towards(simulator.goals_of(after))
    states = here.states(before)
    outcome = here.step(states, _actions(data, simulator)[chosen])
    faults = {reason: int(mask.sum()) for reason, mask in here.faults(states).items()}
    impossible, hidden = outcome.info["impossible"], here.hidden(states)
    fair = ~(impossible | hidden)
    off = difference(here.states(after), outcome.next_state, here.angles).abs() / scale
    ends = torch.stack((data.terminations[chosen], outcome.terminated), dim=-1)
    return DynamicsError(
        names=here.names,
        states=off[fair].numpy(),
        rewards=((data.rewards[chosen].double() - outcome.reward).abs() / reward_scale)[fair].numpy(),
        terminated=ends[fair].numpy(),
        transitions=len(chosen),
        faults={**faults, "unstable": int(outcome.info["unstable"].sum())},
        impossible=int(impossible.sum()),
        hidden=int((hidden & ~impossible).sum()),
    )


def shuffled_actions(data: Episodes, seed: int = 0) -> Episodes:
    """``data`` with the actions of all transitions permuted: a control that any model of the dynamics should beat."""
    order = torch.randperm(data.num_transitions, generator=generator(seed, "shuffled actions"))
    return replace(data, actions={path: leaf[order] for path, leaf in data.actions.items()})


def difference(one: Tensor, other: Tensor, angles: Tensor) -> Tensor:
    """(..., S) ``one - other``, in the columns of ``angles`` (S,) the short way around the circle."""
    plain = one - other
    return torch.where(angles, torch.remainder(plain + math.pi, 2 * math.pi) - math.pi, plain)


def quantile(values: np.ndarray, share: float) -> float:
    """The quantile of ``values`` (n,); NaN where there are none."""
    return float(np.quantile(values, share)) if len(values) else math.nan


def _scales(real: Episodes, simulator: Simulator) -> tuple[Tensor, Tensor]:
    """Standard deviation (S,) of the changes in one real step, and of the real rewards; 1 where they are constant."""
    states = simulator.states(real.observations)
    changes = difference(states[real.observation_rows + 1], states[real.observation_rows], simulator.angles)
    return _spread(changes), _spread(real.rewards.double())


def _spread(rows: Tensor) -> Tensor:
    """(...) standard deviation over the first axis; 1 where all rows are alike but for rounding."""
    std = rows.std(0, correction=0)
    return torch.where(std > ROUNDING * rows.abs().amax(0), std, 1.0)


def _actions(data: Episodes, simulator: Simulator) -> Tensor:
    found = {path: tuple(leaf.shape[1:]) for path, leaf in data.actions.items()}
    if found != {"": (simulator.action_dim,)}:
        raise AlignmentError(
            f"The environment takes actions of shape {(simulator.action_dim,)}; the data hold {found}. Only data of "
            "the environment that their card records can be measured in it."
        )
    return data.actions[""]
