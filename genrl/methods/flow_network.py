"""A GFlowNet fitted to one reward from scratch: what pre-training is held against."""

from __future__ import annotations

from typing import Any

import torch
from gfn.containers import Trajectories
from gfn.estimators import DiscretePolicyEstimator
from torch import Tensor

from genrl.data.construction import Reward
from genrl.gflownets.balances import TB, Balance
from genrl.gflownets.estimators import Net
from genrl.gflownets.explorer import NET
from genrl.gflownets.sampler import terminal
from genrl.methods.rewarded_gfn import RewardedGFN
from genrl.training.spec import DataSpec


class FlowNetwork(RewardedGFN):
    """Draws objects in proportion to a reward.

    Args:
        balance: its loss: ``TB``, ``DB`` or ``SubTB`` of ``genrl.gflownets.balances``.
        net: maker of all networks.
        reward, queries, epsilon, replay, lr, lr_log_Z: see ``RewardedGFN``.
        seed: of initial weights and all draws.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        balance: Balance = TB,
        net: Net = NET,
        reward: Reward | None = None,
        queries: int = 100_000,
        epsilon: float = 0.05,
        replay: float = 0.0,
        lr: float = 1e-3,
        lr_log_Z: float = 0.1,  # noqa: N803 (the paper's symbol)
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.balance, self.net, self.reward, self.queries, self.epsilon = balance, net, reward, queries, epsilon
        self.replay, self.lr, self.lr_log_Z, self.seed = replay, lr, lr_log_Z, seed
        self.require_shares()

    def build(self, spec: DataSpec) -> None:
        """The environment and the networks."""
        super().build(spec)
        self.network = self.balance(self.game, self.net)

    @property
    def policy(self) -> DiscretePolicyEstimator:
        """P_F(s'|s)."""
        return self.network.pf

    def losses(self, made: Trajectories) -> dict[str, Tensor]:
        """Imbalance of trajectories under the rewards of their objects."""
        env: Any = self.game.env
        log_rewards = self.asked(terminal(made)).log().to(torch.get_default_dtype())
        paid = Trajectories(env, made.states, made.actions, made.terminating_idx, log_rewards=log_rewards)
        return {"loss": self.network.loss_from_trajectories(env, paid)}

    def rates(self) -> list[dict[str, Any]]:
        """Log Z, where the loss has one, at a rate of its own."""
        total = [value for name, value in self.network.named_parameters() if "logZ" in name]
        others = [value for name, value in self.network.named_parameters() if "logZ" not in name]
        return [{"params": others, "lr": self.lr}, *({"params": [value], "lr": self.lr_log_Z} for value in total)]
