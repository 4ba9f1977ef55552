"""What learners with a value function share: twin critics, slow copies of networks, Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class TwinCritic(nn.Module):
    """Two independent action values; learners use the smaller one (clipped double Q-learning).

    Source: "Addressing Function Approximation Error in Actor-Critic Methods" (Fujimoto et al. 2018),
    https://arxiv.org/abs/1802.09477.

    Args:
        net: network from [observation, action] columns to one value.
        observation_dim, action_dim: numbers of columns.
    """

    def __init__(self, net: Callable[[int, int], nn.Module], observation_dim: int, action_dim: int) -> None:
        super().__init__()
        self.twins = nn.ModuleList([net(observation_dim + action_dim, 1) for _ in range(2)])

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(B, Do) and (B, A) to (2, B)."""
        pairs = torch.cat((observations, actions), dim=-1)
        return torch.stack([twin(pairs).squeeze(-1) for twin in self.twins])

    def first(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(B,) the value of the first twin alone."""
        return self.twins[0](torch.cat((observations, actions), dim=-1)).squeeze(-1)


def td_error(values: Tensor, targets: Tensor) -> Tensor:
    """Squared error of (2, B) values against (B,) targets, summed over the twins."""
    return (values - targets).square().mean(-1).sum()


def unexplained(values: Tensor, targets: Tensor) -> Tensor:
    """Share of the variance of the targets (B,) that the values (2, B) leave unexplained, whatever their scale.

    The plain TD error grows with the values themselves, so it is lowest before anything has been learned.
    """
    return (values - targets).square().mean() / targets.var(correction=0).clamp(min=1e-8)


def slow_copy(net: nn.Module) -> nn.Module:
    """A target network: a copy that takes no gradient."""
    return deepcopy(net).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, net: nn.Module, rate: float) -> None:
    """Polyak averaging: target <- (1 - rate) target + rate net."""
    get_ema_multi_avg_fn(1 - rate)(list(target.parameters()), list(net.parameters()), 0)


def adam(parameters: Iterable[nn.Parameter] | list[dict], lr: float) -> torch.optim.Adam:
    """Adam in one fused kernel."""
    return torch.optim.Adam(parameters, lr, fused=True)
