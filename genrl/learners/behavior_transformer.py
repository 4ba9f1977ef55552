"""Behavior Transformer: which of a few typical actions to take, and how far off it to go.

Source: "Behavior Transformers: Cloning k modes with one stone" (Shafiullah et al. 2022), arXiv:2206.11251, section 3;
goals before the states as in C-BeT, "From Play to Policy" (Cui et al. 2022), https://arxiv.org/abs/2210.10047. Chunks
are ours: each action of a chunk has a bin of its own, drawn by itself, so that a long chunk may mix two ways.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.history import HistoryWindows
from genrl.data.randomness import generator as stream
from genrl.data.ranges import require_at_least, require_whole
from genrl.diffusion.noise import Noise
from genrl.learners.kmeans import kmeans, nearest
from genrl.learners.sequence import SequenceLearner, masked_mean
from genrl.nets.policy_transformer import Observed, PolicyNet, PolicyTransformer
from genrl.training.spec import DataSpec


class BehaviorTransformer(SequenceLearner):
    """Goal-conditioned policy over k-means bins of the actions, with an offset for each bin.

    Args:
        net, history, chunk, goal_length, goal_discount: see ``BESO``.
        bins: C, centres of k-means over the training actions; 24 to 64 as published.
        focus: gamma of the focal loss, 2 as published; 0 is cross-entropy.
        offset_weight: of the squared error of an offset, on actions scaled to [-1, 1], against the focal loss.
        lr, weight_decay, ema_decay, seed: see ``BESO``.

    Raises:
        ConfigurationError: a number is out of range.
    """

    centres: Tensor

    def __init__(
        self,
        net: PolicyNet = PolicyTransformer,
        history: int = 5,
        chunk: int = 1,
        goal_length: int = 1,
        goal_discount: float | None = None,
        bins: int = 64,
        focus: float = 2.0,
        offset_weight: float = 10.0,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.net, self.history, self.chunk, self.goal_length = net, history, chunk, goal_length
        self.goal_discount, self.bins, self.focus, self.offset_weight = goal_discount, bins, focus, offset_weight
        self.lr, self.weight_decay, self.ema_decay, self.seed = lr, weight_decay, ema_decay, seed
        self.require_ranges()
        require_whole(1, bins=bins)
        require_at_least(0, focus=focus, offset_weight=offset_weight)

    def output_dim(self, action_dim: int) -> int:
        """A logit and an offset for each bin."""
        return self.bins * (1 + action_dim)

    def build(self, spec: DataSpec) -> None:
        """Also room for the centres."""
        super().build(spec)
        self.register_buffer("centres", torch.zeros(self.bins, self.codec.dim))

    def statistics(self, episodes: Episodes) -> None:
        """Fit the scales, and the centres to the scaled actions."""
        super().statistics(episodes)
        self.centres.copy_(kmeans(self.actions(episodes).cpu(), self.bins, stream(self.seed, "centres")))

    def forward(self, observed: Observed) -> tuple[Tensor, Tensor]:
        """Logits (B, H, C) and offsets (B, H, C, A) for the actions of a window."""
        outputs = self.model(None, None, observed)  # (B, H, C (1 + A))
        logits, offsets = outputs.split((self.bins, outputs.shape[-1] - self.bins), dim=-1)
        return logits, offsets.unflatten(-1, (self.bins, -1))

    def loss(self, batch: HistoryWindows, generator: torch.Generator) -> dict[str, Tensor]:
        """Focal loss of the bins, and squared error of the offset of the bin that an action is in."""
        logits, offsets = self(Observed(batch.states, batch.goals))
        bins = nearest(batch.actions, self.centres)  # (B, H)
        error = (_of(bins, offsets) - (batch.actions - self.centres[bins])).square().mean(-1)
        focal, offset = masked_mean(focal_loss(logits, bins, self.focus), batch.mask), masked_mean(error, batch.mask)
        return {"loss": focal + self.offset_weight * offset, "focal": focal, "offset": offset}

    def plan(self, observed: Observed, past: Tensor, noise: Noise) -> Tensor:
        """(B, K, A) centres of bins drawn by their chances, with their offsets; past actions are not looked at."""
        logits, offsets = (part[:, self.history - 1 :] for part in self(observed))
        uniform = torch.special.ndtr(noise(0, logits[..., 0]))  # (B, K)
        below = logits.softmax(-1).cumsum(-1) < uniform[..., None]  # inverse transform
        bins = below.sum(-1).clamp(max=self.bins - 1)
        return self.centres[bins] + _of(bins, offsets)


def focal_loss(logits: Tensor, classes: Tensor, focus: float) -> Tensor:
    """(...) -(1 - p)^gamma log p of the ``classes`` (...) under logits (..., C).

    Source: "Focal Loss for Dense Object Detection" (Lin et al. 2017), https://arxiv.org/abs/1708.02002, equation 4.
    """
    log_p = F.log_softmax(logits, dim=-1).gather(-1, classes[..., None])[..., 0]
    missed = (1 - log_p.exp()).clamp(min=torch.finfo(log_p.dtype).tiny)  # 0 has no slope for gamma below 1
    return -(missed**focus) * log_p


def _of(bins: Tensor, offsets: Tensor) -> Tensor:
    """(..., A) the offsets (..., C, A) of the bins (...)."""
    return offsets.take_along_dim(bins[..., None, None], dim=-2)[..., 0, :]
