"""PushT, the pushing of a T-shaped block to a place, as a goal environment; and its human demonstrations.

Source: "Diffusion Policy" (Chi et al. 2023), https://arxiv.org/abs/2303.04137, after "Implicit Behavioral Cloning"
(Florence et al. 2021), https://arxiv.org/abs/2109.00137; the simulator is the package gym-pusht.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genrl.data.environments import env_spec_json, make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import ConfigurationError, CorruptDatasetError, DatasetMissingError
from genrl.data.extras import optional
from genrl.data.npz import read_npz
from genrl.data.spaces import to_tensors

SIDE = 512.0
"""Side of the square in which everything happens, in pixels."""

STEPS = 300
"""The longest episode."""


class PushTGoals(gym.Env):
    """The state is the block's 8 corners and the agent's position, the goal the corners where the block should be.

    Observations are float32, in pixels: ``observation`` (18,) corners x0, y0 .. x7, y7, then x and y of the agent;
    ``achieved_goal`` and ``desired_goal`` (16,) corners alone. Actions (2,) are where the agent should go. The reward
    is the coverage of the goal by the block, in units of the 0.95 that ends an episode; ``info`` has ``coverage`` and
    ``success``.

    ``reset(options={"state": s})`` begins at s (5,): agent x, agent y, block x, block y, block angle in radians;
    without it gym-pusht draws the start.

    Raises:
        ConfigurationError: the package gym-pusht is not installed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.simulator = optional("gym_pusht.envs").PushTEnv(obs_type="environment_state_agent_pos")
        self.simulator.reset(seed=0)
        corners = gym.spaces.Box(-np.inf, np.inf, (16,), np.float32)  # the block may reach out of the square at first
        state = gym.spaces.Box(-np.inf, np.inf, (18,), np.float32)
        self.observation_space = gym.spaces.Dict(
            {"observation": state, "achieved_goal": corners, "desired_goal": corners}
        )
        self.action_space = gym.spaces.Box(0.0, SIDE, (2,), np.float32)
        self._goal = self._corners_at(self.simulator.goal_pose)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        """Begin an episode.

        Raises:
            ConfigurationError: the given state is not 5 finite numbers.
        """
        super().reset(seed=seed)
        self.simulator.reset(seed=int(self.np_random.integers(2**31)))
        if options and options.get("state") is not None:
            self.set_state(np.asarray(options["state"], np.float64))
        return self.observe(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """A tenth of a second."""
        _, reward, terminated, truncated, info = self.simulator.step(np.asarray(action, np.float64))
        known = {"coverage": float(info["coverage"]), "success": bool(info["is_success"])}
        return self.observe(), float(reward), bool(terminated), truncated, known

    def render(self) -> np.ndarray:
        """(height, width, 3) uint8 picture."""
        return self.simulator.render()

    def close(self) -> None:
        """Release the simulator."""
        self.simulator.close()

    def set_state(self, state: np.ndarray) -> None:
        """Agent and block at rest at ``state`` (5,), exactly.

        Raises:
            ConfigurationError: it is not 5 finite numbers.
        """
        if state.shape != (5,) or not np.isfinite(state).all():
            raise ConfigurationError(f"A state of PushT is agent x, y and block x, y, angle, not {state}.")
        agent, block = self.simulator.agent, self.simulator.block
        self._place(agent, state[:2], 0.0)
        self._place(block, state[2:4], float(state[4]))
        self.simulator.space.reindex_shapes_for_body(agent)
        self.simulator.space.reindex_shapes_for_body(block)

    @property
    def coverage(self) -> float:
        """Share of the goal that the block covers now, 0 to 1, as the simulator measures it."""
        return float(self.simulator._get_coverage())

    def observe(self) -> dict[str, np.ndarray]:
        """The current observation."""
        seen = self.simulator.get_obs()
        corners = seen["environment_state"].astype(np.float32)
        state = np.concatenate([corners, seen["agent_pos"].astype(np.float32)])
        return {"observation": state, "achieved_goal": corners, "desired_goal": self._goal.copy()}

    def _corners_at(self, pose: np.ndarray) -> np.ndarray:
        """(16,) corners of a block at ``pose`` (3,): x, y, angle."""
        self.set_state(np.array([0.0, 0.0, *pose]))
        return self.simulator.get_obs()["environment_state"].astype(np.float32)

    @staticmethod
    def _place(body: Any, position: np.ndarray, angle: float) -> None:
        """Put a body at rest; the angle comes first, for it turns the body about its centre of gravity."""
        body.angle = angle
        body.position = position.tolist()
        body.velocity, body.angular_velocity = (0.0, 0.0), 0.0


def max_coverage(episodes: Episodes) -> np.ndarray:
    """(E,) the largest share of the goal that was covered at any step: the score of Diffusion Policy.

    Raises:
        ConfigurationError: the episodes have no info ``coverage`` for each transition.
    """
    covered = episodes.infos.get("coverage")
    if covered is None or covered.shape[0] != episodes.num_transitions:
        raise ConfigurationError("The largest coverage needs the info 'coverage', which genrl/PushT-v0 gives.")
    best = torch.zeros(len(episodes), dtype=covered.dtype)
    return best.scatter_reduce_(0, episodes.episode_of_transition, covered.flatten(), "amax").numpy()


def demonstrations(path: str | Path) -> Episodes:
    """Human demonstrations of PushT, observed anew through the simulator's own geometry.

    Args:
        path: an npz file as the Diffusion Policy data set has its arrays: ``state`` (N, 5), ``action`` (N, 2) and
            ``episode_ends`` (E,).

    Returns:
        Episodes in the spaces of ``PushTGoals``, rewards and coverage included. The last action of a demonstration
        leads to no recorded state and is left out.

    Raises:
        DatasetMissingError: there is no such file.
        CorruptDatasetError: the file cannot be read, or its arrays are missing or do not fit together.
        ConfigurationError: the package gym-pusht is not installed.
    """
    if not Path(path).is_file():
        raise DatasetMissingError(f"There is no file of PushT demonstrations at {path}.")
    states, actions, ends = _demonstrated(path)
    lengths = np.diff(ends, prepend=0)
    env = PushTGoals()
    observed, coverage = _seen(env, states.astype(np.float64))
    arrived, acted = np.ones(len(states), bool), np.ones(len(states), bool)
    arrived[ends - lengths], acted[ends - 1] = False, False
    ended = ~acted[np.flatnonzero(acted) + 1]
    return Episodes(
        observation_space=env.observation_space,
        action_space=env.action_space,
        observations=to_tensors(observed),
        actions=to_tensors({"": actions[acted].astype(np.float32)}),
        rewards=torch.from_numpy(np.clip(coverage[arrived] / env.simulator.success_threshold, 0.0, 1.0)),
        terminations=torch.zeros(int(acted.sum()), dtype=torch.bool),
        truncations=torch.from_numpy(ended),
        lengths=torch.from_numpy(lengths - 1),
        infos=to_tensors({"coverage": coverage[arrived]}),
        card=DatasetCard(
            env_spec=env_spec_json(make_env("genrl/PushT-v0")),
            description="Human demonstrations of PushT (Diffusion Policy).",
        ),
    )


def _demonstrated(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (N, 5), actions (N, 2) and ends of episodes (E,) of at least two states each, E > 0."""
    names = ("state", "action", "episode_ends")
    try:
        arrays = read_npz(path, names)
    except ValueError as error:
        raise CorruptDatasetError(f"{path} cannot be read: {error}; download it again.") from error
    if missing := set(names) - set(arrays):
        raise CorruptDatasetError(f"{path} lacks the arrays {', '.join(sorted(missing))}.")
    states, actions, ends = (arrays[name] for name in names)
    rows = states.shape[:1]
    if (states.shape, actions.shape) != ((*rows, 5), (*rows, 2)) or ends.ndim != 1 or ends.dtype.kind not in "iu":
        raise CorruptDatasetError(
            f"{path}: state {states.shape}, action {actions.shape} and episode_ends {ends.shape} are not (N, 5), "
            "(N, 2) and (E,) whole numbers."
        )
    ends = ends.astype(np.int64)
    if ends[-1:].tolist() != list(rows) or (np.diff(ends, prepend=0) < 2).any():
        raise CorruptDatasetError(f"{path}: the ends of its {len(ends)} episodes do not fit its {rows[0]} states.")
    return states, actions, ends


def _seen(env: PushTGoals, states: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the environment observes in each of the ``states`` (N, 5), and the coverage (N,)."""
    observed, coverage = [], []
    for state in states:
        env.set_state(state)
        observed.append(env.observe())
        coverage.append(env.coverage)
    return {path: np.stack([one[path] for one in observed]) for path in observed[0]}, np.array(coverage)


gym.register("genrl/PushT-v0", "genrl.data.pusht:PushTGoals", max_episode_steps=STEPS)
