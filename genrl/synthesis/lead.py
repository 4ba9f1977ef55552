"""Methods put together for a synthesis: a fitted model under the agents that lead it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.data.ranges import require_numbers
from genrl.learners.agent import Agent
from genrl.learners.future_conditioned import FutureConditioned
from genrl.learners.learner import Learner
from genrl.learners.return_conditioned import ReturnConditioned
from genrl.learners.sequence import SequenceLearner
from genrl.methods.gta import GTA
from genrl.methods.imagination import Imagination
from genrl.methods.imagined_futures import ImaginedFutures
from genrl.methods.imagined_play import ImaginedPlay
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.mbrcsl import MBRCSL
from genrl.methods.method import Method, require_method
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.steered import Guidance
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.value_guided_diffusion import ValueGuidedDiffusion
from genrl.training.stored import Stored

LED = ({"guide"}, {"guide", "behaviour"}, {"critic"})
"""What may lead a diffusion model together."""


def lead(model: Stored, agents: Mapping[str, Stored], guidance: Guidance) -> Method:
    """``model`` under agents: none, a guide, with or without a behaviour policy to be led away from, or a critic.

    Raises:
        CheckpointError: an agent is no learner.
        ConfigurationError: the model cannot be led, or not by these.
    """
    for name, agent in agents.items():
        if not isinstance(agent, Agent):
            raise CheckpointError(f"The {name} must be a learner; a {type(agent).__name__} does not act.")
        if isinstance(agent, ReturnConditioned):
            raise ConfigurationError(
                f"A {type(agent).__name__} acts by the rewards that it is told, and leads no method; collect with it in"
                " its environment."
            )
        if not (isinstance(agent, Learner) or isinstance(model, LearnedWorld)):
            raise ConfigurationError(
                f"A {type(agent).__name__} looks back over several steps and cannot lead a diffusion model; roll it out"
                " in a world model."
            )
    if guidance != Guidance() and (not agents or isinstance(model, LearnedWorld)):
        raise ConfigurationError("Only an agent that leads a diffusion model has a scale: give --guide or --critic.")
    if not agents:
        return require_method(model)
    if isinstance(model, LearnedWorld) and set(agents) == {"guide"}:
        return _rolled_out(model, agents["guide"])
    if not isinstance(model, TrajectoryDiffusion) or set(agents) not in LED:
        raise ConfigurationError(
            f"A {type(model).__name__} cannot be led by {' and '.join(agents)}: a diffusion model takes a guide, a"
            " guide and a behaviour, or a critic; a world model takes a guide."
        )
    if "critic" in agents:
        return ValueGuidedDiffusion(model, agents["critic"], guidance)
    return PolicyGuidedDiffusion(model, agents["guide"], guidance, agents.get("behaviour"))


def _rolled_out(model: LearnedWorld, guide: Any) -> Method:
    """A guide in a world model, as its kind acts."""
    if isinstance(guide, FutureConditioned):
        return ImaginedFutures(model, guide)
    return ImaginedPlay(model, guide) if isinstance(guide, SequenceLearner) else Imagination(model, guide)  # type: ignore[arg-type]


def scaled(guidance: Guidance, scale: float | None) -> Guidance:
    """``guidance`` of another strength; None leaves it.

    Raises:
        ConfigurationError: the scale is no number, or its schedule has none.
    """
    if scale is None:
        return guidance
    require_numbers("Guidance", scale=scale)
    schedule: Any = guidance.schedule
    try:
        return replace(guidance, schedule=replace(schedule, scale=scale))
    except TypeError as error:
        raise ConfigurationError(f"The schedule {schedule} has no scale; set its own arguments.") from error


def renoised(model: Stored, data: str, settings: Mapping[str, Any], root: Path | None) -> GTA:
    """Real data ``data`` varied by ``model``.

    Raises:
        ConfigurationError: the model is no diffusion model, or a setting is not one of GTA's.
    """
    if not isinstance(model, TrajectoryDiffusion):
        raise ConfigurationError(f"A {type(model).__name__} cannot vary real data; take a diffusion model.")
    try:
        return GTA(model, data, root=None if root is None else str(root), **settings)
    except TypeError as error:
        raise ConfigurationError(f"Renoising takes level, amplify and weight, not {dict(settings)}.") from error


def surpassing(
    model: Stored, agents: Mapping[str, Stored], data: str, settings: Mapping[str, Any], root: Path | None
) -> MBRCSL:
    """Rollouts of a behaviour policy, the guide, in a world model that are better than ``data``.

    Raises:
        ConfigurationError: the model is no world model, the guide no learner over windows, or a setting is not one of
            MBRCSL's.
    """
    guide = agents.get("guide")
    if not isinstance(model, LearnedWorld) or set(agents) != {"guide"} or not isinstance(guide, SequenceLearner):
        raise ConfigurationError(
            "Data are surpassed by rollouts in a world model of a policy over windows that acts as they do: give a"
            " WorldModel for --method and, for instance, a BESO without goals for --guide."
        )
    try:
        return MBRCSL(model, guide, data, root=None if root is None else str(root), **settings)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigurationError(
            f"Surpassing takes quantile, margin, tries, slack, wave, horizon and disagreement, not {dict(settings)}."
        ) from error
