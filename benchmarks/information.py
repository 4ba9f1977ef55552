"""What latents tell of luck: by counting or, where states are numbers, by what they help to foresee."""

from __future__ import annotations

import torch
from torch import Tensor

from genrl.nets.mlp import MLP


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


def foreseen(told: Tensor, causes: Tensor, outcomes: Tensor, generator: torch.Generator, updates: int = 2500) -> float:
    """Of what nobody foresees of outcomes (N, D) from causes (N, C), the share that ``told`` (N, Z) lets one foresee.

    It is 1 - the ratio of the mean squared errors of two networks, with it and without, in standard deviations of each
    outcome, on the last fifth of the rows; they are fitted to the others. Below 0 where what is told only distracts.
    """
    outcomes = (outcomes - outcomes.mean(0)) / outcomes.std(0).clamp(min=1e-6)
    errors = [_error(inputs, outcomes, generator, updates) for inputs in (causes, torch.cat((causes, told), dim=1))]
    return 1 - errors[1] / errors[0]


def _error(inputs: Tensor, outcomes: Tensor, generator: torch.Generator, updates: int) -> float:
    """Mean squared error on the last fifth of the rows."""
    inputs, known = (inputs - inputs.mean(0)) / inputs.std(0).clamp(min=1e-6), 4 * len(inputs) // 5
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(0)
        net = MLP(inputs.shape[1], outcomes.shape[1], width=128, layers=2)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        rows = torch.randint(known, (256,), generator=generator)
        optimizer.zero_grad()
        (net(inputs[rows]) - outcomes[rows]).square().mean().backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        return float((net(inputs[known:]) - outcomes[known:]).square().mean())
