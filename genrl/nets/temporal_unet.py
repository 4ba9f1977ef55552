"""U-Net of one-dimensional convolutions over time.

Sources: "Planning with Diffusion for Flexible Behavior Synthesis" (Janner et al. 2022), https://arxiv.org/abs/2205.09991,
for the shape; "Diffusion Models Beat GANs on Image Synthesis" (Dhariwal and Nichol 2021) for the residual block.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrl.nets.embedding import Context


class GroupNorm(nn.GroupNorm):
    """Group normalisation that also takes groups of a single value, which torch refuses as if in training always."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class TemporalBlock(nn.Module):
    """Two convolutions around a skip; the context scales and shifts what lies between them.

    The second convolution starts at zero, so that a fresh block is its skip.
    """

    def __init__(self, in_channels: int, out_channels: int, context: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.norm_in = GroupNorm(groups, in_channels)
        self.conv_in = nn.Conv1d(in_channels, out_channels, kernel, padding="same")
        self.film = nn.Linear(context, 2 * out_channels)
        self.norm_out = GroupNorm(groups, out_channels)
        self.conv_out = nn.Conv1d(out_channels, out_channels, kernel, padding="same")
        self.skip = nn.Conv1d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        for parameter in self.conv_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, in_channels, T) under (B, context) to (B, out_channels, T)."""
        hidden = self.conv_in(F.silu(self.norm_in(x)))
        scale, shift = self.film(context)[:, :, None].chunk(2, dim=1)  # (B, out_channels, 1)
        hidden = torch.addcmul(shift, self.norm_out(hidden), 1 + scale)
        return self.skip(x) + self.conv_out(F.silu(hidden))


class TemporalUNet(nn.Module):
    """Denoiser network for sequences of any length; each level has half the rows of the one before, rounded up.

    Args:
        dim: D, entries of a row.
        condition_dim: C, entries of a condition; 0 for none.
        width: channels at full resolution; a multiple of ``groups``.
        multipliers: channels of each level, in units of ``width``; time is halved from level to level.
        kernel: steps that a convolution spans, odd.
        groups: groups of the group normalisation.
    """

    def __init__(
        self,
        dim: int,
        condition_dim: int = 0,
        *,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 4),
        kernel: int = 3,
        groups: int = 8,
    ) -> None:
        super().__init__()
        levels = [width * m for m in multipliers]
        context = 2 * width
        self.context = Context(condition_dim, context)
        self.stem = nn.Conv1d(dim, levels[0], kernel, padding="same")

        def block(in_channels: int, out_channels: int) -> TemporalBlock:
            return TemporalBlock(in_channels, out_channels, context, kernel, groups)

        self.down = nn.ModuleList(block(c, d) for c, d in zip([levels[0], *levels], levels, strict=False))
        self.shrink = nn.ModuleList(nn.Conv1d(c, c, 3, stride=2, padding=1) for c in levels[:-1])
        self.middle = block(levels[-1], levels[-1])
        self.up = nn.ModuleList(
            block(2 * c, d) for c, d in zip(levels[::-1], [*levels[-2::-1], levels[0]], strict=True)
        )
        self.grow = nn.ModuleList(nn.ConvTranspose1d(c, c, 4, stride=2, padding=1) for c in levels[-2::-1])
        self.norm = GroupNorm(groups, levels[0])
        self.head = nn.Conv1d(levels[0], dim, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, H, D) sequences at (B,) noise levels under (B, C) conditions to (B, H, D)."""
        context = F.silu(self.context(noise, condition))  # (B, context)
        h = self.stem(x.transpose(1, 2))  # (B, channels, H)
        skips = []
        for i, down in enumerate(self.down):
            h = down(h if i == 0 else self.shrink[i - 1](h), context)
            skips.append(h)
        h = self.middle(h, context)
        for i, up in enumerate(self.up):
            skip = skips.pop()
            h = h if i == 0 else self.grow[i - 1](h)[:, :, : skip.shape[-1]]  # a row less where the number was odd
            h = up(torch.cat((h, skip), dim=1), context)
        return self.head(F.silu(self.norm(h))).transpose(1, 2)  # (B, H, D)
