"""Behaviour cloning over windows: the mean of what the data did, the plainest policy on BESO's network and data.

Goals come from the future of the same episode, see ``GCBC`` for the sources; the window and the chunk are BESO's. Where
the data do two things its mean does neither, which is why it is the baseline to beat.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrl.data.history import HistoryWindows
from genrl.diffusion.noise import Noise
from genrl.learners.sequence import SequenceLearner, masked_mean
from genrl.nets.policy_transformer import Observed, PolicyNet, PolicyTransformer


class SequenceBC(SequenceLearner):
    """Goal-conditioned behaviour cloning by squared error, over T observations and chunks of K actions.

    Args:
        net, history, chunk, goal_length, goal_discount: see ``BESO``.
        lr, weight_decay, ema_decay, seed: see ``BESO``.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        net: PolicyNet = PolicyTransformer,
        history: int = 5,
        chunk: int = 1,
        goal_length: int = 1,
        goal_discount: float | None = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.net, self.history, self.chunk, self.goal_length = net, history, chunk, goal_length
        self.goal_discount, self.lr, self.weight_decay = goal_discount, lr, weight_decay
        self.ema_decay, self.seed = ema_decay, seed
        self.require_ranges()

    def output_dim(self, action_dim: int) -> int:
        """The mean action."""
        return action_dim

    def loss(self, batch: HistoryWindows, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of an entry over all actions of the window, each told from the states up to its own."""
        means = self.model(None, None, Observed(batch.states, batch.goals))  # (B, H, A)
        return {"loss": masked_mean((means - batch.actions).square().mean(-1), batch.mask)}

    def plan(self, observed: Observed, past: Tensor, noise: Noise) -> Tensor:
        """(B, K, A) mean actions; nothing is drawn and past actions are not looked at."""
        return self.model(None, None, observed)[:, self.history - 1 :]
