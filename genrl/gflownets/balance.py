"""Detailed balance whose reward is teleported to every edge of a trajectory, or to its last edge alone.

Source: "Pre-Training and Fine-Tuning Generative Flow Networks" (Pan et al. 2024), https://arxiv.org/abs/2310.03419,
equation 6: with the outcome's reward R(x|y) of the object x that a trajectory ends in, on each of its edges

    F(s|y) P_F(s'|s, y) = F(s'|y) P_B(s|s', y) R(x|y),        F = 1 at the end.

Failed trajectories teach every state on their way at once, where detailed balance passes R back edge by edge. But an
edge lies on failed and on successful trajectories alike, so flows stay off; ``weight`` brings plain detailed balance
back by degrees, R(x|y) ** weight on edges before the last.
"""

from __future__ import annotations

import torch
from gfn.containers import Transitions
from gfn.env import Env
from gfn.gflownet import DBGFlowNet
from torch import Tensor


class Teleported(DBGFlowNet):
    """Detailed balance with ``weight`` of the trajectory's log reward on each edge before the last.

    Attributes:
        weight: 1 for outcome teleportation, 0 for plain detailed balance.
    """

    weight: float = 1.0

    def get_scores(
        self,
        env: Env,
        transitions: Transitions,
        recalculate_all_logprobs: bool = True,
        *,
        log_rewards: Tensor | None = None,
    ) -> Tensor:
        """(M,) logarithm of the left side over the right one; ``log_rewards`` (M,) are of each edge's trajectory."""
        assert log_rewards is not None, "rewards are of trajectories: give one for every edge"
        nothing = torch.zeros_like(log_rewards)
        scores = super().get_scores(env, transitions, recalculate_all_logprobs, log_rewards=nothing)
        share = torch.where(transitions.is_terminating, 1.0, self.weight)
        return scores - share * log_rewards
