"""Supervised learning of actions given a latent future: what DoC and the future-conditioned auto-encoder share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.normalizers import ZScore
from genrl.data.ranges import require_at_least, require_whole
from genrl.data.trajectories import Trajectories, TrajectorySampler
from genrl.learners.action_density import ActionDensity
from genrl.learners.agent import Agent
from genrl.learners.latent_future import LatentFuture, Net
from genrl.learners.latent_policy import LatentPolicy
from genrl.learners.latents import Latent, Weighted
from genrl.learners.observer import Observer
from genrl.learners.returns import Returns, require_different_returns
from genrl.nets.trajectories import FutureNet, HistoryNet
from genrl.training.schedule import warmup_cosine
from genrl.training.spec import DataSpec


class Told(NamedTuple):
    """What a batch of B trajectories, M steps in all, comes to under their latents.

    Attributes:
        tau: the trajectories, actions standardised.
        q, p: (B, Q) outputs that tell posterior and prior.
        z: (L, B, Z) latents of the posterior, and how much of it each stands for, (L, B).
        rows: (M,) the trajectory of each step.
        nll: () -log pi(a_t | history, s_t, z), mean over the latents and the steps.
        error: () (V(z, s_0) - R)^2 in units of the variance of R; its gradient leads to V alone.
    """

    tau: Trajectories
    q: Tensor
    p: Tensor
    z: Weighted
    rows: Tensor
    nll: Tensor
    error: Tensor


class FutureConditioned(Agent):
    """Learns from whole trajectories, or their next ``horizon`` steps, how to act for a future z, and what z is worth.

    Trajectories begin at any step and end with their episode. A history holds the states and actions since then.
    Subclasses keep these as constructor arguments, and say what posterior and prior are fitted to.

    Attributes:
        latent: what z is.
        net: maker of prior, value and the policy's head.
        history_net: how history and state are summed up.
        future_net: how a trajectory is.
        horizon: steps that a latent tells of; None for all until the end of the episode.
        candidates: K, latents that a policy chooses from.
        lr: peak learning rate of AdamW; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
    """

    latent: Latent
    net: Net
    history_net: HistoryNet
    future_net: FutureNet
    horizon: int | None
    candidates: int
    lr: float
    weight_decay: float

    @abstractmethod
    def losses(self, told: Told, generator: torch.Generator) -> dict[str, Tensor]:
        """What is minimised under ``loss``, and whatever else there is to log."""

    def require_ranges(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigurationError: no candidate, a horizon without a step, or a negative rate.
        """
        require_whole(1, candidates=self.candidates, horizon=self.horizon)
        require_at_least(0, lr=self.lr, weight_decay=self.weight_decay)

    def build(self, spec: DataSpec) -> None:
        """Observer, distribution of actions, scales and networks."""
        self.observer = Observer(spec)
        self.actions = ActionDensity(spec.action_space)
        self.done, self.reward = ZScore(self.actions.columns_dim), ZScore(1)
        self.returns = Returns()
        self.model = LatentFuture(
            self.latent,
            self.observer.dim,
            self.actions.columns_dim,
            self.actions.dim,
            self.net,
            self.history_net,
            self.future_net,
        )

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of observations, actions, rewards and returns.

        Raises:
            ConfigurationError: all returns are equal.
        """
        require_different_returns(type(self).__name__, episodes)
        self.observer.fit(episodes.observations)
        self.actions.fit(episodes.actions)
        self.done.fit(self.actions.codec.encode(episodes.actions))
        self.reward.fit(episodes.rewards[:, None])
        self.returns.fit(episodes)

    def take_up(self, episodes: Episodes) -> None:
        """Also the best return, and how long a future may be."""
        super().take_up(episodes)
        self.returns.aim(episodes)
        assert self.spec is not None
        self.spec = replace(self.spec, max_length=max(self.spec.max_length, int(episodes.lengths.max())))

    def sampler(self, episodes: Episodes) -> TrajectorySampler:
        """The trajectory that begins at each transition; actions are in their own units."""
        assert self.spec is not None
        return TrajectorySampler(
            self.observer(episodes.observations),
            self.actions.codec.encode(episodes.actions),
            self.reward.normalize(episodes.rewards.to(self.returns.best)[:, None])[:, 0],
            self.returns(episodes.returns_to_go()),
            episodes,
            min(self.horizon or self.spec.max_length, self.spec.max_length),
        )

    def tell(self, tau: Trajectories, generator: torch.Generator) -> Told:
        """The latents of each of B trajectories, and what policy and value make of them."""
        s_0, seen = tau.states[:, 0], replace(tau, actions=self.done.normalize(tau.actions))
        q = self.model.q(seen)
        z, weight = self.latent.mean_over(q, torch.randn(len(q), self.latent.size, generator=generator).to(q))
        rows = torch.repeat_interleave(torch.arange(len(q), device=q.device), tau.lengths)
        history = self.model.history(seen.states, seen.actions_before())[tau.mask]  # (M, H)
        nll = self.actions.nll(self.model.pi(history, z[:, rows]), tau.actions[tau.mask])  # (L, M)
        error = (self.model.V(z.detach(), s_0) - tau.returns).square()  # (L, B)
        nll, error = (weight[:, rows] * nll).sum(0).mean(), (weight.detach() * error).sum(0).mean()
        return Told(seen, q, self.model.p(s_0), Weighted(z, weight), rows, nll, error)

    def training_step(self, batch: Trajectories, batch_index: int) -> Tensor:
        """The loss of one batch."""
        metrics = self._metrics(batch, batch_index)
        self.log_sparsely({f"train_{name}": value.detach() for name, value in metrics.items()})
        return metrics["loss"]

    def validation_step(self, batch: Trajectories, batch_index: int) -> None:
        """The same on held-out episodes."""
        metrics = self._metrics(batch, batch_index)
        self.log_dict({f"val_{name}": value for name, value in metrics.items()}, prog_bar=True)

    def _metrics(self, batch: Trajectories, batch_index: int) -> dict[str, Tensor]:
        generator = self.noise_generator(batch_index)
        told = self.tell(batch.trimmed(), generator)
        shown = {"nll": told.nll, "value_error": told.error, "latents": self.latent.in_use(told.q.detach())}
        return {**self.losses(told, generator), **shown}

    def rates(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates, as torch's optimisers take them."""
        return [{"params": self.model.parameters()}]

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self.rates(), self.lr, weight_decay=self.weight_decay, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())

    def policy(
        self,
        candidates: int | None = None,
        least_mass: float = 0.0,
        follow: int | None = None,
        together: int = 1,
    ) -> LatentPolicy:
        """The learner as a policy that aims at the best of some latent futures.

        It is a distribution, and draws its actions unless it is asked for deterministic ones: what V says of a latent
        holds for drawn actions alone.

        Args:
            candidates: K, latents drawn from p(z | s) at a time, of which the one with the highest V is followed; this
                learner's own by default. With 1, a future is followed as the data's own come.
            least_mass: leave out latents of less probability under the prior, which is fitted to the aggregate
                posterior; of categorical latents alone.
            follow: steps for which a latent is followed; then the best of others is, from there. By default as many as
                it tells of, ``horizon``, or to the end of the episode.
            together: see ``Agent``.

        Raises:
            ConfigurationError: the learner was never fitted, or a number is out of range.
        """
        self.require_fitted()
        return LatentPolicy(
            self,
            self.candidates if candidates is None else candidates,
            least_mass,
            self.horizon if follow is None else follow,
            together,
        )
