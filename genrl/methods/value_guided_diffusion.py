"""Value guidance: trajectories that a critic thinks well of.

Source: "Planning with Diffusion for Flexible Behavior Synthesis" (Janner et al. 2022),
https://arxiv.org/abs/2205.09991, section 3.2: the gradient of a value moves the whole trajectory while it is denoised.
"""

from __future__ import annotations

from torch import nn

from genrl.diffusion.guidance import Gradient
from genrl.methods.policy_guided_diffusion import require_guide
from genrl.methods.scores import ValueScore
from genrl.methods.steered import Guidance, Steered
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion


class ValueGuidedDiffusion(Steered):
    """Windows of ``method``, led up the action value of ``critic``.

    Args:
        method: a fitted trajectory diffusion model.
        critic: a fitted learner with ``action_value(states, actions)``, such as TD3BC or IQL.
        guidance: how strongly, and where gradients are taken.

    Raises:
        ConfigurationError: a part was never fitted, the critic has no value, or other spaces or goals than the model.
    """

    def __init__(
        self,
        method: TrajectoryDiffusion,
        critic: nn.Module,
        guidance: Guidance = Guidance(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        require_guide(method, critic)
        self.critic = critic
        self.adopt(method, guidance)
        self.gradient()

    def gradient(self, continued: bool = False) -> Gradient:
        """Uphill."""
        return ValueScore(self.method.packing, self.critic, continued)
