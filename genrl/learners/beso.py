"""BESO: a policy for play data that denoises its actions in a few steps, towards a goal or without one.

Source: "Goal-Conditioned Imitation Learning using Score-based Diffusion Policies" (Reuss et al. 2023),
https://arxiv.org/abs/2304.02532; preconditioning of Karras et al. (2022), https://arxiv.org/abs/2206.00364.
"""

from __future__ import annotations

import math
import warnings

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import EDMPrediction
from genrl.diffusion.path import EDM, Path
from genrl.diffusion.sampling import Sampling
from genrl.diffusion.schedules import LogLogistic, Schedule
from genrl.learners.denoising import DenoisingPolicy, Solver
from genrl.nets.policy_transformer import PolicyNet, PolicyTransformer

UNFIT = 1.5
"""Factor between a given sigma_data and that of the data from which on a warning is given."""

THREE_STEPS = Sampling(solver="ddim", steps=3, sigma_min=0.005, sigma_max=1.0, spacing="linear")


class BESO(DenoisingPolicy):
    """Goal-conditioned score-based policy.

    Args:
        net: maker of the network, see ``PolicyTransformer``.
        history: T, observations that the policy looks back on.
        chunk: K, actions planned at once; 1 as published.
        goal_length: G, consecutive goals; 0 for a policy without.
        goal_discount: goals lie k steps ahead with probability proportional to ``goal_discount ** k``; None for every
            future step alike, as published.
        goal_dropout: how often training withholds the goal; 0 gives the published C-BESO, 0.1 CFG-BESO.
        element_dropout: of withholding each entry of a goal by itself, as the authors' code does.
        guidance: lambda, weight of the goal when acting.
        sampling: how actions are drawn by default; ``policy`` takes any other.
        sigma_data: standard deviation of the actions, scaled to [-1, 1]; estimated by default.
        levels: noise levels of training; by default log-logistic about sigma_data on the range of ``sigma_min`` and
            ``sigma_max``, as published.
        sigma_min, sigma_max: range of the default levels.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
        ema_decay: of the averaged weights that act.
        seed: of initial weights and training noise.

    Raises:
        ConfigurationError: a number is out of range, or there is guidance and training withholds no goals.
    """

    def __init__(
        self,
        net: PolicyNet = PolicyTransformer,
        history: int = 5,
        chunk: int = 1,
        goal_length: int = 1,
        goal_discount: float | None = None,
        goal_dropout: float = 0.1,
        element_dropout: float = 0.0,
        guidance: float = 1.0,
        sampling: Sampling = THREE_STEPS,
        sigma_data: float | None = None,
        levels: Schedule | None = None,
        sigma_min: float = 0.005,
        sigma_max: float = 1.0,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.net, self.history, self.chunk, self.goal_length = net, history, chunk, goal_length
        self.goal_discount, self.goal_dropout, self.element_dropout = goal_discount, goal_dropout, element_dropout
        self.guidance, self.sampling = guidance, sampling
        self.sigma_data, self.levels, self.sigma_min, self.sigma_max = sigma_data, levels, sigma_min, sigma_max
        self._estimated = sigma_data is None
        self.lr, self.weight_decay, self.ema_decay, self.seed = lr, weight_decay, ema_decay, seed
        self.require_ranges()

    def require_ranges(self) -> None:
        """Refuse noise levels out of range, too."""
        if self.sigma_data is not None and not 0 < self.sigma_data < math.inf:
            raise ConfigurationError(f"sigma_data is a standard deviation above 0, not {self.sigma_data}.")
        super().require_ranges()

    def require_solvable(self, sampling: Solver) -> None:
        """Refuse a solver on another path; warn of one that begins at more noise than training shows."""
        super().require_solvable(sampling)
        highest = getattr(sampling, "sigma_max", 0.0)
        if self.levels is None and highest > self.sigma_max:
            warnings.warn(
                f"This {type(self).__name__} acts from noise of {highest:g} and is trained on none above"
                f" {self.sigma_max:g}: give sampling a sigma_max of that, or train on more.",
                stacklevel=4,
            )

    def statistics(self, episodes: Episodes) -> None:
        """Fit the scales and estimate sigma_data, which a checkpoint then holds."""
        super().statistics(episodes)
        estimate = max(float(self.actions(episodes).std(correction=0)), 1e-3)
        given = None if self._estimated else self.sigma_data
        if given is not None and not 1 / UNFIT < given / estimate < UNFIT:
            warnings.warn(
                f"sigma_data is given as {given:g}, but the scaled actions have a standard deviation of {estimate:.3g};"
                " leave it out to have it estimated.",
                stacklevel=2,
            )
        self.sigma_data = estimate if given is None else given
        self.model.prediction = self.prediction

    @property
    def path(self) -> Path:
        """x_t = x_0 + t eps."""
        return EDM()

    @property
    def prediction(self) -> EDMPrediction:
        """EDM's, with the data's own sigma_data."""
        return EDMPrediction(self.sigma_data or 1.0)

    @property
    def times(self) -> Schedule:
        """Log-logistic about sigma_data unless others are given."""
        if self.levels is not None:
            return self.levels
        return LogLogistic(math.log(self.sigma_data or 1.0), 0.5, self.sigma_min, self.sigma_max)
