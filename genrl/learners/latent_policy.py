"""A policy that follows latent futures: always the best of some that may follow from where it is chosen."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.normalizers import ZScore
from genrl.data.spaces import batch_of, unflatten
from genrl.learners.action_density import ActionDensity
from genrl.learners.latent_future import LatentFuture
from genrl.learners.latents import Latent
from genrl.learners.observer import Observer
from genrl.learners.returns import Returns
from genrl.learners.together import ask_together, parties, require_company
from genrl.training.rest import Switchable, evaluating
from genrl.training.spec import DataSpec


class Foreseeing(Switchable, Protocol):
    """The part of a learner that such a policy needs."""

    observer: Observer
    actions: ActionDensity
    done: ZScore
    returns: Returns
    model: LatentFuture
    latent: Latent
    spec: DataSpec | None


class Step(NamedTuple):
    """One step of an episode: standardised observation (D,), and the standardised action before it (A,)."""

    state: Tensor
    before: Tensor


class Run:
    """What a policy knows of one environment's episode.

    Args:
        reach: steps that are remembered; None for all.
        follow: steps for which a future is followed; None for all.

    Attributes:
        z: (Z,) the future that is followed; None before the first step.
        value: return expected of it from where it was chosen to the episode's end, in the data's units.
        before: (A,) the standardised action before the present step; None where a future begins.
    """

    def __init__(self, reach: int | None, follow: int | None) -> None:
        self.steps: deque[Step] = deque(maxlen=reach)
        self.follow, self.left = follow, 0
        self.z: Tensor | None = None
        self.value = float("nan")
        self.before: Tensor | None = None

    @property
    def chooses(self) -> bool:
        """Whether another future is due."""
        return self.z is None or (self.follow is not None and self.left == 0)

    @property
    def followed(self) -> Tensor:
        """(1, Z) the future that is followed."""
        assert self.z is not None
        return self.z[None]

    def choose(self, z: Tensor, value: float) -> None:
        """Follow ``z`` from here on: what was before belongs to another stretch, as in the data."""
        self.z, self.value, self.left, self.before = z, value, self.follow or 0, None
        self.steps.clear()

    def see(self, state: Tensor, nothing: Tensor) -> tuple[Tensor, Tensor]:
        """(1, k, D) states of the future that is followed, up to a new one, and the (1, k, A) actions before each."""
        self.left -= 1
        self.steps.append(Step(state, nothing if self.before is None else self.before))
        states, before = (torch.stack(part)[None] for part in zip(*self.steps, strict=True))
        return states, before


class LatentPolicy:
    """Chooses a latent when an episode begins, and maybe another later, and acts for it.

    All memory is kept per environment.

    Args:
        learner: fitted.
        candidates: K, latents to choose from.
        least_mass: probability of a latent under the prior below which it is left out; 0 for none.
        follow: steps for which a latent is followed before another is chosen; None for the rest of the episode.
        together: environments that the networks are asked for at once.

    Raises:
        ConfigurationError: no candidate, no step, no environment, or ``least_mass`` is no probability that any latent
            could have.
    """

    def __init__(
        self,
        learner: Foreseeing,
        candidates: int,
        least_mass: float = 0.0,
        follow: int | None = None,
        together: int = 1,
    ) -> None:
        require_company(together)
        if candidates < 1:
            raise ConfigurationError(f"A policy chooses from at least 1 latent, not {candidates}.")
        if not 0 <= least_mass < 1:
            raise ConfigurationError(
                f"least_mass is a probability below that of a sure latent, from 0 to below 1, not {least_mass}."
            )
        if follow is not None and follow < 1:
            raise ConfigurationError(f"A latent is followed for at least 1 step, not {follow}.")
        self.learner, self.candidates, self.least_mass = learner, candidates, least_mass
        self.follow, self.together = follow, together
        self.runs: list[Run] = []
        self._generators = EpisodeGenerators()

    @property
    def predicted_value(self) -> np.ndarray:
        """(B,) return to go that V expects of the latent followed, where it is chosen; NaN before the first step."""
        return np.array([run.value for run in self.runs])

    @property
    def latents(self) -> np.ndarray:
        """(B, Z) the latents followed; NaN before an episode's first step."""
        nothing = torch.full((self.learner.latent.size,), torch.nan)
        return torch.stack([nothing if run.z is None else run.z.cpu() for run in self.runs]).numpy()

    def infos(self) -> dict[str, np.ndarray]:
        """What a collection keeps beside every step: ``latent`` (B, Z) and ``predicted_value`` (B,)."""
        return {"latent": self.latents, "predicted_value": self.predicted_value}

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget where an episode begins, the latent included, and draw from its seed."""
        self._generators.reset(mask, seeds)
        if len(self.runs) != len(mask):
            mask, self.runs = np.ones(len(mask), bool), [Run(0, None)] * len(mask)
        for slot in np.flatnonzero(mask):
            self.runs[slot] = Run(self.learner.model.history.reach, self.follow)

    @torch.inference_mode()
    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Actions for B observations, inside the action space.

        ``conditions.latent`` (B, Z), where one is to be chosen, is followed instead of the best one, and
        ``conditions.goal`` takes the place of the desired goal.

        Raises:
            ConditionError: another condition, a wrong shape, what is not finite, a goal outside the space, or none
                where it is needed.
            ConfigurationError: the policy was not reset for B environments, or no candidate has the least mass.
        """
        learner, spec = self.learner, self.learner.spec
        assert spec is not None
        leaves, conditions = batch_of(spec.observation_space, observations), conditions or Conditions()
        count = len(next(iter(leaves.values())))
        conditions.require(
            type(learner).__name__, {"latent", "goal"} if learner.observer.goal.dim else {"latent"}, count
        )
        columns = self.respond(learner.observer.shown(leaves, conditions.goal), conditions.latent, deterministic)
        actions = {path: leaf.cpu().numpy() for path, leaf in learner.actions.codec.decode(columns).items()}
        return unflatten(spec.action_space, actions)

    def respond(self, states: Tensor, latent: Tensor | None = None, deterministic: bool = False) -> Tensor:
        """(B, A) encoded actions, inside the space, for standardised observations (B, D)."""
        learner, codec = self.learner, self.learner.actions.codec
        if len(self.runs) != len(states):
            raise ConfigurationError(f"This policy remembers: reset it for {len(states)} environments before it acts.")
        due = [slot for slot, run in enumerate(self.runs) if run.chooses]
        wished = None if latent is None else self._wished(latent).to(states)
        with evaluating(learner):
            for slots in parties(due, self.together):
                self._choose(slots, states[slots], None if wished is None else wished[slots])
            nothing = states.new_zeros(codec.dim)
            seen = [(*run.see(state, nothing), run.followed) for run, state in zip(self.runs, states, strict=True)]
            outputs = ask_together(self._outputs, seen, self.together)
        columns = learner.actions.columns(outputs, None if deterministic else self._uniform(states))
        columns = codec.encode(codec.decode(columns))
        for run, done in zip(self.runs, learner.done.normalize(columns), strict=True):
            run.before = done
        return columns

    def _outputs(self, states: Tensor, before: Tensor, z: Tensor) -> Tensor:
        """(n, O) what tells the distributions of n actions."""
        model = self.learner.model
        return model.pi(model.history(states, before)[:, -1], z)

    def _choose(self, slots: list[int], s_0: Tensor, wished: Tensor | None) -> None:
        """Give the runs of n ``slots`` at s_0 (n, S) a latent to follow: the best, or that of ``wished`` (n, Z)."""
        model = self.learner.model
        z, rare = self._candidates(s_0, slots) if wished is None else (wished[None], None)  # (K, n, Z)
        V = model.V(z, s_0)  # noqa: N806 (K, n)
        if rare is not None:
            V = V.masked_fill(rare, -torch.inf)  # noqa: N806
        worth = self.learner.returns.normalizer.denormalize(V.amax(0)[:, None])[:, 0]
        for row, (slot, best) in enumerate(zip(slots, V.argmax(0).tolist(), strict=True)):
            self.runs[slot].choose(z[best, row], float(worth[row]))

    def _candidates(self, s_0: Tensor, slots: list[int]) -> tuple[Tensor, Tensor | None]:
        """(K, n, Z) drawn from the prior by each episode's own numbers, and (K, n) which of them have too little mass.

        None where any mass will do.
        """
        latent, p = self.learner.latent, self.learner.model.p(s_0)  # (n, Q)
        shape = (self.candidates, latent.size)
        noise = np.stack([self._generators[slot].standard_normal(shape, np.float32) for slot in slots], axis=1)
        z = latent.sample(p.expand(self.candidates, -1, -1), torch.from_numpy(noise).to(p))
        if not self.least_mass:
            return z, None
        rare = latent.mass(p, z) < self.least_mass
        if rare.all(0).any():
            raise ConfigurationError(
                f"Not one of {self.candidates} latents drawn has a probability of {self.least_mass}: lower least_mass,"
                " or draw more candidates."
            )
        return z, rare

    def _wished(self, latent: Tensor) -> Tensor:
        size = self.learner.latent.size
        if latent.shape != (len(self.runs), size):
            raise ConditionError(
                f"The condition 'latent' must be ({len(self.runs)}, {size}), one row for each environment, not"
                f" {tuple(latent.shape)}."
            )
        return latent

    def _uniform(self, states: Tensor) -> Tensor:
        """(B, A) uniform numbers in [0, 1), each row from its episode's generator."""
        dim = self.learner.actions.columns_dim
        return torch.from_numpy(self._generators.draw(len(states), lambda generator: generator.random(dim))).to(states)
