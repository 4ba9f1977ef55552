"""All that was chosen for the benchmarks of DoC, on tuning seeds from 1000.

Data, sizes of networks and fits go by the family of an environment; every arm has the same number of updates and the
same batches in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gymnasium as gym

from benchmarks.doc_ablations import OppositeSign, RandomPosterior
from benchmarks.locomotion import actor
from genrl.data.bandit import Misled
from genrl.data.maze_guide import guide
from genrl.data.policies import ActorPolicy
from genrl.data.policy import Policy
from genrl.data.relay import Relay
from genrl.data.value_iteration import ValueIteration
from genrl.learners.agent import Agent
from genrl.learners.bc import BC
from genrl.learners.decision_transformer import DecisionTransformer
from genrl.learners.doc import DoC
from genrl.learners.future_vae import FutureVAE
from genrl.learners.latents import CategoricalLatent, GaussianLatent
from genrl.learners.outcomes import Surprises
from genrl.learners.percent_bc import PercentBC
from genrl.nets.mlp import MLP
from genrl.nets.return_transformer import ReturnTransformer
from genrl.nets.trajectories import PooledMLP


@dataclass(frozen=True)
class Sizes:
    """What a cell depends on beside its arm, its environment and its seed.

    Attributes:
        trajectories: in the data.
        updates: of every learner.
        batch: of every update.
        starts: evaluation episodes.
        drawn: whether actions are drawn in them, or the likeliest taken.
        follow: steps for which a latent is followed before the best is chosen anew; None for as many as it tells of.
    """

    trajectories: int
    updates: int
    batch: int
    starts: int
    drawn: bool = True
    follow: int | None = None


@dataclass(frozen=True)
class Place:
    """Where the data of a cell come from, and where its policy plays.

    Attributes:
        family: key of ``SIZES`` and ``LEARNERS``.
        env, settings: id, and what the environment takes.
        behaviours: makers of the policies that the data come from, each with an equal share.
    """

    family: str
    env: str
    settings: Mapping[str, Any]
    behaviours: Sequence[Callable[[gym.Env], Policy]]


CHANCES = (0.05, 0.1, 0.2, 0.3, 0.4)
SLIPS = {"slip0": 0.0, "slip33": 1 / 3, "slip67": 2 / 3}
EPSILONS = (0.3, 0.5, 0.7)
NOISES = (0.0, 0.5, 1.0)


def bandit(p: float) -> Place:
    """Two arms of chances p and 1 - p."""
    return Place("bandit", "genrl/bandit-v0", {"p": p}, [Misled.for_env])


def lake(side: int, slip: float, epsilon: float) -> Place:
    """FrozenLake of side x side cells, by a nearly optimal policy."""
    settings = {"map_name": f"{side}x{side}", "success_rate": 1 - slip}
    return Place("lake", "FrozenLake-v1", settings, [partial(ValueIteration.for_env, epsilon=epsilon)])


def cliff(epsilon: float) -> Place:
    """Slippery CliffWalking, by a nearly optimal policy; gymnasium's own has no limit of steps."""
    settings = {"max_episode_steps": 300}
    return Place("lake", "CliffWalkingSlippery-v1", settings, [partial(ValueIteration.for_env, epsilon=epsilon)])


ACTORS = tuple(f"hopper_{name}" for name in ("ppo", "sac", "tqc"))
"""That noise harms more or less."""


def hopper(sigma: float) -> Place:
    """Hopper with noise on its actions, by three actors that take turns within an episode."""

    def turns(env: gym.Env) -> Relay:
        return Relay([actor(name) for name in ACTORS], env.action_space, every=25)

    return Place("hopper", "genrl/NoisyHopper-v5", {"sigma": sigma}, [turns])


def hopper_alone(sigma: float) -> Place:
    """The same where each of them acts for whole episodes."""
    behaviours = [lambda env, name=name: actor(name) for name in ACTORS]
    return Place("hopper_alone", "genrl/NoisyHopper-v5", {"sigma": sigma}, behaviours)


def bold(name: str) -> ActorPolicy:
    """An actor with twice its actions: in noise it falls early as a rule, and now and then comes furthest of all."""
    careful = actor(name)
    weights, biases = careful.mean
    return replace(careful, mean=(2 * weights, 2 * biases))


def hopper_bold(sigma: float) -> Place:
    """Hopper with noise on its actions, by a careful and a bold actor that take turns within an episode."""

    def turns(env: gym.Env) -> Relay:
        return Relay([actor("hopper_sac"), bold("hopper_ars")], env.action_space, every=50)

    return Place("hopper_bold", "genrl/NoisyHopper-v5", {"sigma": sigma}, [turns])


def teleport(steps: int = 1000, noise: float = 1.0) -> Place:
    """A maze with teleports, by those who know it: three go by teleport where that is shorter, and one goes round.

    All walk with much noise, for whoever clones steady walkers is soon where they never were, and gets stuck there.
    """
    behaviours = [partial(guide, through_teleports=through, noise=noise) for through in (True, True, True, False)]
    return Place("teleport", "genrl/pointmaze-teleport-v0", {"max_episode_steps": steps}, behaviours)


BANDITS = {f"p{100 * p:02.0f}": bandit(p) for p in CHANCES}
LAKES = {
    f"lake{side}-{name}-eps{100 * epsilon:.0f}": lake(side, slip, epsilon)
    for side in (4, 8)
    for name, slip in SLIPS.items()
    for epsilon in EPSILONS
}
HOPPERS = {f"hopper-noise{100 * sigma:.0f}": hopper(sigma) for sigma in NOISES}
HOPPERS_ALONE = {f"hopper_alone-noise{100 * sigma:.0f}": hopper_alone(sigma) for sigma in NOISES}
HOPPERS_BOLD = {f"hopper_bold-noise{100 * sigma:.0f}": hopper_bold(sigma) for sigma in NOISES}
CLIFFS = {f"cliff-eps{100 * epsilon:.0f}": cliff(epsilon) for epsilon in (0.1, 0.3)}
TELEPORT = "teleport"
PLACES: dict[str, Place] = BANDITS | LAKES | CLIFFS | HOPPERS | HOPPERS_ALONE | HOPPERS_BOLD | {TELEPORT: teleport()}

SIZES = {
    "bandit": Sizes(trajectories=1000, updates=1500, batch=64, starts=1000),
    "lake": Sizes(trajectories=1000, updates=2000, batch=64, starts=200),
    "hopper": Sizes(trajectories=600, updates=5000, batch=64, starts=50, drawn=False, follow=5),
    "hopper_bold": Sizes(trajectories=600, updates=5000, batch=64, starts=50, drawn=False, follow=5),
    "teleport": Sizes(trajectories=200, updates=4000, batch=64, starts=50, drawn=False, follow=5),
    "hopper_alone": Sizes(trajectories=150, updates=2000, batch=64, starts=30, drawn=False, follow=5),
}
"""Published: 10,000 updates of 64 trajectories each, and 100 trajectories in a lake.

Where a behaviour comes to the goal in 7 of a hundred episodes, a hundred do not tell which actions are good: greedy by
their returns, counted for each state and action, comes to it no more often than the behaviour (0.08 and 0.07 at a slip
of 2/3 and an epsilon of 0.5, six tuning seeds), and by a thousand in 0.25.
"""

SMALL, LARGE = partial(MLP, width=32, layers=2), partial(MLP, width=256, layers=2)
"""Networks of the bandit and the lakes, and of Hopper."""

Makers = dict[str, Callable[..., Agent]]


def baselines(net: Callable[..., Any], width: int, layers: int, context: int) -> Makers:
    """The learners that know of no latent future."""
    transformer = partial(ReturnTransformer, width=width, layers=layers)
    return {
        "dt": partial(DecisionTransformer, net=transformer, context=context, lr=1e-3),
        "percent_bc": partial(PercentBC, net=net, percent=10.0),
        "bc": partial(BC, net=net),
    }


LATENT: dict[str, Any] = {"latent": CategoricalLatent(4), "horizon": 2, "lr": 3e-3}
DOC: dict[str, Any] = LATENT | {"beta": 3.0, "energy_lr": 3e-3, "temperature": 0.3}
"""Of the bandit, where an episode has one step, and of the lakes alike; but for the horizon, the learners' defaults."""

GAUSSIAN: dict[str, Any] = {
    "latent": GaussianLatent(4),
    "net": LARGE,
    "future_net": partial(PooledMLP, width=256),
    "horizon": 20,
    "lr": 1e-3,
}

CONTINUOUS_DOC: dict[str, Any] = GAUSSIAN | {"energy_lr": 1e-3, "temperature": 0.0, "outcome_net": Surprises}

TABULAR: Makers = {
    "doc": partial(DoC, **DOC),
    "future_vae": partial(FutureVAE, **LATENT, beta=0.1),
    "elbo_vae": partial(FutureVAE, **LATENT, beta=1.0),
    "no_term": partial(DoC, **DOC | {"beta": 0.0}),
    "opposite_sign": partial(OppositeSign, **DOC),
    "random_posterior": partial(RandomPosterior, **DOC),
}
"""DoC, its nearest baseline (under a weak divergence, which serves it, and a whole one: the evidence lower bound), and
what DoC is without one of its parts."""

CONTINUOUS: Makers = {
    "doc": partial(DoC, **CONTINUOUS_DOC),
    "future_vae": partial(FutureVAE, **GAUSSIAN, beta=0.1),
    "no_term": partial(DoC, **CONTINUOUS_DOC | {"beta": 0.0}),
    **baselines(LARGE, width=64, layers=2, context=10),
}

LEARNERS: dict[str, Makers] = {
    "bandit": TABULAR | baselines(SMALL, width=32, layers=2, context=1),
    "lake": TABULAR | baselines(SMALL, width=32, layers=2, context=5),
    "hopper": CONTINUOUS,
    "hopper_alone": CONTINUOUS,
    "hopper_bold": CONTINUOUS,
    "teleport": CONTINUOUS,
}
