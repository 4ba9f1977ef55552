"""Diffusion over windows of a trajectory: the generator under policy-guided diffusion, and an augmenter by itself.

Sources: "Policy-Guided Diffusion" (Jackson et al. 2024), https://arxiv.org/abs/2404.06356, section 5 for the data and
the EDM objective; "Planning with Diffusion" (Janner et al. 2022), https://arxiv.org/abs/2205.09991, for conditioning by
known entries. Here the network is also trained to complete windows of which some entries are given, so that a start, a
goal or the end of another window can be continued without a seam.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.normalizers import Affine, MinMax, ZScore
from genrl.data.randomness import generator
from genrl.data.ranges import require_at_least, require_numbers, require_shares
from genrl.data.samplers import Windows, WindowSampler
from genrl.diffusion.denoiser import Denoiser, EDMPrediction, Estimator
from genrl.diffusion.gaussian import GaussianResidual
from genrl.diffusion.grids import karras
from genrl.diffusion.guidance import ClassifierFree
from genrl.diffusion.inpaint import Inpaint
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM
from genrl.diffusion.samplers import euler
from genrl.diffusion.schedules import LogNormal, Schedule
from genrl.methods.copying import CopyingCheck
from genrl.methods.known import CompletionNet, Given, draw_patterns, joined, without_returns
from genrl.methods.method import Block, Method, require_length
from genrl.methods.packing import OBSERVED, Packing
from genrl.methods.sampling import Sampling
from genrl.nets.temporal_unet import TemporalUNet
from genrl.training.ema import EMA
from genrl.training.module import Trainable
from genrl.training.schedule import warmup_cosine
from genrl.training.spec import DataSpec

MOST_WINDOWS = 50_000  # that the covariance is taken from

Steer = Callable[[Estimator], Estimator]
"""A wrapper around the denoiser of windows (B, R, D), which leads them somewhere: see ``genrl.diffusion.guidance``."""


class TrajectoryDiffusion(Method, Trainable):
    """EDM over windows of [state, action, reward, done], terminal states included.

    Args:
        net: network over rows of 3 D entries (noisy, given, which are given); a class with its settings.
        horizon: transitions in a window; a window has one row more, for the final observation.
        overlap: rows that a window shares with the one before where longer episodes are stitched; 0 for none.
        sampling: how the model is sampled; may be set anew after training.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
        context_noise: largest standard deviation of noise on given rows in training, so that a stitched episode is
            led back to the data instead of drifting off.
        levels: noise levels of training, the published ones by default. The rows of a window are much alike, so that
            what kind of window it is shows at higher noise; training there more often has not paid on Hopper.
        completion: share of the training windows in which some entries may be given; 0 for a model that is only ever
            to be sampled freely, which then learns faster.
        return_dropout: how often the return is withheld in training; 1 for a model that is never asked for one.
        guidance: weight of classifier-free guidance where a return is asked for; 1 is the conditional model.
        ema_decay: decay of the averaged weights, which are the ones that sample.
        squash: open bounded actions up by arctanh, as the paper does. It suits the data of a policy that ends in a
            tanh; the actions of one that is merely clipped lie at their bounds in great numbers, arctanh sets these
            far apart from the others, and the others are then known the less exactly.
        ends: class of the normaliser of done, which is -1 and 1 by default. ``ZScore`` is the paper's; where one
            transition in 400 ends, as on Hopper, it puts an end 20 standard deviations off, and all else is learned
            the less.
        seed: of initial weights and training noise.

    Raises:
        ConfigurationError: an overlap that does not fit the horizon, a number out of its range, or guidance to returns
            that training withholds.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start", "goal", "returns", "known"})

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = TemporalUNet,
        horizon: int = 32,
        overlap: int = 8,
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        context_noise: float = 0.3,
        levels: Schedule = LogNormal(-1.2, 1.2),  # noqa: B008 (frozen)
        completion: float = 1.0,
        return_dropout: float = 0.25,
        guidance: float = 1.0,
        ema_decay: float = 0.999,
        squash: bool = True,
        ends: Callable[[int], Affine] = MinMax,
        seed: int = 0,
    ) -> None:
        super().__init__()
        whole = isinstance(horizon, Integral) and isinstance(overlap, Integral)
        if not whole or horizon < 1 or not 0 <= overlap <= horizon:
            raise ConfigurationError(f"An overlap of {overlap} rows does not fit windows of {horizon} transitions.")
        require_shares(completion=completion, return_dropout=return_dropout, ema_decay=ema_decay)
        require_at_least(0, weight_decay=weight_decay, context_noise=context_noise)
        require_numbers(type(self).__name__, guidance=guidance)
        if guidance != 1 and return_dropout >= 1:
            raise ConfigurationError(
                f"guidance {guidance:g} leads to returns, of which a return_dropout of {return_dropout:g} teaches"
                " nothing: lower the return_dropout, such as to 0.25, or leave guidance at 1."
            )
        self.net, self.horizon, self.overlap, self.sampling = net, horizon, overlap, sampling
        self.lr, self.weight_decay, self.ema_decay = lr, weight_decay, ema_decay
        self.levels = levels
        self.context_noise, self.completion, self.return_dropout = context_noise, completion, return_dropout
        self.guidance, self.squash, self.ends, self.seed = guidance, squash, ends, seed

    @property
    def rows(self) -> int:
        """Rows of a window: its transitions and the final observation."""
        return self.horizon + 1

    def build(self, spec: DataSpec) -> None:
        """Packing for the data's spaces and a denoiser over its windows."""
        self.packing = Packing(spec, self.squash, self.ends)
        self.return_scale = ZScore(1)
        completion = CompletionNet(self._network())
        self.gaussian = GaussianResidual(completion, (self.rows, self.packing.dim))
        self.denoiser = Denoiser(self.gaussian, EDM(), EDMPrediction(1.0))

    def _network(self) -> nn.Module:
        return make_net(self.net, 3 * self.packing.dim, 1, self.rows)

    def statistics(self, episodes: Episodes) -> None:
        """Fit the normalisers of the packed fields and of returns-to-go."""
        self.packing.fit(episodes)
        self.return_scale.fit(episodes.returns_to_go().float()[:, None])
        self._fit_gaussian(episodes)

    def take_up(self, episodes: Episodes) -> None:
        """Also refuse data that vary where those of the first fit never did.

        Raises:
            ConfigurationError: they do.
        """
        super().take_up(episodes)
        self.packing.require_known(episodes)

    def _fit_gaussian(self, episodes: Episodes) -> None:
        """Mean and covariance of the windows; a warning where they are too few to tell it."""
        windows = self.packing.windows(episodes, self.rows)
        numbers = self.rows * int(self.packing.varies.sum())
        if len(windows) <= numbers:
            warnings.warn(
                f"{len(windows)} windows do not span the {numbers} numbers in each of them: samples stay within what"
                " these windows span, and losses on held-out ones tell little. Take a shorter horizon, or more data.",
                stacklevel=2,
            )
        index = torch.arange(len(windows))
        if len(index) > MOST_WINDOWS:
            index = index[torch.randperm(len(index), generator=generator(self.seed, "gaussian"))[:MOST_WINDOWS]]
        self.gaussian.fit(windows.fetch(index).rows[..., : self.packing.dim])

    def sampler(self, episodes: Episodes) -> WindowSampler:
        """Windows of packed rows, the normalised return-to-go beside each."""
        to_go = torch.zeros(episodes.num_transitions + len(episodes), 1, device=self.device)
        returns = episodes.returns_to_go().float()[:, None].to(self.device)
        to_go[episodes.observation_rows] = self.return_scale.normalize(returns)
        return self.packing.windows(episodes, self.rows, to_go)

    def training_step(self, batch: Windows, batch_index: int) -> Tensor:
        """Denoising loss of one batch of windows."""
        loss = self.loss(batch.rows, self.noise_generator(batch_index))
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Windows, batch_index: int) -> None:
        """The same loss on held-out episodes, with the same noise at every pass."""
        self.log("val_loss", self.loss(batch.rows, self.noise_generator(batch_index)), prog_bar=True)

    def loss(self, window: Tensor, stream: torch.Generator) -> Tensor:
        """EDM loss over the free entries of (B, R, D + 3) windows; what does not count is not seen either."""
        dim = self.packing.dim
        counts = (window[..., OBSERVED:] > 0).repeat_interleave(  # (B, R, D)
            torch.tensor([self.packing.action.start, dim - self.packing.action.start], device=window.device), dim=-1
        )
        counts &= self.packing.varies
        x0, to_go = torch.where(counts, window[..., :dim], 0.0), window[:, 0, dim : dim + 1]
        shape = (len(x0), self.rows, dim)
        state, achieved = self.packing.state, self.packing.achieved
        pattern = draw_patterns(shape, state, achieved, self.overlap, stream, self.completion)
        pattern = pattern.to(x0.device) & counts
        dropped = (torch.rand(len(x0), 1, generator=stream) < self.return_dropout).to(x0.device)
        t = self.levels.sample(len(x0), stream).to(x0.device)
        eps = torch.randn(shape, generator=stream).to(x0.device)
        context = x0 + self._context_noise(shape, stream).to(x0.device)
        given = Given(torch.where(pattern, context, torch.nan), torch.where(dropped, torch.nan, to_go))
        return self.denoiser.loss(x0, t, eps, given, counts & ~pattern).mean()

    def _context_noise(self, shape: tuple[int, int, int], stream: torch.Generator) -> Tensor:
        """(B, R, D) noise for given entries, of its own strength in each window (Ho et al. 2022, arXiv 2106.15282)."""
        strength = self.context_noise * torch.rand(shape[0], 1, 1, generator=stream)
        return strength * torch.randn(shape, generator=stream)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())

    def configure_callbacks(self) -> list[Callback]:
        """Averaged weights, and a look at whether they copy."""
        return [EMA(self.ema_decay), CopyingCheck()]

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
        steer: Steer | None = None,
    ) -> Episodes:
        """Episodes of ``length`` transitions (a window's horizon by default), stitched from windows where longer.

        Args:
            block, conditions, length, batch_size: as for every method.
            steer: leads every window while it is denoised.

        Raises:
            ConditionError: an unknown condition, or one that the model was not trained for (``completion``,
                ``return_dropout``), a wrong shape, a start or goal outside the observation space, a goal for an episode
                that is not one window long, or known entries for one that is longer.
            ConfigurationError: a length below one, or above the horizon of a method without overlap.
        """
        conditions = conditions or Conditions()
        conditions.require(type(self).__name__, set(self.understands), block.size)
        length = self.horizon if length is None else length
        self._check_asked(conditions)
        self._check_length(conditions, length)
        self._check_trained(conditions, length)
        noise = BlockNoise(block.seed, block.index)
        parts = []
        for part in block.parts(batch_size):
            rows = self._rollout(noise.part(part.start), part.stop - part.start, conditions.rows(part), length, steer)
            goals = conditions.goal[part] if conditions.goal is not None else None
            parts.append(self.packing.unpack(rows[:, : length + 1], goals))
        return concatenate(parts)

    def _check_asked(self, conditions: Conditions) -> None:
        """Refuse by name a wrong shape, or a state or goal outside the observation space."""
        packing = self.packing
        achieved = SpaceCodec(packing.spec.observation_space, packing.layout.achieved)
        shapes = {"known": (self.rows, packing.dim), "start": (packing.state.stop,), "goal": (achieved.dim,)}
        for name, value in conditions.given().items():
            _expect(name, value, shapes.get(name, ()))
        for name, codec in (("start", packing.state_codec), ("goal", achieved)):
            if name in conditions.given():
                codec.require_inside(conditions.given()[name], name)

    def _check_length(self, conditions: Conditions, length: int) -> None:
        require_length(length)
        if length > self.horizon and self.overlap == 0:
            raise ConfigurationError(
                f"Episodes of {length} transitions are longer than one window of {self.horizon}, and this"
                f" {type(self).__name__} was fitted without an overlap to continue windows by."
            )
        if length != self.horizon and conditions.goal is not None:
            raise ConditionError(
                f"The condition 'goal' is where a window of {self.horizon} transitions ends: ask for episodes of that"
                f" length, not of {length}."
            )
        if length > self.horizon and conditions.known is not None:
            raise ConditionError(
                f"The condition 'known' covers one window: ask for at most {self.horizon} transitions, not {length}."
            )

    def _check_trained(self, conditions: Conditions, length: int) -> None:
        """Refuse by name what training never showed; warn where windows are to go on from others regardless."""
        given, who = conditions.given(), type(self).__name__
        if "returns" in given and self.return_dropout >= 1:
            raise ConditionError(
                f"This {who} knows nothing of the condition 'returns', which its return_dropout of"
                f" {self.return_dropout:g} withheld in training: fit it with a lower one, such as 0.25."
            )
        if self.completion > 0:
            return
        if named := [name for name in ("start", "goal", "known") if name in given]:
            raise ConditionError(
                f"This {who} was fitted with completion {self.completion:g}, only ever to be sampled freely, and knows"
                f" nothing of the condition '{named[0]}': fit it with a higher completion, such as 0.25."
            )
        if length > self.horizon:
            warnings.warn(
                f"This {who} was fitted with completion {self.completion:g} and never learned to go on from another"
                " window, as episodes longer than its horizon ask of it: fit it with a higher one, such as 0.25.",
                stacklevel=3,
            )

    def _rollout(
        self, noise: BlockNoise, batch: int, conditions: Conditions, length: int, steer: Steer | None
    ) -> Tensor:
        """(B, R', D) normalised rows, R' > length: windows that each go on from the last rows of the one before."""
        given = self._given(batch, conditions)
        rows = self._window(noise, 0, given, steer)
        window = 1
        while rows.shape[1] < length + 1:
            entries = torch.full_like(given.entries, torch.nan)
            entries[:, : self.overlap] = rows[:, -self.overlap :]
            returns = self._return_left(conditions, rows[:, : -self.overlap])
            fresh = self._window(noise, window, Given(entries, returns), steer)
            rows, window = torch.cat((rows, fresh[:, self.overlap :]), dim=1), window + 1
        return rows

    def _window(self, noise: BlockNoise, window: int, given: Given, steer: Steer | None) -> Tensor:
        """One batch of windows (B, R, D) that keep the given entries."""
        start = window * (self.sampling.steps + 1)  # every window has its own range of noise steps
        eps = noise(start, given.entries)
        denoiser = self.led(given, steer)
        rows = self.sampling(
            Inpaint(denoiser, given.entries, noise=eps), eps, given, lambda step, like: noise(start + step, like)
        )
        return torch.where(self.packing.varies | ~given.entries.isnan(), rows, 0.0)  # constant columns stay constant

    def led(self, given: Given, steer: Steer | None = None) -> Estimator:
        """The denoiser, led to the returns where some are given, and by ``steer``, who is shown what else is given.

        The network's own estimates of given entries mean nothing, for its loss leaves them out.
        """
        plain = self.guidance == 1.0 or bool(given.returns.isnan().all())
        led = self.denoiser if plain else ClassifierFree(self.denoiser, self.guidance, without_returns, joined)
        if steer is None:
            return led
        return steer(led if bool(given.entries.isnan().all()) else Inpaint(led, given.entries))

    @torch.no_grad()
    def watch(self, noise: BlockNoise, batch: int, look: Callable[[Tensor, float], None], frames: int = 24) -> None:
        """Denoise a batch of free windows by Euler's method and ``look`` at (B, R, D) and sigma at every step."""
        free = self._given(batch, Conditions())
        grid = karras(frames, self.sampling.sigma_min, self.sampling.sigma_max, self.sampling.rho)
        x = noise(0, free.entries) * float(grid[0])
        for here, there in pairwise(grid):
            look(x, float(here))
            x = euler(self.denoiser, x, torch.stack((here, there)), free)
        look(x, 0.0)

    def _given(self, batch: int, conditions: Conditions) -> Given:
        """Conditions in the data's units as normalised entries of the first window."""
        packing = self.packing
        raw = torch.full((batch, self.rows, packing.dim), torch.nan)
        if conditions.known is not None:
            raw[:] = conditions.known
        if conditions.start is not None:
            raw[:, 0, packing.state] = conditions.start.float()
        if conditions.goal is not None:
            raw[:, -1, packing.achieved] = conditions.goal.float()
        entries = packing.normalizer.normalize(raw.to(self.device))
        returns = torch.full((batch, 1), torch.nan, device=self.device)
        if conditions.returns is not None:
            returns = self.return_scale.normalize(conditions.returns.float().to(self.device)[:, None])
        return Given(entries, returns)

    def _return_left(self, conditions: Conditions, rows: Tensor) -> Tensor:
        """(B, 1) what is left of the wanted return after the rewards in ``rows``; NaN where none was wanted."""
        if conditions.returns is None:
            return torch.full((len(rows), 1), torch.nan, device=rows.device)
        earned = self.packing.normalizer.denormalize(rows)[..., self.packing.reward].sum(1)
        return self.return_scale.normalize((conditions.returns.float().to(rows.device) - earned)[:, None])


def make_net(factory: Callable[..., nn.Module], dim: int, condition_dim: int, rows: int) -> nn.Module:
    """The network of ``factory`` for rows of ``dim`` entries; told the number of rows if it asks for it."""
    target = factory.func if isinstance(factory, partial) and not factory.args else factory
    if isinstance(factory, partial) and factory.args:  # jsonargparse's instantiator, the class is among its arguments
        target = next(part for part in factory.args if inspect.isclass(part))
    if "rows" in inspect.signature(target).parameters:
        return factory(dim, condition_dim, rows=rows)
    return factory(dim, condition_dim)


def _expect(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if value.shape[1:] != shape:
        wanted = ", ".join(("B", *map(str, shape)))
        raise ConditionError(f"The condition '{name}' must be ({wanted}), not {tuple(value.shape)}.")
