"""How unsure an ensemble is of a step, as MOPO measures it."""

from __future__ import annotations

import torch
from torch import Tensor

from genrl.dynamics.ensemble import GaussianEnsemble


@torch.no_grad()
def largest_deviation(ensemble: GaussianEnsemble, states: Tensor, actions: Tensor) -> Tensor:
    """(B,) max_i ||Sigma_i(s, a)||_F over all members, Sigma_i being diagonal with the standard deviations of a step.

    Targets are the change of state and the reward, in the data's own units; one that is constant in the data counts
    nothing. Source: "MOPO: Model-based Offline Policy Optimization" (Yu et al. 2020), https://arxiv.org/abs/2005.13239,
    section 4.3. What a rollout calls ``disagreement`` is another measure: how far the elites' means are apart.

    Args:
        states, actions: (B, S) and (B, A) in the data's own units.
    """
    repeated = (x.expand(ensemble.members, -1, -1) for x in (states, actions))
    _, log_variance = ensemble.predict(*repeated)  # (M, B, S + 1)
    deviation = (0.5 * log_variance).exp() * ensemble.targets.scale * ensemble.varies
    return deviation.norm(dim=-1).amax(0)
