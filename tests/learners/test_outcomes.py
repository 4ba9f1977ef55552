"""What the energy is shown of outcomes: against least squares, and against information that is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from genrl.data.trajectories import Trajectories
from genrl.learners.energy import Energy, contrast
from genrl.learners.outcomes import AsTheyCame, Outcomes, Surprises
from genrl.nets.mlp import MLP
from genrl.nets.trajectories import Present

ROWS = 512


def walk(seed: int) -> tuple[Trajectories, torch.Tensor, torch.Tensor]:
    """Single steps s' = s + a + luck with reward 0, what is known of them, (s, a), and a hint at the luck."""
    generator = torch.Generator().manual_seed(seed)
    s, a = 4 * torch.rand(ROWS, 1, generator=generator) - 2, torch.rand(ROWS, 1, generator=generator)
    luck, error = 0.1 * torch.randn(2, ROWS, 1, generator=generator)
    nothing, mask = torch.zeros(ROWS, 1), torch.ones(ROWS, 1, dtype=torch.bool)
    tau = Trajectories(s[:, None], a[:, None], nothing, (s + a + luck)[:, None], nothing[:, 0], mask)
    return tau, torch.cat((s, a), 1), luck + error


def test_what_came_is_shown_as_it_came():
    tau, known, _ = walk(0)
    shown = AsTheyCame(2, 2, nn.Linear)(tau, known)
    assert torch.equal(shown.seen, torch.cat((tau.rewards, tau.next_states[:, 0]), 1))
    assert float(shown.error) == 0


def expecting(tau: Trajectories, known: torch.Tensor) -> Surprises:
    """What least squares let expect."""
    outcomes = Surprises(2, 2, nn.Linear)
    fit = torch.optim.LBFGS(outcomes.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        fit.zero_grad()
        error = outcomes(tau, known).error
        error.backward()
        return error

    fit.step(closure)
    return outcomes


def test_surprises_are_the_standardised_residuals_of_least_squares():
    tau, known, _ = walk(0)
    shown = expecting(tau, known)(tau, known)
    changed = torch.cat((tau.rewards, tau.next_states[:, 0] - tau.states[:, 0]), 1)
    design = np.concatenate([known.numpy(), np.ones((ROWS, 1))], 1)
    residual = changed.numpy() - design @ np.linalg.lstsq(design, changed.numpy(), rcond=None)[0]
    np.testing.assert_allclose(shown.seen[:, 1], residual[:, 1] / residual[:, 1].std(), atol=1e-3)
    assert not shown.seen.requires_grad
    explained = residual[:, 1].var() / changed[:, 1].numpy().var()
    assert float(shown.error.detach()) == pytest.approx(explained / 2, abs=1e-4)  # the reward is always as expected


def found(outcomes: Outcomes, told: bool) -> float:
    """Nats that a learned energy finds in a latent that hints at luck, or tells nothing."""
    torch.manual_seed(0)
    energy = Energy(1, 1, 1, lambda i, o: MLP(i, o, width=64, layers=2), Present)
    fit = torch.optim.Adam(energy.parameters(), 3e-3)
    estimates = []
    for step in range(400):
        tau, known, hint = walk(step)
        seen = outcomes(tau, known).seen
        estimate = contrast(energy(seen[:128], told * 10 * hint[None, :128], known[:128])).mean()
        fit.zero_grad()
        (-estimate).backward()
        fit.step()
        estimates.append(float(estimate.detach()))
    return float(np.mean(estimates[-150:]))


def test_surprises_tell_what_latents_know_of_luck_where_the_state_tells_outcomes_apart():
    """log(2) / 2 nats of luck, beside those of knowing where in a wide space one stands."""
    surprises = expecting(*walk(1000)[:2])
    ignorant, knowing = (found(surprises, told) for told in (False, True))
    assert ignorant == pytest.approx(0, abs=0.05)
    assert knowing == pytest.approx(math.log(2) / 2, abs=0.06)
    assert found(AsTheyCame(2, 2, nn.Linear), False) > 1.5
