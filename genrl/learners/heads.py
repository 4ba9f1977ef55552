"""What the outputs of a network mean as actions, for every kind of space."""

from __future__ import annotations

from abc import ABC, abstractmethod

import gymnasium as gym
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrl.data.codecs import BinaryCodec, CategoryCodec, SpaceCodec
from genrl.data.normalizers import ZScore
from genrl.data.spaces import Leaves


class LeafHead(nn.Module, ABC):
    """One leaf of an action space: outputs (B, K) of a network against encoded actions (B, K)."""

    def fit(self, actions: Tensor) -> None:
        """Learn what the head needs to know of actions (N, K)."""

    @abstractmethod
    def loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(B,) how far the outputs are from the actions."""

    @abstractmethod
    def columns(self, outputs: Tensor, uniform: Tensor | None) -> Tensor:
        """(B, K) encoded actions: the mode, or drawn by ``uniform`` (B, K)."""


class MeanHead(LeafHead):
    """Box: the outputs are a standardised action, and the loss is the share of variance left unexplained."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.normalizer = ZScore(dim)

    def fit(self, actions: Tensor) -> None:
        """Learn mean and standard deviation."""
        self.normalizer.fit(actions)

    def loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(B,) mean squared error."""
        return (outputs - self.normalizer.normalize(actions)).square().mean(-1)

    def columns(self, outputs: Tensor, uniform: Tensor | None) -> Tensor:
        """(B, K) in the space's own units; there is nothing random about them."""
        return self.normalizer.denormalize(outputs)


class CategoryHead(LeafHead):
    """Discrete and MultiDiscrete: the outputs are logits."""

    def __init__(self, counts: list[int]) -> None:
        super().__init__()
        self.counts = counts

    def loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(B,) cross-entropy, summed over the categories."""
        pairs = zip(outputs.split(self.counts, -1), actions.split(self.counts, -1), strict=True)
        return torch.stack([F.cross_entropy(logits, chosen, reduction="none") for logits, chosen in pairs]).sum(0)

    def columns(self, outputs: Tensor, uniform: Tensor | None) -> Tensor:
        """(B, K) scores whose largest entry is the choice (Gumbel-max trick)."""
        return outputs if uniform is None else outputs - torch.log(-torch.log(uniform))


class BinaryHead(LeafHead):
    """MultiBinary: the outputs are logits of independent switches."""

    def loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(B,) cross-entropy, summed over the switches."""
        return F.binary_cross_entropy_with_logits(outputs, actions, reduction="none").sum(-1)

    def columns(self, outputs: Tensor, uniform: Tensor | None) -> Tensor:
        """(B, K) 0 and 1."""
        chance = torch.sigmoid(outputs)
        return ((0.5 if uniform is None else uniform) < chance).float()


def leaf_head(codec: nn.Module) -> LeafHead:
    """The head that goes with a leaf's codec."""
    if isinstance(codec, CategoryCodec):
        return CategoryHead(codec.counts)
    return BinaryHead() if isinstance(codec, BinaryCodec) else MeanHead(codec.dim)  # type: ignore[arg-type]


class ActionHead(nn.Module):
    """All leaves of an action space side by side.

    Attributes:
        dim: K, outputs that the network must have.
        continuous: whether every leaf is a Box, so that nothing is ever drawn.
    """

    def __init__(self, space: gym.Space) -> None:
        super().__init__()
        self.codec = SpaceCodec(space)
        self.heads = nn.ModuleList([leaf_head(codec) for codec in self.codec.codecs])
        self.dim = self.codec.dim
        self.continuous = all(isinstance(head, MeanHead) for head in self.heads)

    def fit(self, actions: Leaves) -> None:
        """Learn what the heads need to know of the training actions."""
        columns = self.codec.encode(actions)
        for head, section in self._sections():
            head.fit(columns[:, section])

    def loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """(B,) sum over the leaves, for outputs and encoded actions (B, K)."""
        losses = [head.loss(outputs[:, section], actions[:, section]) for head, section in self._sections()]
        return torch.stack(losses).sum(0)

    def columns(self, outputs: Tensor, uniform: Tensor | None = None) -> Tensor:
        """(B, K) encoded actions: the mode, or drawn by ``uniform`` (B, K)."""
        parts = [
            head.columns(outputs[:, section], None if uniform is None else uniform[:, section])
            for head, section in self._sections()
        ]
        return torch.cat(parts, dim=-1)

    def _sections(self) -> list[tuple[LeafHead, slice]]:
        return list(zip(self.heads, self.codec.sections.values(), strict=True))  # type: ignore[arg-type]
