"""Episodes that follow latent futures in a world model: how learners of latent futures synthesise.

The same in an environment is ``genrl.collect`` with the learner's policy, and leaves the same infos.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_at_least
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.rollout import Act, rollout
from genrl.methods.imagination import Imagination
from genrl.methods.imagined_play import seeds_of
from genrl.methods.method import Block, Composite
from genrl.methods.policy_guided_diffusion import require_same_spaces
from genrl.methods.world_model import WorldModel


class Memory(Protocol):
    """The running form of a policy that follows a latent future."""

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget where an episode begins."""

    def respond(self, states: Tensor, latent: Tensor | None = None, deterministic: bool = False) -> Tensor:
        """(B, A) encoded actions for standardised observations (B, D), and maybe latents (B, Z) to follow."""

    def infos(self) -> dict[str, np.ndarray]:
        """The ``latent`` (B, Z) that is followed, and its ``predicted_value`` (B,)."""


class Foreseer(Protocol):
    """A fitted learner of latent futures, see ``genrl.learners.future_conditioned``."""

    observer: Any

    def policy(self, candidates: int | None = None, least_mass: float = 0.0) -> Any:
        """The learner as a policy with a memory."""


class ImaginedFutures(Imagination):
    """Rollouts in a world model, from real states, of a policy that follows a latent future from each.

    Args:
        world_model: fitted.
        policy: a fitted learner of latent futures for the same spaces, such as ``DoC``.
        horizon: transitions in an episode, fewer where the model ends it.
        candidates: latents drawn from the prior at a time, of which the one with the highest value is followed; with 1,
            the futures of the episodes are as diverse as those of the data.
        stochastic: draw actions; else take the most likely ones.
        disagreement: see ``Imagination``.

    Raises:
        ConfigurationError: a part was never fitted, they were fitted to other spaces, or a number is out of range.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start", "latent"})
    policy: Any  # a Foreseer

    def __init__(
        self,
        world_model: WorldModel,
        policy: Foreseer,
        horizon: int = 32,
        candidates: int = 1,
        stochastic: bool = True,
        disagreement: bool = True,
    ) -> None:
        Composite.__init__(self)  # an Imagination asks for a policy without memory
        require_same_spaces(world_model, policy)  # type: ignore[arg-type]
        require_at_least(1, horizon=horizon, candidates=candidates)
        self.world_model, self.policy, self.horizon = world_model, policy, horizon
        self.candidates, self.stochastic, self.disagreement = candidates, stochastic, disagreement
        self.spec = world_model.spec

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Rollouts of at most ``length`` transitions, each from a real state or from ``conditions.start`` (B, S).

        ``conditions.latent`` (B, Z) are followed instead of latents of the prior. Infos of a transition are the
        ``latent`` that is followed, the return to the end of an episode that its value promised where it was chosen
        (``predicted_value``), and how far the members of the ensemble were apart (``disagreement``, where kept).

        Raises:
            ConditionError: an unknown condition or a wrong shape.
            ConfigurationError: a length below one, or not one rollout takes a single step.
        """
        conditions = conditions or Conditions()
        conditions.require(type(self).__name__, set(self.understands), block.size)
        if length is not None and length < 1:
            raise ConfigurationError(f"An episode has at least one transition, not {length}.")
        states, goals = self._starts(block, conditions)
        noise, parts, model = BlockNoise(block.seed, block.index), [], self.world_model
        dynamics = model.dynamics(self.disagreement)
        for first in range(0, block.size, batch_size or block.size):
            part = slice(first, first + (batch_size or block.size))
            told: list[dict[str, np.ndarray]] = []
            wished = None if conditions.latent is None else conditions.latent[part]
            act = self._following(goals[part], wished, told)
            bounds = (model.low, model.high)
            made = rollout(dynamics, act, states[part], length or self.horizon, noise.part(first), bounds)
            if message := made.divergence(first):
                warnings.warn(f"{message}; fit the world model longer or shorten the rollouts.", stacklevel=2)
            parts.append(_beside(self._episodes(made, goals[part]), told, made.lengths.cpu()))
        kept = [part for part in parts if len(part)]
        if not kept:
            raise ConfigurationError("Not one rollout took a step inside the range of the data: fit the model longer.")
        return concatenate(kept)

    def _following(self, goals: Tensor, latent: Tensor | None, told: list[dict[str, np.ndarray]]) -> Act:
        """The policy as a function from columns to columns, with a memory for each row of goals (B, G).

        What it tells of each step is appended to ``told``.
        """
        memory: Memory = self.policy.policy(candidates=self.candidates)

        def act(states: Tensor, noise: Tensor) -> Tensor:
            if not told:
                memory.reset(np.ones(len(goals), bool), seeds_of(noise))
            seen = self.policy.observer.normalize(torch.cat((states, goals), dim=-1))
            columns = memory.respond(seen, latent, deterministic=not self.stochastic)
            told.append(memory.infos())
            return columns

        return act


def _beside(episodes: Episodes, told: list[dict[str, np.ndarray]], lengths: Tensor) -> Episodes:
    """Episodes with what the policy told of each step beside it, in (B,) rollouts of so many steps."""
    taken = torch.arange(len(told)) < lengths[:, None]  # (B, T)
    infos = {
        name: torch.from_numpy(np.stack([step[name] for step in told], axis=1))[taken]  # (B, T, ...) to (N, ...)
        for name in told[0]
    }
    return replace(episodes, infos={**episodes.infos, **infos})
