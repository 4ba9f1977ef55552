import json
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.guidance_frontier import BENCHMARK, aggregate, log_ratio, picture
from benchmarks.mixtures import Mixture, residual
from benchmarks.results import Results
from benchmarks.runner import result_file
from genrl.evaluation.likelihood import policy_likelihood
from genrl.learners.bc import BC
from genrl.learners.td3bc import TD3BC
from genrl.methods.imagination import Imagination
from genrl.nets.mlp import MLP
from genrl.synthesis.generate import sample
from genrl.training.fit import fit
from tests.methods.toy_methods import WORLD_MODEL, linear

SMALL = partial(MLP, width=16)
ERRORS = {"error_90": 3.0, "reward_error": 0.1, "impossible": 0.0, "hidden": 0.0, "transitions": 64.0}


def exponential(likelihoods, factor=1.0):
    """Error that doubles with every nat: a straight line in its logarithm, whatever points it is drawn through."""
    likelihoods = np.asarray(likelihoods, dtype=float)
    return np.stack((likelihoods, factor * 2.0**likelihoods), axis=1)


def test_parallel_curves_differ_by_their_factor_wherever_they_are_sampled():
    ours, theirs = exponential([-4, -3.5, -1], 0.25), exponential([-2, -3, 0.5])
    assert log_ratio(ours, theirs) == pytest.approx(np.log(0.25))
    assert log_ratio(theirs, ours) == pytest.approx(np.log(4))


def test_only_the_common_range_counts():
    ours = np.array([[0, 1.0], [1, 1.0], [2, 100.0]])
    theirs = np.array([[-5, 1e-6], [0.5, 2.0], [1, 2.0]])
    from_half = np.log(1 / 2.0)
    below = np.interp([0.0], [-5, 0.5], np.log([1e-6, 2.0]))[0]
    assert log_ratio(ours, theirs) == pytest.approx(0.5 * from_half + 0.5 * (-(below + np.log(2.0)) / 2))


def test_curves_without_a_common_range_give_nothing():
    assert np.isnan(log_ratio(exponential([-3, -2]), exponential([-1, 0])))
    assert np.isnan(log_ratio(exponential([-3, -2]), exponential([-2, 0])))


points = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 10)), min_size=2, max_size=8, unique_by=lambda p: p[0])


@given(points, points)
def test_the_mean_is_that_of_a_fine_grid(one, other):
    ours, theirs = (np.array(sorted(curve)) for curve in (one, other))
    low, high = max(ours[0, 0], theirs[0, 0]), min(ours[-1, 0], theirs[-1, 0])
    if high - low < 1e-3:
        return
    grid = low + (high - low) * (np.arange(20_000) + 0.5) / 20_000
    apart = np.interp(grid, ours[:, 0], np.log(ours[:, 1])) - np.interp(grid, theirs[:, 0], np.log(theirs[:, 1]))
    assert log_ratio(np.array(one), np.array(other)) == pytest.approx(apart.mean(), abs=2e-3)


def made_up(gap=0.0):
    """Every planned cell done: our errors half of theirs at equal likelihood; likelihoods ``gap`` apart."""
    done = {}
    for cell in BENCHMARK.cells:
        step = cell.settings.get("scale", 0) / 10 if cell.arm == "guided" else cell.settings.get("share", 0) + gap
        error = 2.0**step * (0.5 if cell.arm == "guided" else 1.0) * (0.0 if cell.arm == "real" else 1.0)
        done[cell] = ERRORS | {"likelihood": step, "squared_distance": 1 - step, "error": error}
    return Results(BENCHMARK.cells, done)


def test_the_key_is_the_ratio_over_all_seeds():
    figures = aggregate(made_up())
    for place in ("hopper", "halfcheetah"):
        assert figures[f"error_at_equal_likelihood.{place}"] == pytest.approx(0.5)
        assert figures[f"error_at_equal_likelihood_low.{place}"] == pytest.approx(0.5)
        assert figures[f"error_90_at_equal_likelihood.{place}"] == pytest.approx(1.0)
        assert figures[f"{place}.guided-0_3.likelihood"] == pytest.approx(0.03)
        assert figures[f"{place}.real.error"] == 0


def test_without_overlap_there_is_no_key():
    assert not any("at_equal" in key for key in aggregate(made_up(gap=2.0)))


def test_the_result_file_and_the_picture_take_every_setting():
    file = result_file(BENCHMARK, made_up())
    assert json.loads(json.dumps(file))["seeds"] == 5
    assert not file["preliminary"]
    assert len(picture(made_up()).axes) == 6


@pytest.fixture(scope="module")
def policies():
    data = linear()
    behaviour = fit(BC(net=SMALL), data, 100, progress=False)
    return (
        data,
        behaviour,
        fit(TD3BC(actor_net=SMALL, critic_net=SMALL, seed=1), data, 10, progress=False),
        residual(behaviour, data),
    )


def states(data):
    return data.observations[""][data.observation_rows].float()


@torch.no_grad()
def test_a_mixture_goes_from_behaviour_to_target(policies):
    data, behaviour, target, spread = policies
    columns = states(data)
    standard, uniform = target.observer.normalize(columns), torch.rand(len(columns), len(spread))

    def acts(share, drawn):
        policy = Mixture(behaviour, target, share, spread)
        return policy.decide(policy(standard), drawn)[""]

    torch.testing.assert_close(acts(1.0, uniform), target.mean(columns), atol=1e-5, rtol=0)
    low, high = (torch.from_numpy(bound) for bound in (data.action_space.low, data.action_space.high))
    torch.testing.assert_close(acts(0.0, None), behaviour.mean(columns).clamp(low, high), atol=1e-5, rtol=0)
    middle = (acts(0.0, uniform) + acts(1.0, uniform)) / 2
    torch.testing.assert_close(acts(0.5, uniform), middle, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_behaviour_is_as_far_from_its_mean_as_the_data_are(policies):
    data, behaviour, target, spread = policies
    columns = states(data)
    off = data.actions[""] - behaviour.mean(columns)
    torch.testing.assert_close(spread, off.square().mean(0).sqrt())
    policy = Mixture(behaviour, target, 0.0, spread / 100)  # far from the bounds
    uniform = torch.rand(len(columns), len(spread), generator=torch.Generator().manual_seed(0))
    drawn = policy.decide(policy(target.observer.normalize(columns)), uniform)[""]
    noise = (drawn - behaviour.mean(columns)) / (spread / 100)
    inside = behaviour.mean(columns).abs().amax(1) < 0.9
    assert noise[inside].std() == pytest.approx(1.0, abs=0.1)


def test_the_target_acts_alone_in_imagination(policies):
    data, behaviour, target, spread = policies
    dynamics = fit(WORLD_MODEL(), data, 5, progress=False)
    shares = {share: Imagination(dynamics, Mixture(behaviour, target, share, spread), 4) for share in (0.0, 0.5, 1.0)}
    far = [float(policy_likelihood(target, sample(each, 64)).squared_distances.mean()) for each in shares.values()]
    assert far[0] > far[1] > far[2]
    assert far[2] < 1e-8


def test_a_share_is_a_share(policies):
    _, behaviour, target, spread = policies
    with pytest.raises(ValueError, match=r"1\.5"):
        Mixture(behaviour, target, 1.5, spread)
