"""Decision Transformer: the action that followed in the data, given the returns to go, states and actions up to it.

Source: "Decision Transformer: Reinforcement Learning via Sequence Modeling" (Chen et al. 2021),
https://arxiv.org/abs/2106.01345; sizes of its locomotion tasks by default. Windows begin at any step and end with
their episode, so that short contexts, such as those at the beginning of an episode, are learned beside whole ones.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.normalizers import ZScore
from genrl.data.ranges import require_at_least, require_whole
from genrl.data.return_windows import ReturnWindows
from genrl.learners.return_conditioned import ReturnConditioned
from genrl.nets.return_transformer import ReturnNet, ReturnTransformer
from genrl.training.schedule import warmup_cosine
from genrl.training.spec import DataSpec


class DecisionTransformer(ReturnConditioned):
    """Cloning of a_t = pi(R_{t-K+1}, s_{t-K+1}, a_{t-K+1}, .., R_t, s_t); a desired goal is a part of s.

    The paper clips gradients to a norm of 0.25; that is the Trainer's ``gradient_clip_val``.

    Args:
        net: maker of the network, see ``ReturnTransformer``.
        context: K, steps that an action is told from.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
        seed: of the initial weights.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        net: ReturnNet = ReturnTransformer,
        context: int = 20,
        lr: float = 1e-4,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_whole(1, context=context)
        require_at_least(0, lr=lr, weight_decay=weight_decay)
        self.net, self.context, self.lr, self.weight_decay, self.seed = net, context, lr, weight_decay, seed

    def build(self, spec: DataSpec) -> None:
        """Observer, action head, scales of returns and past actions, and network."""
        super().build(spec)
        self.past = ZScore(self.head.dim)
        self.model = self.net(self.observer.dim, self.head.dim, self.head.dim, spec.max_length)

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of observations, actions and returns, and find the best return.

        Raises:
            ConfigurationError: all returns are equal.
        """
        super().statistics(episodes)
        self.past.fit(self.head.codec.encode(episodes.actions))

    def forward(self, window: ReturnWindows) -> Tensor:
        """(B, K, O) outputs for the action of every step, from that step and those before it."""
        return self.model(window.returns, window.observations, self.past.normalize(window.actions), window.times)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self.model.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())
