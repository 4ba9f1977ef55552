"""Simulators put into the state that an observation describes, and stepped once: the judge of synthetic transitions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium as gym
import mujoco
import numpy as np
import torch
from torch import Tensor

from genrl.data.env_specs import recorded_spec
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard
from genrl.data.errors import AlignmentError, ConditionError, ConfigurationError
from genrl.data.goals import GoalLayout
from genrl.data.spaces import Leaves, leaf_spaces
from genrl.dynamics.protocol import Outcome
from genrl.evaluation.bodies import body_of, require_body


class Simulator:
    """The environment itself as a ``Dynamics``: B states, one after the other, each take one step.

    A state is an observation without its desired goal, S numbers in the data's units; where there are goals,
    ``towards`` names one for each row.

    Args:
        env: one that ``bodies.BODIES`` names; it is not to be used otherwise.

    Attributes:
        names: of the S columns.
        angles: (S,) bool, which of them are angles in radians.
        goals: (B, G) one for each row to come, None where the environment has none or none were named.

    Raises:
        UnsupportedSpaceError: the observations do not tell the environment's whole state.
    """

    noise_dim = 0

    def __init__(self, env: gym.Env) -> None:
        self.env = env.unwrapped
        self.body = body_of(self.env)
        self.layout = GoalLayout.of(env.observation_space)
        self.angles = torch.from_numpy(self.body.angles)
        self.state_dim, self.action_dim = len(self.angles), int(np.prod(env.action_space.shape or ()))
        (leaf,) = self.layout.state
        self.names = [f"{leaf or 'observation'}[{column}]" for column in range(self.state_dim)]
        self.goals: Tensor | None = None

    @classmethod
    def of(cls, card: DatasetCard) -> Simulator:
        """Of the environment that the card records, or else of the one that it is to be evaluated in.

        Raises:
            ConfigurationError: it records none, or one that cannot be made here or that wrappers alter.
            CorruptDatasetError: what it records cannot be read.
            UnsupportedSpaceError: the observations do not tell the environment's whole state.
        """
        spec = recorded_spec(card, "env_spec", "eval_env_spec")
        if spec is None:
            raise ConfigurationError(
                f"The data set {card.dataset_id or 'given'} records no environment whose states could be restored; "
                "give its card an env_spec."
            )
        require_body(str(spec.entry_point))  # before it is made, which may need other packages
        if wrappers := ", ".join(wrapper.name for wrapper in spec.additional_wrappers):
            raise ConfigurationError(
                f"{spec.id} is recorded inside {wrappers}, which may alter what it does; only the bare environment can "
                "be restored. Record it without."
            )
        try:
            return cls(make_env(spec))
        except (OSError, TypeError, ImportError, gym.error.Error) as error:
            raise ConfigurationError(f"The environment {spec.id} cannot be made here: {error}") from error

    def towards(self, goals: Tensor) -> Simulator:
        """The same simulator for B rows whose steps are rewarded by these goals (B, G).

        A step's goal is the one in the observation *after* it: an environment that draws a new goal when one is reached
        shows it only then.
        """
        bound = copy.copy(self)
        bound.goals = goals
        return bound

    def states(self, observations: Leaves) -> Tensor:
        """Observations (R, *shape) as states (R, S), float64.

        Raises:
            AlignmentError: they are not observations of this environment.
        """
        return self._columns(observations, self.layout.state)

    def goals_of(self, observations: Leaves) -> Tensor:
        """The desired goals (R, G) in observations (R, *shape), float64; G is 0 where there are none.

        Raises:
            AlignmentError: they are not observations of this environment.
        """
        return self._columns(observations, self.layout.desired)

    def faults(self, states: Tensor) -> dict[str, Tensor]:
        """Why some of ``states`` (B, S) are no states of a running episode: reason -> (B,) bool."""
        rows = states.double().numpy()
        broken = ~np.isfinite(rows).all(1)
        reasons = self.body.faults(np.where(broken[:, None], 0.0, rows))
        masks = {"not finite": broken} | {reason: mask & ~broken for reason, mask in reasons.items()}
        return {reason: torch.from_numpy(mask) for reason, mask in masks.items()}

    def hidden(self, states: Tensor) -> Tensor:
        """(B,) bool: the observation leaves out what the next step of the state (B, S) depends on."""
        return torch.from_numpy(self.body.hidden(states.double().numpy()))

    def step(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Outcome:
        """One step from each of B states by actions (B, A); nothing about it is random.

        Impossible states are not stepped, nor hidden ones, which more than one state looks like: what follows them is
        NaN. ``info`` holds ``impossible`` (B,) bool, the states with faults and those that MuJoCo diverged from, and
        ``unstable`` (B,) bool, the latter alone.

        Raises:
            ConditionError: goals are needed and there are not B of them.
        """
        impossible = torch.stack([*self.faults(state).values()]).any(0)
        rows, controls, goals = state.double().numpy(), self._controls(action), self._goals(len(state))
        after, rewards = np.full(state.shape, np.nan), np.full(len(rows), np.nan)
        ends, unstable = np.zeros((2, len(rows)), bool)
        with _without_log():
            for row in (~(impossible | self.hidden(state))).nonzero().flatten().tolist():
                self.body.put(rows[row])
                if (made := self._advance(controls[row], goals[row])) is None:
                    unstable[row] = True
                else:
                    after[row], rewards[row], ends[row] = made
        diverged = torch.from_numpy(unstable)
        return Outcome(
            torch.from_numpy(after).to(state),
            torch.from_numpy(rewards).to(state),
            torch.from_numpy(ends),
            {"impossible": impossible | diverged, "unstable": diverged},
        )

    def episode(self, state: Tensor, actions: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
        """States (T' + 1, S) and rewards (T',), T' <= T, from a state (S,) by actions (T, A) towards goals (T, G).

        Each step goes on from the simulator's own state, not from what is observed of it. It ends where the environment
        ends it, and before a step from which MuJoCo diverges.
        """
        states, rewards = [state.double().numpy()], []
        self.body.put(states[0])
        with _without_log():
            for action, goal in zip(self._controls(actions), goals.double().numpy(), strict=True):
                if (made := self._advance(action, goal)) is None:
                    break
                following, reward, ended = made
                states.append(following)
                rewards.append(reward)
                if ended:
                    break
        return torch.from_numpy(np.stack(states)), torch.tensor(rewards, dtype=torch.float64)

    def _advance(self, action: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float, bool] | None:
        """One step from where the body is; None where it diverges."""
        warnings = self.body.mujoco.warning.number
        warnings[:] = 0
        made = self.body.advance(action, goal)
        return None if warnings.any() or not np.isfinite(made[0]).all() else made

    def _controls(self, actions: Tensor) -> np.ndarray:
        """(B, A) in the environment's own type."""
        return actions.numpy().astype(self.env.action_space.dtype)

    def _goals(self, count: int) -> np.ndarray:
        """(B, G) float64."""
        if not self.layout.desired:
            return np.zeros((count, 0))
        if self.goals is None or len(self.goals) != count:
            given = "none" if self.goals is None else len(self.goals)
            raise ConditionError(
                f"{count} states in an environment with goals need as many goals, not {given}: name them with "
                "Simulator.towards."
            )
        return self.goals.double().numpy()

    def _columns(self, observations: Leaves, leaves: tuple[str, ...]) -> Tensor:
        spaces = leaf_spaces(self.env.observation_space)
        found = {path: tuple(rows.shape[1:]) for path, rows in observations.items()}
        if found != (expected := {path: space.shape for path, space in spaces.items()}):
            raise AlignmentError(
                f"{type(self.env).__name__} observes {expected}; the data hold {found}. Only data of the environment "
                "that their card records can be measured in it."
            )
        rows = next(iter(observations.values())).shape[0]
        columns = [observations[leaf].double().reshape(rows, -1) for leaf in leaves]
        return torch.cat([torch.zeros(rows, 0, dtype=torch.float64), *columns], dim=-1)


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep MuJoCo from printing its warnings and writing them into a file of the working folder."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
