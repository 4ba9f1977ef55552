"""What latents tell of an environment's luck, by counting: where states, actions and latents are some of a few."""

from __future__ import annotations

import torch
from torch import Tensor


def conditional_information(q: Tensor, causes: Tensor, outcomes: Tensor) -> Tensor:
    """() I(outcome; z | cause) in nats, for N draws with the probabilities q (N, Z) that each gives to latents.

    Args:
        q: (N, Z).
        causes, outcomes: (N,) int64 from 0.
    """
    many = int(causes.max()) + 1, int(outcomes.max()) + 1
    joint = torch.zeros(many[0] * many[1], q.shape[1], dtype=torch.float64)
    joint = joint.index_add(0, causes * many[1] + outcomes, q.double()).view(*many, -1) / len(q)  # (C, O, Z)
    given = joint.sum((1, 2), keepdim=True), joint.sum(2, keepdim=True), joint.sum(1, keepdim=True)
    terms = torch.special.xlogy(joint, joint * given[0]) - torch.special.xlogy(joint, given[1] * given[2])
    return terms.sum()


def dealt_anew(causes: Tensor, outcomes: Tensor, generator: torch.Generator) -> Tensor:
    """(N,) the same outcomes, shuffled among draws of the same cause: what is counted of these is an error."""
    shuffled = torch.randperm(len(causes), generator=generator)
    places, taken = causes.argsort(stable=True), shuffled[causes[shuffled].argsort(stable=True)]
    return torch.empty_like(outcomes).index_copy(0, places, outcomes[taken])
