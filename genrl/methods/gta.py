"""GTA: real trajectories taken part of the way into noise and brought back with a higher return in mind.

Source: "GTA: Generative Trajectory Augmentation with Guidance for Offline Reinforcement Learning" (Lee et al. 2024),
https://arxiv.org/abs/2405.16907: noise level 0.5, return amplified by 1.3, classifier-free guidance.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.randomness import generator
from genrl.data.ranges import require_numbers
from genrl.data.samplers import WindowSampler
from genrl.diffusion.guidance import ClassifierFree
from genrl.diffusion.noise import BlockNoise
from genrl.methods.given_data import folders, read
from genrl.methods.known import Given, joined, without_returns
from genrl.methods.method import Block, Composite
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion


class GTA(Composite):
    """Windows of real data, renoised and denoised under an amplified return.

    Args:
        method: a fitted trajectory diffusion model.
        data: Minari id of the data whose windows are varied, or the Episodes themselves (then there is nothing that a
            checkpoint or another process could load).
        level: how far into the noise, as a share of the sampler's steps; 1 forgets the window.
        amplify: a return-to-go R becomes R + (amplify - 1) |R|.
        weight: of classifier-free guidance towards that return.
        root: folder of the data set; Minari's own by default.

    Raises:
        ConfigurationError: a level outside (0, 1], an amplification or a weight that is no number, or a model that was
            never fitted, or not to returns.
    """

    understands: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        method: TrajectoryDiffusion,
        data: str | Episodes,
        level: float = 0.5,
        amplify: float = 1.3,
        weight: float = 1.5,
        root: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 < level <= 1:
            raise ConfigurationError(f"level is a share of the sampler's steps, above 0 and at most 1, not {level}.")
        require_numbers("GTA", amplify=amplify, weight=weight)
        method.header()
        if method.return_dropout >= 1:
            raise ConfigurationError(
                f"This {type(method).__name__} knows nothing of the returns that are to be amplified, which its"
                f" return_dropout of {method.return_dropout:g} withheld in training: fit it with a lower one, such as"
                " 0.25."
            )
        self.method, self.data, self.root = method, data, root
        self.level, self.amplify, self.weight = level, amplify, weight
        self.spec = method.spec

    @property
    def reads(self) -> list[Path]:
        """That of the data whose windows are varied."""
        return folders(self.data, self.root)

    @cached_property
    def windows(self) -> WindowSampler:
        """The windows to vary, with the return-to-go beside their rows."""
        data = read(self.data, self.root)
        self.method.require_same_spaces(data)
        self.method.packing.require_known(data)
        return self.method.sampler(data)

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Variations of random windows, each as long as the model's.

        Raises:
            ConditionError: any condition.
            ConfigurationError: another length than the model's horizon.
        """
        (conditions or Conditions()).require(type(self).__name__, set(self.understands), block.size)
        if length not in (None, self.method.horizon):
            raise ConfigurationError(
                f"A variation is as long as a window of the model, {self.method.horizon} transitions, not {length}."
            )
        stream = generator(block.seed, "windows", block.index)
        index = torch.randint(len(self.windows), (block.size,), generator=stream)
        noise = BlockNoise(block.seed, block.index)
        return concatenate([self._vary(index[part], noise.part(part.start)) for part in block.parts(batch_size)])

    def _vary(self, index: torch.Tensor, noise: BlockNoise) -> Episodes:
        """The windows at ``index`` (B,), renoised and denoised."""
        method, dim = self.method, self.method.packing.dim
        window = self.windows.fetch(index).rows.to(method.device)  # (B, R, D + 3)
        rows, to_go = window[..., :dim], method.return_scale.denormalize(window[:, 0, dim : dim + 1])
        wanted = method.return_scale.normalize(to_go + (self.amplify - 1) * to_go.abs())  # (B, 1)
        given = Given(torch.full_like(rows, torch.nan), wanted)
        led = ClassifierFree(method.denoiser, self.weight, without_returns, joined)
        made = method.sampling.again(led, rows, self.level, noise(0, rows), given, noise)
        return method.packing.unpack(torch.where(method.packing.varies, made, 0.0))
