"""TD3+BC: an actor that climbs Q and stays near the data's actions.

Source: "A Minimalist Approach to Offline Reinforcement Learning" (Fujimoto and Gu 2021),
https://arxiv.org/abs/2106.06860; settings of its Table 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.ranges import require_at_least, require_shares, require_whole
from genrl.data.samplers import TransitionSampler
from genrl.data.spaces import Leaves
from genrl.learners.actions import BoundedActions
from genrl.learners.critics import TwinCritic, adam, follow, slow_copy, td_error, unexplained
from genrl.learners.learner import Learner
from genrl.learners.observer import Observer
from genrl.nets.mlp import MLP
from genrl.training.space_support import BOUNDED, SpaceSupport
from genrl.training.spec import DataSpec


class TD3BC(Learner):
    """TD3 with the actor loss -lambda Q(s, pi(s)) + (pi(s) - a)^2, lambda = alpha / mean |Q|.

    Args:
        actor_net: network from observation to action columns; a tanh follows.
        critic_net: network from observation and action columns to a value.
        alpha: weight of Q against the cloning term.
        discount: gamma.
        polyak: rate at which target networks follow.
        policy_noise, noise_clip: smoothing of the target action, on the scale where actions span [-1, 1].
        policy_delay: critic updates for one update of actor and targets.
        lr: learning rate of Adam.
        seed: of initial weights and training noise.

    Raises:
        ConfigurationError: a number is out of range.
    """

    takes = SpaceSupport(actions=frozenset({BOUNDED}))
    stochastic = False

    def __init__(
        self,
        actor_net: Callable[[int, int], nn.Module] = MLP,
        critic_net: Callable[[int, int], nn.Module] = MLP,
        alpha: float = 2.5,
        discount: float = 0.99,
        polyak: float = 0.005,
        policy_noise: float = 0.2,
        noise_clip: float = 0.5,
        policy_delay: int = 2,
        lr: float = 3e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_shares(discount=discount, polyak=polyak)
        require_at_least(0, alpha=alpha, policy_noise=policy_noise, noise_clip=noise_clip, lr=lr)
        require_whole(1, policy_delay=policy_delay)
        self.actor_net, self.critic_net = actor_net, critic_net
        self.alpha, self.discount, self.polyak = alpha, discount, polyak
        self.policy_noise, self.noise_clip, self.policy_delay = policy_noise, noise_clip, policy_delay
        self.lr, self.seed = lr, seed
        self.automatic_optimization = False  # the actor's step follows the critic's

    def build(self, spec: DataSpec) -> None:
        """Observer, actions, networks and their slow copies."""
        self.observer = Observer(spec)
        self.actions = BoundedActions(spec.action_space)
        self.actor = nn.Sequential(self.actor_net(self.observer.dim, self.actions.dim), nn.Tanh())
        self.critic = TwinCritic(self.critic_net, self.observer.dim, self.actions.dim)
        self.actor_target, self.critic_target = slow_copy(self.actor), slow_copy(self.critic)

    def sampler(self, episodes: Episodes) -> TransitionSampler:
        """Transitions of standardised observations and actions in [-1, 1]."""
        return TransitionSampler(self.observer(episodes.observations), self.actions.encode(episodes.actions), episodes)

    @torch.no_grad()
    def target(self, batch: Transitions, eps: Tensor) -> Tensor:
        """(B,) y = r + gamma (1 - terminated) min_i Q'_i(s', pi'(s') + clipped noise); ``eps`` (B, A) is N(0, 1)."""
        noise = (self.policy_noise * eps).clamp(-self.noise_clip, self.noise_clip)
        next_actions = (self.actor_target(batch.next_observations) + noise).clamp(-1, 1)
        next_q = self.critic_target(batch.next_observations, next_actions).min(0).values
        return batch.rewards + self.discount * (1 - batch.terminated) * next_q

    def critic_loss(self, batch: Transitions, eps: Tensor) -> Tensor:
        """Squared TD error of both critics."""
        return td_error(self.critic(batch.observations, batch.actions), self.target(batch, eps))

    def actor_loss(self, batch: Transitions) -> Tensor:
        """-lambda Q_1(s, pi(s)) + (pi(s) - a)^2."""
        pi = self.actor(batch.observations)
        q = self.critic.first(batch.observations, pi)
        weight = self.alpha / q.abs().mean().detach()
        return -weight * q.mean() + F.mse_loss(pi, batch.actions)

    def training_step(self, batch: Transitions, batch_index: int) -> None:
        """A step of the critics; of actor and targets as well at every ``policy_delay``-th batch."""
        critic, actor = self.optimizers()  # type: ignore[attr-defined]
        critic_loss = self.critic_loss(batch, self._eps(batch, batch_index))
        critic.zero_grad()
        self.manual_backward(critic_loss)
        critic.step()  # this one counts: the Trainer's global step is the number of batches
        self.log_sparsely({"train_loss": critic_loss.detach()})
        if (self.updates + 1) % self.policy_delay == 0:
            actor.zero_grad()
            self.manual_backward(self.actor_loss(batch), inputs=list(self.actor.parameters()))
            self.trainer.strategy.optimizer_step(actor.optimizer, lambda: None)
            follow(self.critic_target, self.critic, self.polyak)
            follow(self.actor_target, self.actor, self.polyak)

    def validation_step(self, batch: Transitions, batch_index: int) -> None:
        """Held-out TD error, a fair sign of over-fitting (Li et al. 2023, arXiv:2304.10466), and cloning error."""
        target = self.target(batch, self._eps(batch, batch_index))
        critic = unexplained(self.critic(batch.observations, batch.actions), target)
        cloning = F.mse_loss(self.actor(batch.observations), batch.actions)
        self.log_dict({"val_loss": critic, "val_bc_loss": cloning}, prog_bar=True)

    def _eps(self, batch: Transitions, batch_index: int) -> Tensor:
        """(B, A) standard normal numbers that belong to this batch."""
        eps = torch.randn(batch.actions.shape, generator=self.noise_generator(batch_index))
        return eps.to(batch.actions.device)

    def configure_optimizers(self) -> Any:
        """Adam for the critics and for the actor."""
        return adam(self.critic.parameters(), self.lr), adam(self.actor.parameters(), self.lr)

    def forward(self, observations: Tensor) -> Tensor:
        """(B, A) actions in [-1, 1] for standardised observations (B, D)."""
        return self.actor(observations)

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions inside their bounds; the policy is deterministic, so nothing is drawn."""
        return self.actions.decode(outputs)

    def action_value(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) differentiable min_i Q_i of actions (B, A) in states (B, D), both in the data's units."""
        return self.critic(self.observer.normalize(states), self.actions.unit(actions)).min(0).values

    def mean(self, states: Tensor) -> Tensor:
        """Differentiable actions (B, A) for [state, goal] columns (B, D), both in the data's units."""
        return self.actions.native(self.actor(self.observer.normalize(states)))
