"""Policy-guided diffusion: trajectories that a target policy could have taken, from a model of other policies' data.

Source: "Policy-Guided Diffusion" (Jackson et al. 2024), https://arxiv.org/abs/2404.06356. A trajectory diffusion model
of the behaviour data is sampled under the target policy's score, grad_a log pi(a | s), on the action entries alone.
With the score of a policy cloned from the data subtracted, the data's own preference is divided out.
"""

from __future__ import annotations

import gymnasium as gym
from torch import nn

from genrl.data.errors import ConfigurationError
from genrl.data.spaces import leaf_spaces
from genrl.diffusion.guidance import Combined, Gradient
from genrl.methods.method import require_one_world
from genrl.methods.scores import PolicyScore
from genrl.methods.steered import Guidance, Steered
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion


class PolicyGuidedDiffusion(Steered):
    """Windows of ``method``, led by ``policy``.

    Args:
        method: a fitted trajectory diffusion model.
        policy: a fitted learner with ``log_prob(states, actions)`` or ``mean(states)``.
        guidance: how strongly, and where gradients are taken.
        behaviour: a learner fitted to the same data by cloning; led away from, with weight ``guidance.behaviour``.

    Raises:
        ConfigurationError: a part was never fitted, was fitted to other spaces or goals than the model, or cannot lead.
    """

    def __init__(
        self,
        method: TrajectoryDiffusion,
        policy: nn.Module,
        guidance: Guidance = Guidance(),  # noqa: B008 (frozen)
        behaviour: nn.Module | None = None,
    ) -> None:
        super().__init__()
        for agent in (policy, behaviour):
            require_guide(method, agent)
        self.policy, self.behaviour = policy, behaviour
        self.adopt(method, guidance)
        self.gradient()

    def gradient(self, continued: bool = False) -> Gradient:
        """The target policy's score, less the behaviour policy's where there is one."""
        target = PolicyScore(self.method.packing, self.policy, continued)
        if self.behaviour is None:
            return target
        away = PolicyScore(self.method.packing, self.behaviour, continued)
        return Combined([(1.0, target), (-self.guidance.behaviour, away)])


def require_guide(method: TrajectoryDiffusion, agent: object | None) -> None:
    """Refuse an agent that sees something else than ``method`` makes, or actions that nothing can lead.

    Raises:
        ConfigurationError: actions are discrete, the agent's states or goals are not in the windows, or as for
            ``require_one_world``.
    """
    if agent is None:
        return
    require_one_world(method, agent)
    model, who = type(method).__name__, type(agent).__name__
    if not all(isinstance(leaf, gym.spaces.Box) for leaf in leaf_spaces(method.packing.spec.action_space).values()):
        raise ConfigurationError(
            f"A {who} cannot lead this {model}: discrete actions have no gradient to be led along. Take the model"
            " alone, or GTA."
        )
    observer, has = getattr(agent, "observer", None), method.packing.seen
    if observer is not None and observer.dim != has:
        raise ConfigurationError(
            f"The {who} sees {observer.dim} columns of state and goal, the windows of this {model} hold {has}: fit both"
            " to the same data, and take an agent without goals, such as BC, where these have none."
        )
