"""A policy by flow matching: BESO's network and data on straight paths from noise to actions.

Source: "Flow Matching for Generative Modeling" (Lipman et al. 2023), https://arxiv.org/abs/2210.02747, section 4.1, the
conditional optimal-transport path.
"""

from __future__ import annotations

from genrl.diffusion.denoiser import VelocityPrediction
from genrl.diffusion.path import CondOT, Path
from genrl.diffusion.sampling import FlowSampling
from genrl.diffusion.schedules import Schedule, Uniform
from genrl.learners.denoising import DenoisingPolicy
from genrl.nets.policy_transformer import PolicyNet, PolicyTransformer


class FlowPolicy(DenoisingPolicy):
    """Goal-conditioned flow policy; one step of Euler's method is one call of the network.

    Args:
        net, history, chunk, goal_length, goal_discount, goal_dropout, element_dropout, guidance: see ``BESO``.
        sampling: how actions are drawn by default; ``policy`` takes any other on this path.
        levels: times of training, from 0 (data) to 1 (noise).
        lr, weight_decay, ema_decay, seed: see ``BESO``.

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
        sampling: FlowSampling = FlowSampling(),  # noqa: B008 (frozen)
        levels: Schedule = Uniform(),  # noqa: B008 (frozen)
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.net, self.history, self.chunk, self.goal_length = net, history, chunk, goal_length
        self.goal_discount, self.goal_dropout, self.element_dropout = goal_discount, goal_dropout, element_dropout
        self.guidance, self.sampling, self.levels = guidance, sampling, levels
        self.lr, self.weight_decay, self.ema_decay, self.seed = lr, weight_decay, ema_decay, seed
        self.require_ranges()

    @property
    def path(self) -> Path:
        """x_t = (1 - t) x_0 + t eps."""
        return CondOT()

    @property
    def prediction(self) -> VelocityPrediction:
        """The velocity eps - x_0."""
        return VelocityPrediction()

    @property
    def times(self) -> Schedule:
        """As given."""
        return self.levels
