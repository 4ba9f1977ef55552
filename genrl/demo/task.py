"""The demo's task: cross a U-shaped maze from one end to the other, having seen only fragments of the way.

The real data are a handful of short fragments of play: none covers more than a part of the maze. A goal-conditioned
learner sees goals at most a fragment away and has nothing to learn the crossing from. A trajectory model can go on from
where one fragment ends with what another one shows, and so makes long trajectories that the data never held. Start
and goal are those of D4RL's antmaze-umaze: the two ends of the U.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes, split
from genrl.data.errors import ConfigurationError
from genrl.data.waypoint import WaypointPolicy
from genrl.evaluation.evaluate import Evaluation, evaluate
from genrl.learners.gcbc import GCBC
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.mlp import MLP
from genrl.nets.window_mlp import WindowMLP

ENVIRONMENT = "PointMaze_UMaze-v3"
ENDS = ((1, 1), (3, 1))  # (row, column) of the two ends of the U


@dataclass(frozen=True)
class Settings:
    """Sizes and budgets; every learner gets the same.

    Attributes:
        fragments: episodes of real play.
        steps: transitions in each.
        noise: standard deviation of the controller's action noise.
        held_out: share of the fragments that no model and no learner trains on.
        horizon, overlap: transitions in a window of the model, and rows shared by stitched windows.
        fit_batches, fit_batch_size: budget of the model.
        synthetic_times: synthetic transitions for each real one.
        synthetic_steps: transitions in a synthetic episode, stitched from windows.
        learner_batches, patience: budget of a learner, and its early stopping, in looks at the held-out fragments.
        evaluation_episodes: attempts of each learner.
    """

    fragments: int = 40
    steps: int = 40
    noise: float = 0.3
    held_out: float = 0.15
    horizon: int = 12
    overlap: int = 4
    fit_batches: int = 4000
    fit_batch_size: int = 64
    synthetic_times: int = 20
    synthetic_steps: int = 200
    learner_batches: int = 2000
    patience: int = 10
    evaluation_episodes: int = 50

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1 or self.fragments < 2:
            raise ConfigurationError(
                "Some fragments are held out and others learned from: held_out is above 0 and below 1, and there are 2"
                f" fragments or more, not {self.held_out} of {self.fragments}."
            )


def play(settings: Settings, fragments: int, seed: int) -> Episodes:
    """Real play: a noisy waypoint controller on its way to random goals, cut into short fragments."""
    env = make_env(ENVIRONMENT)
    controller = WaypointPolicy.for_env(env, noise=settings.noise)
    env.close()
    endless = {"continuing_task": True, "reset_target": True}
    episodes = collect(ENVIRONMENT, controller, fragments, seed, max_steps=settings.steps, env_options=endless)
    card = replace(
        episodes.card,
        eval_env_spec=evaluation_spec().to_json(),
        algorithm_name="WaypointPolicy",
        description=f"{fragments} fragments of play with {settings.steps} steps each in {ENVIRONMENT}, random goals.",
    )
    return replace(episodes, card=card)


def evaluation_spec() -> gym.envs.registration.EnvSpec:
    """The environment that attempts are made in: an attempt ends at its goal."""
    env = make_env(ENVIRONMENT, {"continuing_task": False})
    spec = env.spec
    env.close()
    assert spec is not None
    return spec


def parts(settings: Settings, episodes: Episodes, seed: int) -> tuple[Episodes, Episodes]:
    """The training and the held-out fragments, split as every fit with this seed splits them."""
    return split(episodes, settings.held_out, seed)


def model(settings: Settings, seed: int) -> TrajectoryDiffusion:
    """The generative model."""
    return TrajectoryDiffusion(
        net=partial(WindowMLP, width=256, layers=3),
        horizon=settings.horizon,
        overlap=settings.overlap,
        sampling=Sampling(steps=16),
        seed=seed,
    )


def synthetic_episodes(settings: Settings, real: Episodes) -> int:
    """How many synthetic episodes make ``synthetic_times`` as many transitions as ``real`` holds."""
    return -(-settings.synthetic_times * real.num_transitions // settings.synthetic_steps)


def learner(seed: int) -> GCBC:
    """The downstream learner: goal-conditioned behaviour cloning with goals in hindsight."""
    return GCBC(net=partial(MLP, width=256, layers=3), seed=seed)


def crossing(episode: int, _: np.random.Generator) -> dict[str, Any]:
    """Start at one end, goal at the other; the environment adds its own jitter to both."""
    start, goal = ENDS if episode % 2 == 0 else ENDS[::-1]
    return {"reset_cell": np.array(start), "goal_cell": np.array(goal)}


def attempt(settings: Settings, fitted: GCBC, seed: int) -> Evaluation:
    """Attempts to cross the maze, half of them in each direction."""
    episodes = settings.evaluation_episodes
    return evaluate(fitted.policy(), evaluation_spec(), episodes, seed, num_envs=25, reset_options=crossing)
