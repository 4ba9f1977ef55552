"""A world model whose dynamics are a diffusion model, in the place of ``WorldModel``'s ensemble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.samplers import TransitionSampler
from genrl.diffusion.sampling import Sampling
from genrl.diffusion.schedules import LogNormal, Schedule
from genrl.dynamics.diffusion import FEW_STEPS, DiffusionDynamics
from genrl.dynamics.protocol import Dynamics
from genrl.methods.learned_world import LearnedWorld, fields
from genrl.nets.mlp import DenoisingMLP
from genrl.training.ema import EMA
from genrl.training.schedule import warmup_cosine
from genrl.training.spec import DataSpec


class DiffusionWorldModel(LearnedWorld):
    """p(s', r, done | s, a) by a conditional denoiser, and real states to start from.

    Args:
        net: denoiser network for vectors under a condition.
        sampling: how a step is drawn; each costs as many calls of the network as it has steps.
        levels: noise levels of training.
        starts: real states kept as beginnings of rollouts.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
        ema_decay: of the averaged weights that predict.
        seed: of initial weights, of training noise and of the states to start from.

    Attributes:
        denoised: the dynamics, over ``columns``.
    """

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = DenoisingMLP,
        sampling: Sampling = FEW_STEPS,
        levels: Schedule = LogNormal(-1.2, 1.2),  # noqa: B008 (frozen)
        starts: int = 4096,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__(starts, seed)
        self.net, self.sampling, self.levels = net, sampling, levels
        self.lr, self.weight_decay, self.ema_decay = lr, weight_decay, ema_decay

    @property
    def learned(self) -> DiffusionDynamics:
        """The denoiser's."""
        return self.denoised

    @property
    def sampling(self) -> Sampling:
        """How a step is drawn; may be set anew after training. Once built, the dynamics alone hold it."""
        return self._sampling if self.spec is None else self.denoised.sampling

    @sampling.setter
    def sampling(self, sampling: Sampling) -> None:
        if self.spec is None:
            self._sampling = sampling
        else:
            self.denoised.sampling = sampling

    def build(self, spec: DataSpec) -> None:
        """Columns of the data's spaces, the denoiser over them, and room for states to start from."""
        super().build(spec)
        state, action = self.columns.observation_codec.dim, self.columns.action_codec.dim
        self.denoised = DiffusionDynamics(state, action, self.net, self.sampling)

    def dynamics(self, disagreement: bool = True) -> Dynamics:
        """The denoiser's; what it tells beside costs it little."""
        return self.held(self.denoised)

    def sampler(self, episodes: Episodes) -> TransitionSampler:
        """Transitions in the data's own units."""
        return self.transitions(episodes)

    def training_step(self, batch: Transitions, batch_index: int) -> Tensor:
        """Squared error of the denoiser."""
        loss = self._loss(batch, batch_index)
        self.log("train_loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: Transitions, batch_index: int) -> None:
        """The same on held-out transitions."""
        self.log("val_loss", self._loss(batch, batch_index), prog_bar=True)

    def _loss(self, batch: Transitions, batch_index: int) -> Tensor:
        noise, size = self.noise_generator(batch_index), len(batch.rewards)
        t = self.levels.sample(size, noise).to(batch.rewards)
        eps = torch.randn(size, self.denoised.noise_dim, generator=noise).to(batch.rewards)
        return self.denoised.loss(*fields(batch), t, eps).mean()

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())

    def configure_callbacks(self) -> list[Callback]:
        """Averaged weights."""
        return [EMA(self.ema_decay)]
