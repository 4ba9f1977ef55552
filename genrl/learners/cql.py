"""Conservative Q-learning: soft actor-critic whose Q is pressed down where the data have no actions.

Source: "Conservative Q-Learning for Offline Reinforcement Learning" (Kumar et al. 2020),
https://arxiv.org/abs/2006.04779, CQL(H) of equation 4 with the fixed weight and the settings of appendix F; targets
without entropy, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.ranges import require_at_least, require_whole
from genrl.learners.sac import SAC
from genrl.nets.mlp import MLP


class CQL(SAC):
    """``SAC`` with the loss weight (log integral exp Q(s, a) da - Q(s, a_data)) beside the TD error of each critic.

    Args:
        actor_net, critic_net: see ``SAC``.
        weight: of the conservative term; alpha in the paper, "min-Q weight" in its code.
        samples: actions from each of uniform, pi(s) and pi(s') that estimate the integral.
        discount, polyak, lr, actor_lr, seed: see ``SAC``.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        actor_net: Callable[[int, int], nn.Module] = MLP,
        critic_net: Callable[[int, int], nn.Module] = MLP,
        weight: float = 5.0,
        samples: int = 10,
        discount: float = 0.99,
        polyak: float = 0.005,
        lr: float = 3e-4,
        actor_lr: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__(actor_net, critic_net, discount, polyak, lr, actor_lr, seed)
        require_at_least(0, weight=weight)
        require_whole(1, samples=samples)
        self.weight, self.samples = weight, samples

    def next_value(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """(B,) min_i Q'_i(s', a')."""
        actions, _ = self.sample(batch.next_observations, generator)
        return self.critic_target(batch.next_observations, actions).min(0).values

    def critic_loss(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """Squared TD error and the conservative term of both critics."""
        return super().critic_loss(batch, generator) + self.weight * self.excess(batch, generator)

    def excess(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """Mean of log integral exp Q(s, a) da - Q(s, a_data), summed over the critics."""
        data = self.critic(batch.observations, batch.actions)  # (2, B)
        return (self.log_integral(batch, generator) - data).mean(-1).sum()

    def log_integral(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """(2, B) log integral of exp Q_i(s, a) over all actions, by importance sampling from three densities."""
        actions, log_density = self._proposals(batch, generator)  # (3 N, B, A), (3 N, B)
        states = batch.observations.expand(len(actions), *batch.observations.shape)
        q = self.critic(states, actions)  # (2, 3 N, B)
        return torch.logsumexp(q - log_density, dim=1) - math.log(len(actions))

    @torch.no_grad()
    def _proposals(self, batch: Transitions, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """N actions each from uniform, pi(s) and pi(s'), and their log density under what they were drawn from."""
        shape = (self.samples, *batch.actions.shape)
        uniform = 2 * torch.rand(shape, generator=generator).to(batch.actions) - 1
        flat = uniform.new_full(shape[:2], -self.actions.dim * math.log(2))
        here, log_here = self.sample(batch.observations, generator, self.samples)
        there, log_there = self.sample(batch.next_observations, generator, self.samples)
        return torch.cat((uniform, here, there)), torch.cat((flat, log_here, log_there))
