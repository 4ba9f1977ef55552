"""Policies by name: what ``--policy`` takes on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import gymnasium as gym

from genrl.data.bandit import Misled
from genrl.data.construction import Uniform
from genrl.data.errors import CheckpointError, ConfigurationError, UnsupportedSpaceError
from genrl.data.journeys import expert, journeys
from genrl.data.maze_guide import guide
from genrl.data.maze_oracle import navigate, stitch
from genrl.data.plan_oracle import PlanOracle
from genrl.data.policies import ActorPolicy, RandomPolicy
from genrl.data.policy import Policy
from genrl.data.relay import Relay
from genrl.data.spaces import forms
from genrl.data.value_iteration import ValueIteration
from genrl.data.waypoint import WaypointPolicy
from genrl.learners.agent import Agent
from genrl.training.checkpoint import load

Maker = Callable[..., Policy]
"""(environment, **options) -> policy."""


def learned_policy(env: gym.Env, path: str, device: str = "cpu", **options: Any) -> Policy:
    """The learner stored in a genrl checkpoint; ``options`` are those of its ``policy``, such as a target return.

    Raises:
        CheckpointError: it holds a generative method, which does not act.
        UnsupportedSpaceError: it was fitted to other spaces than the environment's.
    """
    learner = load(path, device)
    if not isinstance(learner, Agent):
        raise CheckpointError(f"{path} holds a {type(learner).__name__}, which makes data and does not act.")
    assert learner.spec is not None
    for name in ("observation_space", "action_space"):
        if forms(getattr(learner.spec, name)) != forms(getattr(env, name)):
            raise UnsupportedSpaceError(
                f"{path} was fitted to {name.replace('_', ' ')} {getattr(learner.spec, name)}; the environment has "
                f"{getattr(env, name)}."
            )
    return learner.policy(**options)


def actor_policy(env: gym.Env, path: str, **options: Any) -> Policy:
    """An actor stored as plain numpy arrays."""
    return ActorPolicy.load(path, **options)


def relay(env: gym.Env, members: Sequence[str], every: float = 25.0) -> Relay:
    """Policies that take turns, by their names or files; see ``Relay``.

    Raises:
        ConfigurationError: the members are no list, or one of them cannot be made.
    """
    if isinstance(members, str):
        raise ConfigurationError(f"The members of a relay are a list of policies, not '{members}': write [{members}].")
    return Relay([make_policy(member, env) for member in members], env.action_space, every)


NAMED: dict[str, Maker] = {
    "random": lambda env: RandomPolicy(env.action_space),
    "waypoint": WaypointPolicy.for_env,
    "plan": PlanOracle.for_env,
    "navigate": navigate,
    "guide": guide,
    "relay": relay,
    "stitch": stitch,
    "journeys": journeys,
    "expert": expert,
    "misled": Misled.for_env,
    "uniform": Uniform.for_env,
    "value_iteration": ValueIteration.for_env,
}

STORED: dict[str, Maker] = {".ckpt": learned_policy, ".npz": actor_policy}


def is_checkpoint(name: str) -> bool:
    """Whether a policy is called by its checkpoint, or by the folder of the fit that wrote it."""
    return name not in NAMED and (Path(name).suffix == ".ckpt" or Path(name).is_dir())


def make_policy(name: str, env: gym.Env, options: Mapping[str, Any] | None = None) -> Policy:
    """The policy called ``name``.

    Args:
        name: a short name in ``NAMED``; a file that ends as one in ``STORED``, or the folder of a fit; or
            ``package.module.maker``, anything that is called with the environment and the options.
        env: an environment of the kind to act in.
        options: keyword arguments of the maker.

    Raises:
        ConfigurationError: there is no such policy, or it does not take these options.
    """
    options = dict(options or {})
    maker, arguments = NAMED.get(name), {}
    if maker is None and (stored := STORED.get(".ckpt" if is_checkpoint(name) else Path(name).suffix)):
        maker, arguments = stored, {"path": name}
    try:
        return (maker or _imported(name))(env, **arguments, **nested(options))
    except TypeError as error:
        raise ConfigurationError(f"The policy '{name}' cannot be made with the options {options}: {error}.") from error


def nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the command line gives them, ``{"sampling.steps": 5}``, as ``{"sampling": {"steps": 5}}``."""
    made: dict[str, Any] = {}
    for name, value in options.items():
        group, dot, rest = name.partition(".")
        if dot:
            made[group] = {**made.get(group, {}), **nested({rest: value})}
        else:
            made[name] = value
    return made


def _imported(name: str) -> Maker:
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"There is no policy '{name}'; there are {', '.join(NAMED)}, files that end in {' or '.join(STORED)}, and "
            "anything that can be imported as package.module.name and called with an environment."
        ) from error
