"""Transformer over time whose layers are modulated by noise level and condition.

Sources: "Attention Is All You Need" (Vaswani et al. 2017), pre-LN form; "Scalable Diffusion Models with Transformers"
(Peebles and Xie 2023), https://arxiv.org/abs/2212.09748, for the modulation that starts at zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genrl.nets.embedding import Context


class TransformerLayer(nn.Module):
    """Attention and MLP, each behind a normalisation that the context scales and shifts and a gate that starts shut."""

    def __init__(self, width: int, heads: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.norm_attention = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def attend(self, x: Tensor) -> Tensor:
        """(B, H, width) to (B, H, width)."""
        q, k, v = rearrange(self.qkv(x), "b t (three h d) -> three b h t d", three=3, h=self.heads)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=self.causal)
        return self.out(rearrange(mixed, "b h t d -> b t (h d)"))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, H, width) under (B, 1, width) to (B, H, width)."""
        scale_a, shift_a, gate_a, scale_m, shift_m, gate_m = self.modulation(context).chunk(6, dim=-1)
        x = x + gate_a * self.attend(torch.addcmul(shift_a, self.norm_attention(x), 1 + scale_a))
        return x + gate_m * self.mlp(torch.addcmul(shift_m, self.norm_mlp(x), 1 + scale_m))


class TemporalTransformer(nn.Module):
    """Denoiser network for sequences of up to ``max_horizon`` rows.

    Args:
        dim: D, entries of a row.
        condition_dim: C, entries of a condition; 0 for none.
        width: entries of a token, a multiple of ``heads``.
        layers: number of layers.
        heads: attention heads.
        dropout: probability of dropping attention weights and MLP units in training.
        max_horizon: longest sequence.
        causal: let a row see only itself and the rows before it.
    """

    def __init__(
        self,
        dim: int,
        condition_dim: int = 0,
        *,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        max_horizon: int = 256,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.context = Context(condition_dim, width)
        self.embed = nn.Linear(dim, width)
        self.position = nn.Parameter(torch.randn(max_horizon, width) * 0.02)
        self.layers = nn.ModuleList(TransformerLayer(width, heads, dropout, causal) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, dim)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, H, D) sequences at (B,) noise levels under (B, C) conditions to (B, H, D).

        Raises:
            ValueError: the sequence is longer than ``max_horizon``.
        """
        horizon = x.shape[1]
        if horizon > len(self.position):
            raise ValueError(f"{horizon} rows are more than max_horizon={len(self.position)}; build it with more.")
        context = F.silu(self.context(noise, condition))[:, None]  # (B, 1, width)
        tokens = self.embed(x) + self.position[:horizon]  # (B, H, width)
        for layer in self.layers:
            tokens = layer(tokens, context)
        return self.head(self.norm(tokens))
