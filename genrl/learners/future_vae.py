"""Future-conditioned variational auto-encoder: latent futures that keep the environment's luck, DoC's nearest baseline.

Source: "Dichotomy of Control: Separating What You Can Control from What You Cannot" (Yang et al. 2022),
https://arxiv.org/abs/2210.13435, section 6 (future-VAE).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.learners.future_conditioned import FutureConditioned, Told
from genrl.learners.latent_future import Net
from genrl.learners.latents import CategoricalLatent, Latent
from genrl.nets.mlp import MLP
from genrl.nets.trajectories import FutureNet, HistoryNet, PooledMLP, Present


class FutureVAE(FutureConditioned):
    """Cloning of actions given a latent future: min E[-sum_t log pi(a_t | history, s_t, z)] + beta KL(q || p).

    Args:
        latent, net, history_net, future_net, horizon, candidates, lr, weight_decay: see ``FutureConditioned``.
        beta: weight of the divergence, 0 or more; 1 for the evidence lower bound.
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
        beta: float = 1.0,
        candidates: int = 100,
        lr: float = 3e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if beta < 0:
            raise ConfigurationError(f"beta is 0 or more, not {beta}.")
        self.latent, self.net, self.history_net, self.future_net = latent, net, history_net, future_net
        self.horizon, self.beta, self.candidates = horizon, beta, candidates
        self.lr, self.weight_decay, self.seed = lr, weight_decay, seed
        self.require_ranges()

    def losses(self, told: Told, generator: torch.Generator) -> dict[str, Tensor]:
        """Evidence lower bound, a step, and the error of the value."""
        divergence = self.latent.divergence(told.q, told.p).mean()
        steps = len(told.rows) / len(told.q)
        return {"loss": told.nll + self.beta / steps * divergence + told.error, "divergence": divergence}
