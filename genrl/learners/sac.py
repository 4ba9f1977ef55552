"""Soft actor-critic on a fixed data set: what CQL makes conservative, and MOPO trains in a pessimistic model.

Source: "Soft Actor-Critic Algorithms and Applications" (Haarnoja et al. 2018), https://arxiv.org/abs/1812.05905, with
its automatic temperature. By itself it is not an offline learner: nothing keeps it near the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.ranges import require_at_least, require_shares
from genrl.data.samplers import TransitionSampler
from genrl.data.spaces import Leaves
from genrl.learners.actions import BoundedActions
from genrl.learners.critics import TwinCritic, adam, follow, slow_copy, td_error, unexplained
from genrl.learners.learner import Learner
from genrl.learners.observer import Observer
from genrl.learners.squashed import SquashedGaussian
from genrl.nets.mlp import MLP
from genrl.training.space_support import BOUNDED, SpaceSupport
from genrl.training.spec import DataSpec


class SAC(Learner):
    """Q to r + gamma (Q' - alpha log pi), pi up Q - alpha log pi, alpha to the entropy -A; all from the same point.

    Args:
        actor_net: network from observation columns to mean and log standard deviation of a squashed Gaussian.
        critic_net: network from observation and action columns to Q.
        discount: gamma.
        polyak: rate at which the target critics follow.
        lr: learning rate of Adam for the critics and the temperature.
        actor_lr: of the actor.
        seed: of initial weights and training noise.

    Raises:
        ConfigurationError: a number is out of range.
    """

    takes = SpaceSupport(actions=frozenset({BOUNDED}))
    stochastic = True

    def __init__(
        self,
        actor_net: Callable[[int, int], nn.Module] = MLP,
        critic_net: Callable[[int, int], nn.Module] = MLP,
        discount: float = 0.99,
        polyak: float = 0.005,
        lr: float = 3e-4,
        actor_lr: float = 3e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_shares(discount=discount, polyak=polyak)
        require_at_least(0, lr=lr, actor_lr=actor_lr)
        self.actor_net, self.critic_net = actor_net, critic_net
        self.discount, self.polyak, self.lr, self.actor_lr, self.seed = discount, polyak, lr, actor_lr, seed

    def build(self, spec: DataSpec) -> None:
        """Observer, actions, networks, the slow copy of the critics and the temperature."""
        self.observer = Observer(spec)
        self.actions = BoundedActions(spec.action_space)
        self.actor = self.actor_net(self.observer.dim, 2 * self.actions.dim)
        self.critic = TwinCritic(self.critic_net, self.observer.dim, self.actions.dim)
        self.critic_target = slow_copy(self.critic)
        self.log_alpha = nn.Parameter(torch.zeros(()))

    def sampler(self, episodes: Episodes) -> TransitionSampler:
        """Transitions of standardised observations and actions in [-1, 1]."""
        return TransitionSampler(self.observer(episodes.observations), self.actions.encode(episodes.actions), episodes)

    @property
    def alpha(self) -> Tensor:
        """() the temperature, as a constant."""
        return self.log_alpha.exp().detach()

    def sample(
        self, observations: Tensor, generator: torch.Generator, count: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, A) of the policy, or ``count`` (count, B, A) of them for each row, and their log density."""
        policy = SquashedGaussian(self.actor(observations))
        shape = policy.location.shape if count is None else (count, *policy.location.shape)
        return policy.sample(torch.randn(shape, generator=generator).to(observations))

    def next_value(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """(B,) min_i Q'_i(s', a') - alpha log pi(a' | s')."""
        actions, log_pi = self.sample(batch.next_observations, generator)
        return self.critic_target(batch.next_observations, actions).min(0).values - self.alpha * log_pi

    @torch.no_grad()
    def target(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """(B,) r + gamma (1 - terminated) V(s')."""
        return batch.rewards + self.discount * (1 - batch.terminated) * self.next_value(batch, generator)

    def critic_loss(self, batch: Transitions, generator: torch.Generator) -> Tensor:
        """Squared TD error of both critics."""
        return td_error(self.critic(batch.observations, batch.actions), self.target(batch, generator))

    def actor_loss(self, batch: Transitions, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mean of alpha log pi(a | s) - min_i Q_i(s, a), and log pi (B,) itself."""
        actions, log_pi = self.sample(batch.observations, generator)
        with constant(self.critic):
            q = self.critic(batch.observations, actions).min(0).values
        return (self.alpha * log_pi - q).mean(), log_pi.detach()

    def temperature_loss(self, log_pi: Tensor) -> Tensor:
        """-log alpha (log pi - A): alpha falls where the entropy is above -A."""
        return -self.log_alpha * (log_pi - self.actions.dim).mean()

    def training_step(self, batch: Transitions, batch_index: int) -> Tensor:
        """All three losses of one batch; none has a gradient for another's parameters."""
        generator = self.noise_generator(batch_index)
        critic_loss = self.critic_loss(batch, generator)
        actor_loss, log_pi = self.actor_loss(batch, generator)
        metrics = {"critic_loss": critic_loss, "actor_loss": actor_loss, "alpha": self.alpha, "entropy": -log_pi.mean()}
        self.log_sparsely({f"train_{name}": value.detach() for name, value in metrics.items()})
        return critic_loss + actor_loss + self.temperature_loss(log_pi)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Lightning's hook: the target critics follow each step before any checkpoint is written."""
        super().optimizer_step(*args, **kwargs)
        follow(self.critic_target, self.critic, self.polyak)

    def validation_step(self, batch: Transitions, batch_index: int) -> None:
        """Held-out TD error, a fair sign of over-fitting (Li et al. 2023, arXiv:2304.10466), and the actor's loss."""
        generator = self.noise_generator(batch_index)
        critic = unexplained(self.critic(batch.observations, batch.actions), self.target(batch, generator))
        self.log_dict({"val_loss": critic, "val_actor_loss": self.actor_loss(batch, generator)[0]}, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, at a rate of its own for the actor."""
        groups: list[dict[str, Any]] = [
            {"params": [*self.critic.parameters(), self.log_alpha]},
            {"params": list(self.actor.parameters()), "lr": self.actor_lr},
        ]
        return adam(groups, self.lr)

    def forward(self, observations: Tensor) -> Tensor:
        """(B, 2 A) what the actor says about standardised observations (B, D)."""
        return self.actor(observations)

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions inside their bounds: the mode, or drawn by the first A columns of ``uniform`` (B, A or more)."""
        policy = SquashedGaussian(outputs)
        if uniform is None:
            return self.actions.decode(policy.mode)
        eps = torch.special.ndtri(uniform[:, : self.actions.dim].clamp(1e-7, 1 - 1e-7))
        return self.actions.decode(policy.sample(eps)[0])

    def action_value(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) differentiable min_i Q_i of actions (B, A) in states (B, D), both in the data's units."""
        return self.critic(self.observer.normalize(states), self.actions.unit(actions)).min(0).values

    def mean(self, states: Tensor) -> Tensor:
        """Differentiable deterministic actions (B, A) for [state, goal] columns (B, D), both in the data's units."""
        return self.actions.native(SquashedGaussian(self(self.observer.normalize(states))).mode)

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) differentiable log density of actions (B, A) in states (B, D), both in the data's units."""
        return self.density(states)(actions)

    def density(self, states: Tensor) -> Callable[[Tensor], Tensor]:
        """``log_prob`` in states (B, D) as a function of actions (B, A), for which the actor is asked once."""
        policy = SquashedGaussian(self(self.observer.normalize(states)))
        return lambda actions: policy.log_prob(self.actions.unit(actions)) - self.actions.radius.log().sum()


@contextmanager
def constant(net: nn.Module) -> Iterator[None]:
    """What is computed with ``net`` meanwhile has a gradient for its inputs, and none for its parameters."""
    learned = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
