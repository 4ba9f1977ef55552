"""Diffusion over single transitions [s, a, r, done, s'], in the manner of SynthER.

Source: "Synthetic Experience Replay" (Lu et al. 2023), https://arxiv.org/abs/2303.06614: a residual MLP under the EDM
objective. A transition is a window of two rows, so everything else is that of ``TrajectoryDiffusion``; ends are
modelled for every environment, which the reference does in its offline configuration alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from genrl.diffusion.schedules import LogNormal, Schedule
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion, make_net
from genrl.nets.residual_mlp import ResidualMLP


class Flattened(nn.Module):
    """A network for vectors as one for windows of two rows."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, R, D) windows at (B,) noise levels to (B, R, D)."""
        return self.net(x.flatten(1), noise, condition).reshape(x.shape)


class TransitionDiffusion(TrajectoryDiffusion):
    """EDM over single transitions; a synthetic episode is one transition long.

    Args:
        net: network over vectors of 6 D entries; a class with its settings.
        sampling, lr, weight_decay, levels, completion, return_dropout, guidance, ema_decay, squash, seed: as for
            ``TrajectoryDiffusion``; SynthER takes actions as they are.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start", "returns", "known"})

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = ResidualMLP,
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        lr: float = 3e-4,
        weight_decay: float = 0.0,
        levels: Schedule = LogNormal(-1.2, 1.2),  # noqa: B008 (frozen)
        completion: float = 1.0,
        return_dropout: float = 0.25,
        guidance: float = 1.0,
        ema_decay: float = 0.995,
        squash: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            net=net,
            horizon=1,
            overlap=0,
            sampling=sampling,
            lr=lr,
            weight_decay=weight_decay,
            context_noise=0.0,
            levels=levels,
            completion=completion,
            return_dropout=return_dropout,
            guidance=guidance,
            ema_decay=ema_decay,
            squash=squash,
            seed=seed,
        )

    def _network(self) -> nn.Module:
        return Flattened(make_net(self.net, 3 * self.packing.dim * self.rows, 1, self.rows))
