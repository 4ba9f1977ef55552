"""BESO and flow policies: what their parts must equal, and that they learn what one mean cannot say."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from toy_data import random_walks
from toy_sequences import NET, act, long_ways, two_ways

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import EDMPrediction
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.sampling import FlowSampling, Sampling
from genrl.diffusion.scheduler_sampling import SchedulerSampling
from genrl.diffusion.schedules import LogNormal
from genrl.diffusion.spacings import SPACINGS
from genrl.learners.beso import BESO
from genrl.learners.flow_policy import FlowPolicy
from genrl.nets.policy_transformer import Observed
from genrl.training.fit import fit

KINDS = {"beso": BESO, "flow": FlowPolicy}


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    make = partial(KINDS[request.param], net=NET, history=1, goal_dropout=0.5, lr=2e-3, ema_decay=0.99)
    return fit(make(), two_ways(), 600, batch_size=128, val_fraction=0.0, progress=False)


def test_without_a_goal_both_ways_are_taken(fitted):
    actions = act(fitted.policy(together=200), 200)
    assert (np.abs(np.abs(actions) - 0.5) < 0.2).mean() > 0.75  # in three steps some end between the two
    assert 0.3 < (actions > 0).mean() < 0.7


@pytest.mark.parametrize("way", [-0.5, 0.5])
def test_a_goal_decides_the_way(fitted, way):
    actions = act(fitted.policy(together=100), 100, way)
    assert (np.abs(actions - way) < 0.2).mean() > 0.95


def test_no_goal_is_guidance_of_weight_zero(fitted):
    free = act(fitted.policy(), 20)
    np.testing.assert_array_equal(act(fitted.policy(guidance=0.0), 20, 0.5), free)


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_guidance_mixes_two_branches_as_the_formula_says(fitted, weight):
    one = FlowSampling(steps=1) if isinstance(fitted, FlowPolicy) else Sampling("euler", 1, 1.0, 1.0)
    observed = Observed(torch.zeros(6, 1, 1), torch.full((6, 1, 1), 1.0))
    past, noise = torch.zeros(6, 0, 1), BlockNoise(3, 0)
    plan = partial(fitted.plan, observed, past, noise, sampling=one)
    conditional, free = plan(guidance=1.0), plan(guidance=0.0)
    torch.testing.assert_close(plan(guidance=weight), free + weight * (conditional - free), atol=1e-5, rtol=1e-5)


def test_every_solver_and_grid_runs_on_one_model(fitted):
    if isinstance(fitted, FlowPolicy):
        choices = [FlowSampling(name, 8) for name in ("euler", "ancestral", "heun", "lms", "dpmpp_2m")]
    else:
        choices = [Sampling("ddim", 20, 0.005, 1.0, spacing=name) for name in SPACINGS]
        choices += [Sampling(name, 20, 0.005, 1.0) for name in ("ancestral", "heun", "lms", "dpmpp_2m", "dpmpp_2m_sde")]
    for sampling in choices:
        actions = act(fitted.policy(together=50, sampling=sampling), 50, 0.5)
        assert (np.abs(actions - 0.5) < 0.25).mean() > 0.8, sampling


def test_a_policy_may_differ_from_the_learner_in_some_settings_of_its_sampler(fitted):
    other = replace(fitted.sampling, steps=7)
    np.testing.assert_array_equal(
        act(fitted.policy(sampling={"steps": 7}), 5, 0.5), act(fitted.policy(sampling=other), 5, 0.5)
    )
    wrong = Sampling() if isinstance(fitted, FlowPolicy) else FlowSampling()
    for sampling, told in (("heun", "'heun' samples nothing"), (wrong, "solves on the path"), ({"step": 3}, "steps")):
        with pytest.raises(ConfigurationError, match=told):
            fitted.policy(sampling=sampling)
    if isinstance(fitted, BESO):
        with pytest.warns(UserWarning, match="acts from noise of 80 and is trained on none above 1"):
            fitted.policy(sampling={"sigma_max": 80.0})


def test_times_beyond_the_path_are_refused():
    with pytest.raises(ConfigurationError, match="times from 0 to 1, and some are above 1"):
        FlowPolicy(levels=LogNormal())


def test_a_warm_start_stays_with_the_last_plan():
    wide = {"sampling": Sampling("ddim", 10, 0.005, 3.0), "sigma_max": 3.0}
    flip = fit(BESO(net=NET, history=1, chunk=2, goal_length=0, lr=2e-3, **wide), long_ways(), 400, progress=False)
    policy = flip.policy(execute=1, together=200, warm=0.4)
    policy.reset(np.ones(200, bool), np.arange(200))
    zeros = np.zeros((200, 1), np.float32)
    actions = np.stack([policy.act(zeros)[:, 0] for _ in range(4)])
    kept = (np.sign(actions[1:]) == np.sign(actions[0])).mean()
    fresh = flip.policy(execute=1, together=200)
    fresh.reset(np.ones(200, bool), np.arange(200))
    actions = np.stack([fresh.act(zeros)[:, 0] for _ in range(4)])
    assert kept > 0.65
    assert (np.sign(actions[1:]) == np.sign(actions[0])).mean() < 0.6


class Spy(torch.nn.Module):
    """Keeps what the network was given."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, []

    def forward(self, x, noise, condition):
        self.seen.append((x.clone(), noise.clone()))
        return self.net(x, noise, condition)


def test_past_actions_are_noised_as_in_training():
    """At each call the known actions are a + sigma eps scaled by c_in, sigma being that of the call."""
    learner = fit(BESO(net=NET, history=3, chunk=2), random_walks(), 5, progress=False)
    learner.model.net = spy = Spy(learner.model.net)
    past = torch.tensor([[[0.3, -0.2], [0.1, 0.9]]])
    observed = Observed(torch.zeros(1, 3, 2), torch.zeros(1, 1, 2))
    noise = BlockNoise(0, 0)
    learner.plan(observed, past, noise)
    eps = noise(0, torch.empty(1, 4, 2))[:, :2]
    assert len(spy.seen) == 3
    for scaled, told in spy.seen:
        sigma = (4 * told[0]).exp()
        into = (sigma**2 + learner.sigma_data**2).rsqrt()
        torch.testing.assert_close(scaled[:, :2], into * (past + sigma * eps), atol=1e-5, rtol=1e-4)


def test_the_loss_is_that_of_the_actions_that_there_are():
    learner = BESO(net=NET, history=2, chunk=3, goal_dropout=0.0)
    walks = random_walks()
    learner.prepare(walks)
    learner.eval()
    batch = learner.sampler(walks).fetch(torch.arange(20), torch.Generator().manual_seed(0))
    assert not batch.mask.all()
    found = learner.loss(batch, torch.Generator().manual_seed(5))["loss"]
    generator = torch.Generator().manual_seed(5)
    sigma = learner.times.sample(20, generator)[:, None, None]
    eps = torch.randn(batch.actions.shape, generator=generator)
    sd, x = learner.sigma_data, batch.actions + sigma * eps
    skip, out, into = sd**2 / (sigma**2 + sd**2), sigma * sd * (sigma**2 + sd**2).rsqrt(), (sigma**2 + sd**2).rsqrt()
    output = learner.model.net(into * x, sigma.flatten().log() / 4, Observed(batch.states, batch.goals))
    errors = (output - (batch.actions - skip * x) / out).square().mean(-1)
    torch.testing.assert_close(found, errors[batch.mask].mean())


def test_sigma_data_is_estimated_and_a_given_one_that_does_not_fit_is_told():
    walks = random_walks()
    learner = BESO(net=NET)
    learner.prepare(walks)
    scaled = learner.scale.normalize(walks.actions[""].float())
    assert learner.sigma_data == pytest.approx(float(scaled.std(correction=0)), rel=1e-5)
    assert learner.model.prediction == EDMPrediction(learner.sigma_data)
    with pytest.warns(UserWarning, match="sigma_data is given as 0.1"):
        BESO(net=NET, sigma_data=0.1).prepare(walks)
    learner.prepare(two_ways(5))  # anew, of other data
    fresh = BESO(net=NET)
    fresh.prepare(two_ways(5))
    assert learner.sigma_data == fresh.sigma_data


def test_noise_that_it_was_never_trained_on_is_told():
    with pytest.warns(UserWarning, match="from noise of 1 and is trained on none above 0.05"):
        BESO(net=NET, sigma_max=0.05)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_guidance_without_goal_dropout_is_refused(make):
    with pytest.raises(ConfigurationError, match=r"guidance 1.5 .* fit it with goal_dropout 0.1"):
        make(net=NET, goal_dropout=0.0, guidance=1.5)
    make(net=NET, goal_dropout=0.0, goal_length=0, guidance=1.5)  # there is no goal to weigh
    learner = make(net=NET, goal_dropout=0.0)
    learner.prepare(two_ways(5))
    learner.policy()
    with pytest.raises(ConfigurationError, match="guidance 0"):
        learner.policy(guidance=0.0)
    for weight in (np.nan, np.inf):
        with pytest.raises(ConfigurationError, match="is a finite number, not"):
            learner.policy(guidance=weight)


@pytest.mark.parametrize(("whole", "part", "expected"), [(0.3, 0.0, 0.3), (0.0, 0.2, 0.2)])
def test_goals_are_withheld_as_often_as_asked(whole, part, expected):
    learner = BESO(net=NET, goal_dropout=whole, element_dropout=part)
    missing = learner.withheld(torch.zeros(20_000, 1, 2), torch.Generator().manual_seed(0)).isnan()
    assert float(missing.float().mean()) == pytest.approx(expected, abs=0.01)
    together = bool((missing.all(-1) == missing.any(-1)).all())
    assert together == (part == 0)


@pytest.mark.parametrize("warm", [1.2, -0.1, np.nan])
def test_a_warm_start_takes_a_share_of_the_steps(fitted, warm):
    with pytest.raises(ConfigurationError, match="warm must be from 0 to 1"):
        fitted.policy(warm=warm)
    with pytest.raises(ConfigurationError, match="to begin from a plan, sample with Sampling"):
        fitted.policy(warm=0.5, sampling=SchedulerSampling("EDMEuler"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sigma_min": 1.0, "sigma_max": 0.005}, "from a low one to a higher one, not from 1.0 to 0.005"),
        ({"sigma_min": 0.0}, "noise levels of a LogLogistic"),
        ({"sigma_max": np.inf}, "not from 0.005 to inf"),
        ({"sigma_data": 0.0}, "sigma_data is a standard deviation above 0"),
        ({"sigma_data": -1.0}, "sigma_data is a standard deviation above 0"),
    ],
)
def test_noise_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        BESO(net=NET, **settings)
