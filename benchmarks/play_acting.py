"""How the policies of play act in the benchmarks: chosen on tuning seeds, and apart from how they are fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from genrl.data.policy import Policy
from genrl.diffusion.sampling import FlowSampling, Sampling

EXECUTE = 8
TOGETHER = 5
"""Environments planned for in one call; scores differ by rounding from those of one by one, and come sooner."""
STEPS = 3
SOLVER = "dpmpp_2m"
DRAWN = Sampling(solver=SOLVER, steps=STEPS, sigma_min=0.05, sigma_max=3.0, spacing="karras", rho=7.0)
NEAR_MEAN = Sampling(
    solver=SOLVER, steps=STEPS, sigma_min=0.5, sigma_max=10.0, spacing="karras", rho=7.0, temperature=0.0
)
"""Without noise, and never near enough to single actions of the data to take over theirs."""
SAMPLING = {"pusht": DRAWN, "cube": NEAR_MEAN, "pointmaze": DRAWN, "scene": NEAR_MEAN}
"""Of BESO. People took one of several ways in ``pusht``; the oracles of OGBench add noise to what a goal asks for."""
GUIDANCE = {"pusht": 1.0, "cube": 1.5, "pointmaze": 1.0, "scene": 1.5}
FLOW = FlowSampling(solver="euler", steps=STEPS, bend=2.0)
FLOW_SAMPLING = dict.fromkeys(SAMPLING, FLOW) | dict.fromkeys(("cube", "scene"), replace(FLOW, temperature=0.0))
TRIED = {"beso": 69, "flow": 16, "sequence_bc": 8, "latent_plan": 1, "behavior_transformer": 9}
"""Settings looked at on tuning seed 1000, on ``pusht`` and ``cube``; most were ways to sample one of a few fits."""


def acting(name: str, place: str, fitted: Any) -> Policy:
    """The policy of a fitted learner of ``benchmarks.play_models.LEARNERS``."""
    return fitted.policy(execute=EXECUTE, together=TOGETHER, **_chosen(name, place))


def _chosen(name: str, place: str) -> dict[str, Any]:
    """What else the policy of a method is given; nothing for those that do not denoise."""
    if name == "beso":
        return {"sampling": SAMPLING[place], "guidance": GUIDANCE[place]}
    if name == "flow":
        return {"sampling": FLOW_SAMPLING[place], "guidance": GUIDANCE[place]}
    return {}
