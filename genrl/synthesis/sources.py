"""Where renewed synthetic data come from: each source gives a ``Renewal`` the method for the learner as it is.

Fitted parts may be given as objects or as paths of their checkpoints, which are read at the first renewal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch

from genrl.data.errors import CheckpointError
from genrl.learners.agent import Agent
from genrl.learners.learner import Learner
from genrl.methods.imagination import Imagination
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Method
from genrl.methods.pessimistic_imagination import PessimisticImagination
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.steered import Guidance
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.world_model import WorldModel
from genrl.training.checkpoint import load
from genrl.training.rest import frozen
from genrl.training.stored import Stored

Part = TypeVar("Part", bound=Stored)


class Unguided:
    """A method as it was fitted, whatever the policy: fresh data at every renewal.

    Args:
        method: any fitted method that makes data by itself, or its checkpoint.
    """

    def __init__(self, method: Method | str | Path) -> None:
        self.method = method

    def __call__(self, learner: Agent, generation: int) -> Method:
        """The method itself."""
        self.method = fitted(self.method, Method, learner.device)  # type: ignore[type-abstract]
        return self.method


class Guided:
    """Policy-guided diffusion (Jackson et al. 2024, https://arxiv.org/abs/2404.06356) with the learner's policy.

    Args:
        method: a fitted trajectory diffusion model, or its checkpoint.
        guidance: how the policy leads it.
        behaviour: a learner cloned from the same data, or its checkpoint, to be led away from.
        first_unguided: leave the first generation, whose policy has learned nothing yet, to the model alone, as in the
            paper.
    """

    def __init__(
        self,
        method: TrajectoryDiffusion | str | Path,
        guidance: Guidance = Guidance(),  # noqa: B008 (frozen)
        behaviour: Learner | str | Path | None = None,
        first_unguided: bool = True,
    ) -> None:
        self.method, self.guidance, self.behaviour, self.first_unguided = method, guidance, behaviour, first_unguided

    def __call__(self, learner: Learner, generation: int) -> Method:
        """The model under the learner's current policy."""
        self.method = fitted(self.method, TrajectoryDiffusion, learner.device)
        if self.behaviour is not None:
            self.behaviour = fitted(self.behaviour, Learner, learner.device)  # type: ignore[type-abstract]
        guided = PolicyGuidedDiffusion(self.method, learner, self.guidance, self.behaviour)  # refuses what cannot lead
        return self.method if generation == 0 and self.first_unguided else guided


class Imagined:
    """Rollouts of the learner's policy in a world model, as in MBPO (Janner et al. 2019, arXiv:1906.08253).

    Args:
        world_model: fitted, or its checkpoint.
        horizon: transitions in a rollout, fewer where the model ends it.
    """

    def __init__(self, world_model: LearnedWorld | str | Path, horizon: int = 32) -> None:
        self.world_model, self.horizon = world_model, horizon

    def __call__(self, learner: Learner, generation: int) -> Method:
        """The world model with the learner's current policy in it."""
        self.world_model = fitted(self.world_model, LearnedWorld, learner.device)  # type: ignore[type-abstract]
        return Imagination(self.world_model, learner, self.horizon)


class Pessimistic:
    """``Imagined``, with rewards lowered where the world model is unsure: with ``SAC`` this is MOPO (Yu et al. 2020).

    Args:
        world_model: fitted, or its checkpoint.
        horizon: transitions in a rollout, fewer where the model ends it; 1 or 5 in the paper.
        penalty: lambda, see ``PessimisticImagination``.
    """

    def __init__(self, world_model: WorldModel | str | Path, horizon: int = 5, penalty: float = 1.0) -> None:
        self.world_model, self.horizon, self.penalty = world_model, horizon, penalty

    def __call__(self, learner: Learner, generation: int) -> Method:
        """The world model with the learner's current policy in it, under lower rewards."""
        self.world_model = fitted(self.world_model, WorldModel, learner.device)
        return PessimisticImagination(self.world_model, learner, self.horizon, self.penalty)


def fitted(part: Any, kind: type[Part], device: torch.device) -> Part:
    """A ``kind`` of module, read from its checkpoint where ``part`` is a path, on ``device`` and ready to use.

    Raises:
        CheckpointError: there is no such checkpoint, or what was given is of another kind.
    """
    loaded = load(part, device) if isinstance(part, str | Path) else frozen(part.to(device))
    if not isinstance(loaded, kind):
        where = f" at {part}" if isinstance(part, str | Path) else ""
        raise CheckpointError(f"A renewal needs a {kind.__name__} here, not the {type(loaded).__name__}{where}.")
    return loaded
