"""Small data sets with known answers, and the list of methods that the general tests go through."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import gymnasium as gym
import numpy as np
import torch

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.learners.bc import BC
from genrl.methods.diffusion_world_model import DiffusionWorldModel
from genrl.methods.imagination import Imagination
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Block, Method
from genrl.methods.pessimistic_imagination import PessimisticImagination
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.nets.mlp import MLP, DenoisingMLP
from genrl.nets.residual_mlp import ResidualMLP
from genrl.nets.temporal_transformer import TemporalTransformer
from genrl.nets.temporal_unet import TemporalUNet
from genrl.nets.window_mlp import WindowMLP
from genrl.training.fit import fit
from genrl.training.module import Trainable

FEW = Sampling(steps=10)  # with fewer, Heun magnifies rounding at its lowest noise levels
WINDOWS = partial(TrajectoryDiffusion, horizon=4, overlap=2, sampling=FEW)
METHODS: dict[str, Callable[[], Method]] = {
    "trajectory-mlp": partial(WINDOWS, net=partial(WindowMLP, width=16, layers=1)),
    "trajectory-unet": partial(WINDOWS, net=partial(TemporalUNet, width=8, multipliers=(1, 2), groups=2)),
    "trajectory-transformer": partial(
        WINDOWS, net=partial(TemporalTransformer, width=16, layers=1, heads=2, dropout=0.1)
    ),
    "transition": partial(TransitionDiffusion, net=partial(ResidualMLP, width=16, layers=1), sampling=FEW),
}
WORLD_MODEL = partial(WorldModel, net=partial(EnsembleMLP, width=16, layers=1), starts=64)
DIFFUSED = partial(DiffusionWorldModel, net=partial(DenoisingMLP, width=16, layers=1), starts=64)
TRAINED: dict[str, Callable[[], Trainable]] = METHODS | {"world-model": WORLD_MODEL, "diffusion-world-model": DIFFUSED}


def imagined(data: Episodes, world: Callable[[], LearnedWorld] = WORLD_MODEL) -> Imagination:
    """A world model of ``data`` and a policy cloned from them."""
    model, policy = world(), BC(net=partial(MLP, width=16))
    return Imagination(*(fit(part, data, 5, progress=False) for part in (model, policy)), horizon=4)


def doubted(data: Episodes) -> PessimisticImagination:
    """The same, with rewards lowered where the model is unsure."""
    plain = imagined(data)
    return PessimisticImagination(plain.world_model, plain.policy, horizon=4, penalty=0.5)


COMPOSED: dict[str, Callable[[Episodes], Method]] = {
    "imagination": imagined,
    "diffused-imagination": partial(imagined, world=DIFFUSED),
    "pessimistic": doubted,
}


def ready(name: str, data: Episodes) -> Method:
    """A method of either list, ready to synthesise."""
    return COMPOSED[name](data) if name in COMPOSED else fit(METHODS[name](), data, 5, progress=False)


class InterruptionError(Exception):
    """What ``Watched`` raises where it was told to."""


class Watched(TrajectoryDiffusion):
    """Remembers which blocks it made; may be slow, or stop before one of them."""

    stop_before: int | None = None
    pause = 0.0
    blocks: Sequence[int] = ()

    def watch_blocks(self, stop_before: int | None = None) -> list[int]:
        """Begin a new list of blocks."""
        self.stop_before = stop_before
        self.blocks = blocks = []
        return blocks

    def synthesize(self, block: Block, conditions: Conditions | None = None, **settings) -> Episodes:
        """The block, as ever."""
        if block.index == self.stop_before:
            raise InterruptionError
        time.sleep(self.pause)
        if isinstance(self.blocks, list):
            self.blocks.append(block.index)
        return super().synthesize(block, conditions, **settings)


A = np.array([[1.0, 0.2], [-0.1, 0.9]])
B = np.array([[0.0], [0.3]])


def box(dim: int, bound: float = np.inf, dtype: type = np.float32) -> gym.spaces.Box:
    return gym.spaces.Box(-bound, bound, (dim,), dtype)


def linear(episodes: int = 12, steps: int = 9, seed: int = 0) -> Episodes:
    """s' = A s + B a with uniform actions; the reward is the first entry of s."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-0.9, 0.9, (episodes, steps, 1))
    states = [rng.normal(size=(episodes, 2))]
    for t in range(steps):
        states.append(states[-1] @ A.T + actions[:, t] @ B.T)
    observations = np.stack(states, 1)
    return from_arrays(
        list(observations.astype(np.float32)),
        list(actions.astype(np.float32)),
        list(observations[:, :-1, 0]),
        observation_space=box(2),
        action_space=box(1, 1.0),
    )


def walks(
    episodes: int = 10, steps: int = 9, seed: int = 0, dtype: type = np.float64, bound: float = np.inf
) -> Episodes:
    """A point that moves in a plane, with a goal: its achieved goal copies two of three columns of the state."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (episodes, steps, 2)).astype(np.float32)
    moves = np.concatenate([rng.normal(size=(episodes, 1, 2)), 0.1 * actions], axis=1)
    places = moves.cumsum(1)
    time = np.broadcast_to(np.arange(steps + 1)[None, :, None], (episodes, steps + 1, 1))
    states = np.concatenate([places[..., :1], time, places[..., 1:]], -1).astype(dtype)
    goals = np.repeat(rng.normal(size=(episodes, 1, 2)), steps + 1, axis=1).astype(dtype)
    spaces = {"observation": box(3, bound, dtype), "achieved_goal": box(2, bound, dtype)}
    return from_arrays(
        [
            {"observation": s, "achieved_goal": s[:, [0, 2]], "desired_goal": g}
            for s, g in zip(states, goals, strict=True)
        ],
        list(actions),
        list(np.zeros((episodes, steps))),
        observation_space=gym.spaces.Dict(spaces | {"desired_goal": box(2, bound, dtype)}),
        action_space=box(2, 1.0),
    )


def line(episodes: int = 60, seed: int = 0) -> Episodes:
    """A walk to the right in steps of about 0.12 that terminates where it passes 1."""
    rng = np.random.default_rng(seed)
    observations, actions, rewards, ends = [], [], [], []
    for _ in range(episodes):
        places, pushes = [rng.uniform(0, 0.3)], []
        while places[-1] < 1:
            pushes.append(rng.uniform(-0.9, 0.9))
            places.append(places[-1] + 0.12 + 0.05 * pushes[-1])
        observations.append(np.array(places, np.float32)[:, None])
        actions.append(np.array(pushes, np.float32)[:, None])
        rewards.append(np.ones(len(pushes)))
        ends.append(np.arange(len(pushes)) == len(pushes) - 1)
    return from_arrays(observations, actions, rewards, ends, observation_space=box(1), action_space=box(1, 1.0))


def two_levels(episodes: int = 60, steps: int = 6, seed: int = 0) -> Episodes:
    """Half of the episodes earn 1 in every step, the others nothing."""
    rng = np.random.default_rng(seed)
    good = np.arange(episodes) % 2
    return from_arrays(
        list(rng.normal(size=(episodes, steps + 1, 1)).astype(np.float32)),
        list(rng.uniform(-0.9, 0.9, (episodes, steps, 1)).astype(np.float32)),
        [np.full(steps, float(level)) for level in good],
        observation_space=box(1),
        action_space=box(1, 1.0),
    )


def equal_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def assert_close(one: Episodes, other: Episodes, atol: float = 0.0) -> None:
    """Equal to ``atol``; bit by bit if that is 0."""
    assert torch.equal(one.lengths, other.lengths)
    for group in ("observations", "actions"):
        for path, leaf in getattr(one, group).items():
            torch.testing.assert_close(leaf, getattr(other, group)[path], atol=atol, rtol=0)
    for name in ("rewards", "terminations", "truncations"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=atol, rtol=0)
