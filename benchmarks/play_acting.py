"""How the policies of play act in the benchmarks: chosen on tuning seeds, and apart from how they are fitted."""

from __future__ import annotations

from typing import Any

from genrl.data.policy import Policy
from genrl.diffusion.sampling import FlowSampling, Sampling

EXECUTE = 8
TOGETHER = 5
"""Environments planned for in one call; scores differ by rounding from those of one by one, and come sooner."""
STEPS = 3
SAMPLING = Sampling(solver="dpmpp_2m", steps=STEPS, sigma_min=0.05, sigma_max=3.0, spacing="karras", rho=7.0)
ACTING: dict[str, dict[str, Any]] = {
    "beso": {"sampling": SAMPLING},
    "flow": {"sampling": FlowSampling(solver="euler", steps=STEPS, bend=2.0)},
}
"""What else the policy of a method is given; nothing for those that do not denoise."""
TRIED = {"beso": 42, "flow": 11, "sequence_bc": 3, "latent_plan": 1, "behavior_transformer": 5}
"""Settings looked at on tuning seed 1000, on ``pusht`` alone; most were ways to sample one of a few fits."""


def acting(name: str, fitted: Any) -> Policy:
    """The policy of a fitted learner of ``benchmarks.play_models.LEARNERS``."""
    return fitted.policy(execute=EXECUTE, together=TOGETHER, **ACTING.get(name, {}))
