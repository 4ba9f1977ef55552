"""Implicit Q-learning: values by expectile regression on the data's own actions, policy by weighted cloning.

Source: "Offline Reinforcement Learning with Implicit Q-Learning" (Kostrikov et al. 2022),
https://arxiv.org/abs/2110.06169; locomotion settings by default.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.ranges import require_at_least, require_shares
from genrl.data.samplers import TransitionSampler
from genrl.data.spaces import Leaves
from genrl.learners.actions import BoundedActions
from genrl.learners.critics import TwinCritic, adam, follow, slow_copy, td_error, unexplained
from genrl.learners.learner import Learner
from genrl.learners.observer import Observer
from genrl.learners.returns import equal_returns
from genrl.nets.mlp import MLP
from genrl.training.space_support import BOUNDED, SpaceSupport
from genrl.training.spec import DataSpec

LOG_STD = (-5.0, 2.0)
MAX_WEIGHT = 100.0


class IQL(Learner):
    """V by expectiles of Q, Q by V of the next state, actor by advantage-weighted regression.

    The three losses share no gradient, and each network steps from the same point, so one optimiser holds them all.

    Args:
        actor_net: network from observation columns to the actions' mean; a tanh follows.
        critic_net: network from observation and action columns to Q.
        value_net: network from observation columns to V.
        expectile: tau; 0.7 in the paper's locomotion tasks, 0.9 in AntMaze.
        beta: inverse temperature of the advantage weights; 3 in locomotion, 10 in AntMaze.
        discount: gamma.
        polyak: rate at which the target critics follow.
        return_range: rewards are rescaled so that the returns of the training episodes span this much; 1000 in
            locomotion, None to leave the scale alone, as it is where all returns are equal.
        reward_shift: added to every reward afterwards; -1 in AntMaze.
        lr: learning rate of Adam; the actor's falls to zero along a cosine.
        seed: of the initial weights.

    Raises:
        ConfigurationError: a number is out of range.
    """

    takes = SpaceSupport(actions=frozenset({BOUNDED}))
    stochastic = True
    reward_scale: Tensor

    def __init__(
        self,
        actor_net: Callable[[int, int], nn.Module] = MLP,
        critic_net: Callable[[int, int], nn.Module] = MLP,
        value_net: Callable[[int, int], nn.Module] = MLP,
        expectile: float = 0.7,
        beta: float = 3.0,
        discount: float = 0.99,
        polyak: float = 0.005,
        return_range: float | None = 1000.0,
        reward_shift: float = 0.0,
        lr: float = 3e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_shares(expectile=expectile, discount=discount, polyak=polyak)
        require_at_least(0, beta=beta, return_range=return_range, lr=lr)
        self.actor_net, self.critic_net, self.value_net = actor_net, critic_net, value_net
        self.expectile, self.beta, self.discount, self.polyak = expectile, beta, discount, polyak
        self.return_range, self.reward_shift, self.lr, self.seed = return_range, reward_shift, lr, seed

    def build(self, spec: DataSpec) -> None:
        """Observer, actions, networks and the slow copy of the critics."""
        self.observer = Observer(spec)
        self.actions = BoundedActions(spec.action_space)
        observed, acted = self.observer.dim, self.actions.dim
        self.actor = nn.Sequential(self.actor_net(observed, acted), nn.Tanh())
        self.log_std = nn.Parameter(torch.zeros(acted))
        self.critic = TwinCritic(self.critic_net, observed, acted)
        self.critic_target = slow_copy(self.critic)
        self.value = self.value_net(observed, 1)
        self.register_buffer("reward_scale", torch.ones(()))

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of observations and the scale of rewards."""
        super().statistics(episodes)
        if self.return_range is not None and not equal_returns(episodes):
            spread = float(episodes.returns.max() - episodes.returns.min())
            self.reward_scale.fill_(self.return_range / spread)

    def sampler(self, episodes: Episodes) -> TransitionSampler:
        """Transitions of standardised observations, actions in [-1, 1] and rescaled rewards."""
        rewards = episodes.rewards.to(self.reward_scale) * self.reward_scale + self.reward_shift
        return TransitionSampler(
            self.observer(episodes.observations), self.actions.encode(episodes.actions), episodes, rewards
        )

    def value_loss(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """Expectile loss of A = min_i Q'_i(s, a) - V(s), and A (B,) itself."""
        with torch.no_grad():
            q = self.critic_target(batch.observations, batch.actions).min(0).values
        advantage = q - self.value(batch.observations).squeeze(-1)
        return expectile_loss(advantage, self.expectile), advantage.detach()

    def critic_loss(self, batch: Transitions) -> Tensor:
        """Squared error of both critics to r + gamma (1 - terminated) V(s')."""
        return td_error(self.critic(batch.observations, batch.actions), self.target(batch))

    @torch.no_grad()
    def target(self, batch: Transitions) -> Tensor:
        """(B,) r + gamma (1 - terminated) V(s')."""
        next_value = self.value(batch.next_observations).squeeze(-1)
        return batch.rewards + self.discount * (1 - batch.terminated) * next_value

    def actor_loss(self, batch: Transitions, advantage: Tensor) -> Tensor:
        """-min(exp(beta A), 100) log pi(a | s)."""
        weight = torch.exp(self.beta * advantage).clamp(max=MAX_WEIGHT)
        return -(weight * self._distribution(batch.observations).log_prob(batch.actions)).mean()

    def training_step(self, batch: Transitions, batch_index: int) -> Tensor:
        """All three losses of one batch."""
        value_loss, advantage = self.value_loss(batch)
        critic_loss, actor_loss = self.critic_loss(batch), self.actor_loss(batch, advantage)
        losses = {"value_loss": value_loss, "critic_loss": critic_loss, "actor_loss": actor_loss}
        self.log_sparsely({f"train_{name}": loss.detach() for name, loss in losses.items()})
        return value_loss + critic_loss + actor_loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Lightning's hook: the target critics follow each step before any checkpoint is written."""
        super().optimizer_step(*args, **kwargs)
        follow(self.critic_target, self.critic, self.polyak)

    def validation_step(self, batch: Transitions, batch_index: int) -> None:
        """Held-out TD error, and the other losses beside it."""
        value_loss, advantage = self.value_loss(batch)
        critic = unexplained(self.critic(batch.observations, batch.actions), self.target(batch))
        losses = {"val_value_loss": value_loss, "val_actor_loss": self.actor_loss(batch, advantage)}
        self.log_dict({"val_loss": critic, **losses}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Adam; the actor's learning rate falls along a cosine over the whole fit."""
        steps = self.planned_steps()
        groups = [
            {"params": [*self.critic.parameters(), *self.value.parameters()]},
            {"params": [*self.actor.parameters(), self.log_std]},
        ]
        optimizer = adam(groups, self.lr)
        factors = [lambda step: 1.0, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def forward(self, observations: Tensor) -> Tensor:
        """(B, A) mean actions in [-1, 1] for standardised observations (B, D)."""
        return self.actor(observations)

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions inside their bounds: the mean, or drawn from the Gaussian by ``uniform`` (B, A)."""
        if uniform is not None:
            outputs = outputs + self._std() * torch.special.ndtri(uniform.clamp(1e-7, 1 - 1e-7))
        return self.actions.decode(outputs)

    def action_value(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) differentiable min_i Q_i of actions (B, A) in states (B, D), both in the data's units."""
        return self.critic(self.observer.normalize(states), self.actions.unit(actions)).min(0).values

    def mean(self, states: Tensor) -> Tensor:
        """Differentiable mean actions (B, A) for [state, goal] columns (B, D), both in the data's units."""
        return self.actions.native(self.actor(self.observer.normalize(states)))

    @property
    def curvature(self) -> float:
        """Largest -d^2 log pi / da^2: one over the smallest variance of an action, in the data's units."""
        return float((self._std().detach() * self.actions.radius).square().reciprocal().max())

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) differentiable log density of actions (B, A) in states (B, D), both in the data's units."""
        return self.density(states)(actions)

    def density(self, states: Tensor) -> Callable[[Tensor], Tensor]:
        """``log_prob`` in states (B, D) as a function of actions (B, A), for which the actor is asked once."""
        policy, bounded = self._distribution(self.observer.normalize(states)), self.actions
        return lambda actions: policy.log_prob(bounded.unit(actions)) - bounded.radius.log().sum()

    def _distribution(self, observations: Tensor) -> Independent:
        return Independent(Normal(self.actor(observations), self._std(), validate_args=False), 1, validate_args=False)

    def _std(self) -> Tensor:
        return self.log_std.clamp(*LOG_STD).exp()


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """Mean of |tau - 1(u < 0)| u^2 over u (B,): its minimiser is the tau-expectile."""
    weight = torch.where(difference > 0, expectile, 1 - expectile)
    return (weight * difference.square()).mean()
