"""Detailed balance whose reward is teleported to every edge of a trajectory, or to its last edge alone.

Source: "Pre-Training and Fine-Tuning Generative Flow Networks" (Pan et al. 2024), https://arxiv.org/abs/2310.03419,
equation 6: with the outcome's reward R(x|y) of the object x that a trajectory ends in, on each of its edges

    F(s|y) P_F(s'|s, y) = F(s'|y) P_B(s|s', y) R(x|y),        F = 1 at the end.

Failed trajectories teach every state on their way at once, where detailed balance passes R back edge by edge. But an
edge lies on failed and on successful trajectories alike, so flows stay off; ``weight`` brings plain detailed balance
back by degrees, R(x|y) ** weight on edges before the last.
"""

from __future__ import annotations

from typing import Any

import torch
from gfn.containers import Trajectories
from gfn.gflownet import DBGFlowNet
from torch import Tensor


class Teleported(DBGFlowNet):
    """Detailed balance over whole trajectories, with ``weight`` of the log reward on each edge before the last.

    As a state is both the end of one edge and the beginning of the next, its flow is computed once, where torchgfn's
    own loss over single edges computes it twice.

    Attributes:
        weight: 1 for outcome teleportation, 0 for plain detailed balance.
    """

    weight: float = 1.0

    def edge_scores(self, made: Trajectories, log_rewards: Tensor) -> Tensor:
        """(M,) logarithm of the left side over the right one at all edges, for (N,) log rewards of the trajectories.

        Edges come in the order of ``made.to_transitions()``: step by step, trajectory by trajectory.
        """
        edges, taken = made.to_transitions(), ~made.actions.is_dummy  # (T, N)
        log_pf, log_pb = self.get_pfs_and_pbs(edges)
        flow: Any = self.logF
        conditions = () if edges.states.conditions is None else (edges.states.conditions,)
        log_f = flow(edges.states, *conditions)[:, 0]  # (M,)
        of_states = log_f.new_zeros(len(taken) + 1, taken.shape[1])  # (T + 1, N), 0 after the exit
        of_states = of_states.masked_scatter(torch.nn.functional.pad(taken, (0, 0, 0, 1)), log_f)
        share = torch.where(edges.is_terminating, 1.0, self.weight)
        return log_pf + log_f - log_pb - of_states[1:][taken] - share * log_rewards.expand_as(taken)[taken]

    def balance(self, made: Trajectories, log_rewards: Tensor) -> Tensor:
        """() mean square over all edges; 0 where there is no trajectory."""
        if not made.batch_size:
            return log_rewards.sum()
        return self.edge_scores(made, log_rewards).square().mean()
