"""Dichotomy of control: act for the best future that the agent itself decides, not for the best luck.

Source: "Dichotomy of Control: Separating What You Can Control from What You Cannot" (Yang et al. 2022),
https://arxiv.org/abs/2210.13435, equations 4 to 7. With tau a trajectory from s_0, h_t what
was before s_t in it, and rho the marginal of (r, s'):

    min pi, q  max f   sum_t E[-log pi(a_t | h_t, s_t, z)]
                       + beta sum_t E[f(r_t, s_{t+1}, z, h_t, s_t, a_t) - log E_rho exp f(r, s', z, h_t, s_t, a_t)]
    min p, V           E[KL(stop_gradient(q(z | tau)) || p(z | s_0)) + (V(z, s_0) - R(tau))^2]

The energy f raises the estimate of how much a future tells of what the environment does, and the posterior lowers it,
until futures tell of the agent's own actions alone. Whoever then follows one may expect its value.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_at_least
from genrl.data.trajectories import Trajectories
from genrl.learners.energy import Energy, contrast, reversed_gradient
from genrl.learners.future_conditioned import FutureConditioned, Told
from genrl.learners.latent_future import Net
from genrl.learners.latents import CategoricalLatent, Latent
from genrl.learners.outcomes import AsTheyCame, OutcomeNet
from genrl.nets.mlp import MLP
from genrl.nets.trajectories import FutureNet, HistoryNet, PooledMLP, Present
from genrl.training.spec import DataSpec


class DoC(FutureConditioned):
    """Cloning of actions given a latent future that holds nothing of the environment's own luck.

    Both players move at once, by one backward pass in which the gradient changes its sign between f and z: taking turns
    on the same batch costs twice as much, and gains nothing as long as f learns at least as fast as q (see
    ``energy_lr``).

    Args:
        latent, net, history_net, future_net, horizon, candidates, lr, weight_decay: see ``FutureConditioned``.
        beta: nats of action likelihood that a nat of information about the environment is worth, 0 or more.
        energy_lr: peak learning rate of f and of what it is shown.
        temperature: nats of action likelihood that a nat of the posterior's entropy is worth when a fit begins, falling
            to 0 by its middle (deterministic annealing, Rose 1998, doi:10.1109/5.726788); 0 or more.
        outcome_net: what f is shown of outcomes, ``AsTheyCame`` or, where states are continuous, ``Surprises``.
        pairs: steps of a batch whose outcomes are told apart from one another, at most.
        seed: of initial weights, and of the latents drawn in training.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        latent: Latent = CategoricalLatent(4),  # noqa: B008 (frozen)
        net: Net = partial(MLP, width=32, layers=2),  # noqa: B008 (never changed)
        history_net: HistoryNet = Present,
        future_net: FutureNet = partial(PooledMLP, width=32),  # noqa: B008 (never changed)
        horizon: int | None = None,
        beta: float = 3.0,
        candidates: int = 100,
        outcome_net: OutcomeNet = AsTheyCame,
        pairs: int = 128,
        lr: float = 3e-3,
        energy_lr: float = 3e-3,
        temperature: float = 0.3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if beta < 0:
            raise ConfigurationError(
                f"beta is 0 or more, not {beta}: below, latents would be led to tell of the environment's luck."
            )
        if temperature < 0:
            raise ConfigurationError(f"temperature is 0 or more, not {temperature}.")
        if pairs < 2:
            raise ConfigurationError(f"At least 2 outcomes are told apart, not {pairs}.")
        self.latent, self.net, self.history_net, self.future_net = latent, net, history_net, future_net
        self.horizon, self.beta, self.candidates, self.pairs = horizon, beta, candidates, pairs
        self.lr, self.energy_lr, self.weight_decay, self.seed = lr, energy_lr, weight_decay, seed
        self.temperature, self.outcome_net = temperature, outcome_net
        self.heat = 0.0  # weight of the posterior's entropy, see ``on_train_batch_start``
        require_at_least(0, energy_lr=energy_lr)
        self.require_ranges()

    def build(self, spec: DataSpec) -> None:
        """The shared parts, the energy, and what it is shown."""
        super().build(spec)
        state_dim, action_dim = self.observer.dim, self.actions.columns_dim
        self.energy = Energy(self.latent.size, state_dim, action_dim, self.net, self.history_net)
        self.outcomes = self.outcome_net(self.energy.history.dim + action_dim, 1 + state_dim, self.net)

    def constrained(self, z: Tensor) -> Tensor:
        """Latents, or their weights, as f sees them: what it gains by them, q loses ``beta`` times."""
        return reversed_gradient(z, self.beta)

    def on_train_batch_start(self, batch: Trajectories, batch_index: int) -> None:
        """Lightning's hook: cool down, to nothing at half of the fit.

        As long as actions hardly depend on latents, the constraint alone moves the posterior. Cold, it flees from the
        energy into a single latent, and what no trajectory uses is never learned.
        """
        self.heat = self.temperature * max(0.0, 1 - 2 * self.trainer.global_step / self.planned_steps())

    def on_validation_epoch_start(self) -> None:
        """Lightning's hook: held-out losses are cold, or they would rise as the fit cools down."""
        self.heat = 0.0

    def known(self, tau: Trajectories) -> Tensor:
        """(M, H + A) history and action of each of M steps, as f sees them."""
        history = self.energy.history(tau.states, tau.actions_before())  # (B, K, H)
        return torch.cat((history, tau.actions), dim=-1)[tau.mask]

    def information(self, told: Told, known: Tensor, seen: Tensor, generator: torch.Generator) -> Tensor:
        """() contrastive estimate of the information of latents about outcomes, in nats; f raises it, q lowers it."""
        chosen = torch.randperm(len(told.rows), generator=generator)[: self.pairs].to(told.rows)
        z, weight = (self.constrained(part)[:, told.rows[chosen]] for part in told.z)
        f = self.energy(seen[chosen], self.latent.seen(z), known[chosen])  # (L, M, M)
        return (weight * contrast(f)).sum(0).mean()

    def losses(self, told: Told, generator: torch.Generator) -> dict[str, Tensor]:
        """The whole objective; its gradient is that of each player's own part."""
        divergence = self.latent.divergence(told.q.detach(), told.p).mean()
        known = self.known(told.tau)
        outcome = self.outcomes(told.tau, known)
        information = self.information(told, known, outcome.seen, generator)
        entropy = self.latent.entropy(told.q).sum() / len(told.rows)
        loss = told.nll + divergence + told.error + outcome.error - self.heat * entropy - information
        # the value is what q, pi, p and V minimise; the gradient that f raises the information by stays
        loss = loss + (1 + self.beta) * information.detach()
        return {"loss": loss, "divergence": divergence, "information": information}

    def rates(self) -> list[dict[str, Any]]:
        """The energy, and what it is shown, learn at their own rate."""
        learned = [*self.energy.parameters(), *self.outcomes.parameters()]
        return [*super().rates(), {"params": learned, "lr": self.energy_lr}]
