"""A policy with a latent plan: what the data may do next is told apart by a latent variable, drawn when it acts.

Source: "Learning Latent Plans from Play" (Lynch et al. 2019), https://arxiv.org/abs/1903.01973, algorithm 1. Theirs are
the posterior ("plan recognition") over a window of states and actions, the prior ("plan proposal") over states and
goal, the policy that decodes a plan, and the loss -log pi + beta KL(posterior || prior) with beta = 0.01. As in theirs
the divergence pulls on posterior and prior alike; the balance of later work (HULC) is not used. Ours are transformers
in the place of recurrent networks, squared error in the place of a mixture of logistics, and a plan for each chunk of
actions: a conditional variational auto-encoder of chunks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from genrl.data.history import HistoryWindows
from genrl.data.ranges import require_at_least, require_whole
from genrl.diffusion.noise import Noise
from genrl.learners.sequence import SequenceLearner, masked_mean
from genrl.nets.policy_transformer import Observed, PolicyNet, PolicyTransformer

SMALLEST_STD = 1e-3
"""Least standard deviation of a latent, so that no divergence is infinite."""


class PlanAutoencoder(nn.Module):
    """Posterior, prior and decoder of latent plans.

    The prior has a network of its own: the small weight of the divergence is all it learns from.

    Args:
        posterior: network from actions (B, H, A) to (B, H, 2 Z).
        prior: network to (B, H, 2 Z) from no actions.
        decoder: network from latents (B, H, Z) to actions (B, H, A).
    """

    def __init__(self, posterior: nn.Module, prior: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.posterior, self.prior, self.decoder = posterior, prior, decoder

    def recognised(self, actions: Tensor, observed: Observed) -> Normal:
        """(B, Z) plans that may have led to a window's (B, H, A) actions."""
        return _plans(self.posterior(actions, None, observed))

    def proposed(self, observed: Observed) -> Normal:
        """(B, Z) plans that may come next."""
        return _plans(self.prior(None, None, observed))

    def decode(self, latent: Tensor, observed: Observed, count: int) -> Tensor:
        """(B, Z) to (B, H, A): the plan stands in the place of each of ``count`` actions."""
        return self.decoder(latent[:, None].expand(-1, count, -1), None, observed)


def _plans(outputs: Tensor) -> Normal:
    """(B, Z) from outputs (B, H, 2 Z), of which the last sees the whole window."""
    mean, std = outputs[:, -1].chunk(2, dim=-1)
    return Normal(mean, F.softplus(std) + SMALLEST_STD, validate_args=False)


class LatentPlanPolicy(SequenceLearner):
    """Goal-conditioned policy that draws a latent plan for each chunk and decodes it.

    Args:
        net: maker of the three networks, see ``PolicyTransformer``; two of them act.
        history, chunk, goal_length, goal_discount: see ``BESO``.
        latent: Z, size of a plan; 256 as published, for windows of a second or two.
        beta: weight of the divergence (in nats) against the squared error of an entry of an action on [-1, 1]. It means
            a decoder whose standard deviation is sqrt(beta K A / 2): larger values give fewer and blurred ways.
        lr, weight_decay, ema_decay, seed: see ``BESO``.

    Raises:
        ConfigurationError: a number is out of range.
    """

    model: PlanAutoencoder

    def __init__(
        self,
        net: PolicyNet = PolicyTransformer,
        history: int = 5,
        chunk: int = 1,
        goal_length: int = 1,
        goal_discount: float | None = None,
        latent: int = 16,
        beta: float = 0.01,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.net, self.history, self.chunk, self.goal_length = net, history, chunk, goal_length
        self.goal_discount, self.latent, self.beta = goal_discount, latent, beta
        self.lr, self.weight_decay, self.ema_decay, self.seed = lr, weight_decay, ema_decay, seed
        self.require_ranges()
        require_whole(1, latent=latent)
        require_at_least(0, beta=beta)

    def output_dim(self, action_dim: int) -> int:
        """Mean and spread of a plan, which posterior and prior put out."""
        return 2 * self.latent

    def around(self, network: nn.Module) -> PlanAutoencoder:
        """The posterior's network, with a prior and a decoder beside it."""
        actions, plan = self.codec.dim, self.latent
        return PlanAutoencoder(network, self.network(actions, self.output_dim(actions)), self.network(plan, actions))

    def loss(self, batch: HistoryWindows, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared error of the chunk, decoded from the posterior, and the posterior's divergence from the prior."""
        observed = Observed(batch.states, batch.goals)
        posterior, prior = self.model.recognised(batch.actions, observed), self.model.proposed(observed)
        eps = torch.randn(posterior.mean.shape, generator=generator).to(batch.actions)
        decoded = self.model.decode(posterior.mean + posterior.stddev * eps, observed, batch.actions.shape[1])
        ahead = slice(self.history - 1, None)  # the past is no part of the plan
        error = masked_mean((decoded - batch.actions)[:, ahead].square().mean(-1), batch.mask[:, ahead])
        divergence = kl_divergence(posterior, prior).sum(-1).mean()
        return {"loss": error + self.beta * divergence, "error": error, "divergence": divergence}

    def plan(self, observed: Observed, past: Tensor, noise: Noise) -> Tensor:
        """(B, K, A) actions of a plan drawn from the prior; past actions are not looked at."""
        prior = self.model.proposed(observed)
        latent = prior.mean + prior.stddev * noise(0, prior.mean)  # (B, Z)
        return self.model.decode(latent, observed, self.history - 1 + self.chunk)[:, self.history - 1 :]
