"""BESO's baselines: the mean, the latent plan and the bins, each on tasks whose answer is known."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toy_data import random_walks
from toy_sequences import NET, act, long_ways, two_ways

from genrl.diffusion.noise import BlockNoise
from genrl.learners.behavior_transformer import BehaviorTransformer, focal_loss
from genrl.learners.latent_plan import LatentPlanPolicy
from genrl.learners.sequence_bc import SequenceBC
from genrl.nets.policy_transformer import Observed
from genrl.training.fit import fit

MANY_WAYS = {"latent": partial(LatentPlanPolicy, latent=2), "bins": partial(BehaviorTransformer, bins=8)}
KINDS = {"mean": SequenceBC, **MANY_WAYS}
BRIEF = {"net": partial(NET, width=16, layers=1), "history": 1, "lr": 5e-3, "ema_decay": 0.98}


def learn(make, data, steps=200, **settings):
    return fit(make(**BRIEF, **settings), data, steps, batch_size=64, val_fraction=0.0, progress=False)


@pytest.fixture(scope="module", params=MANY_WAYS)
def many_ways(request):
    return learn(MANY_WAYS[request.param], two_ways(), goal_length=0)


def test_the_mean_of_two_ways_is_neither():
    actions = act(learn(SequenceBC, two_ways(), goal_length=0).policy(), 20)
    assert np.abs(actions).max() < 0.1
    assert np.ptp(actions) == 0  # and nothing is drawn


def test_both_ways_are_taken(many_ways):
    actions = act(many_ways.policy(together=200), 200)
    assert (np.abs(np.abs(actions) - 0.5) < 0.2).mean() > 0.9
    assert 0.35 < (actions > 0).mean() < 0.65


@pytest.mark.parametrize("kind", KINDS)
def test_a_goal_decides_the_way(kind):
    policy = learn(KINDS[kind], two_ways()).policy(together=50)
    for way in (-0.5, 0.5):
        assert (np.abs(act(policy, 50, way) - way) < 0.15).mean() > 0.95


def test_a_latent_plan_holds_for_its_chunk_and_bins_are_drawn_one_by_one():
    """Every action of a long way goes where its first went: what one plan says, and separate draws do not."""
    kept = {}
    for kind, make in MANY_WAYS.items():
        learner = learn(make, long_ways(), chunk=4, goal_length=0)
        observed = Observed(torch.zeros(200, 1, 1), torch.zeros(200, 1, 0))
        chunks = learner.eval().plan(observed, torch.zeros(200, 0, 1), BlockNoise(0, 0))  # (200, 4, 1)
        kept[kind] = float((chunks.sign() == chunks[:, :1].sign()).all(1).float().mean())
    assert kept["latent"] > 0.8
    assert kept["bins"] == pytest.approx(1 / 8, abs=0.1)


def test_the_mean_is_told_from_the_states_up_to_each_action():
    learner = SequenceBC(net=NET, history=3, chunk=2)
    walks = random_walks()
    learner.prepare(walks)
    learner.eval()
    batch = learner.sampler(walks).fetch(torch.arange(30), torch.Generator().manual_seed(0))
    assert not batch.mask.all()
    means = learner.model(None, None, Observed(batch.states, batch.goals))
    found = learner.loss(batch, torch.Generator())["loss"]
    torch.testing.assert_close(found, F.mse_loss(means[batch.mask], batch.actions[batch.mask]))


def test_a_plan_is_the_priors_draw_decoded():
    """The bound: error of the posterior's decoding plus beta times the divergence, and the prior knows no actions."""
    learner = LatentPlanPolicy(net=NET, history=2, chunk=3, latent=3, beta=0.1)
    walks = random_walks()
    learner.prepare(walks)
    learner.eval()
    batch = learner.sampler(walks).fetch(torch.arange(20), torch.Generator().manual_seed(0))
    observed = Observed(batch.states, batch.goals)
    posterior, prior = learner.model.recognised(batch.actions, observed), learner.model.proposed(observed)
    told = learner.loss(batch, torch.Generator().manual_seed(1))
    m, s, n, r = posterior.mean, posterior.stddev, prior.mean, prior.stddev
    divergence = ((r / s).log() + (s**2 + (m - n) ** 2) / (2 * r**2) - 0.5).sum(1).mean()
    torch.testing.assert_close(told["divergence"], divergence)
    torch.testing.assert_close(told["loss"], told["error"] + 0.1 * divergence)
    eps = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    ahead = batch.mask[:, 1:]
    decoded = learner.model.decode(m + s * eps, observed, 4)[:, 1:]
    torch.testing.assert_close(told["error"], F.mse_loss(decoded[ahead], batch.actions[:, 1:][ahead]))
    noise = BlockNoise(0, 0)
    planned = learner.plan(observed, batch.actions[:, :1], noise)
    torch.testing.assert_close(planned, learner.model.decode(n + r * noise(0, n), observed, 4)[:, 1:])


def test_bins_are_drawn_as_often_as_their_chances_say():
    learner = BehaviorTransformer(net=NET, history=1, goal_length=0, bins=4)
    learner.prepare(two_ways())
    learner.eval().requires_grad_(False)
    torch.nn.init.normal_(learner.model.head.bias, generator=torch.Generator().manual_seed(0))
    many = Observed(torch.zeros(20_000, 1, 1), torch.zeros(20_000, 1, 0))
    logits, offsets = learner(Observed(many.states[:1], many.goals[:1]))
    actions = learner.plan(many, torch.zeros(20_000, 0, 1), BlockNoise(0, 0)).flatten()
    expected = learner.centres[:, 0] + offsets[0, 0, :, 0]
    distance = (actions[:, None] - expected).abs()
    assert float(distance.min(1).values.max()) < 1e-5
    found = torch.bincount(distance.argmin(1), minlength=4) / 20_000
    torch.testing.assert_close(found, logits[0, 0].softmax(-1), atol=0.015, rtol=0)


def test_an_offset_counts_for_the_bin_of_its_action_alone():
    learner = BehaviorTransformer(net=NET, history=1, goal_length=0, bins=4, offset_weight=3.0)
    ways = two_ways()
    learner.prepare(ways)
    learner.eval()
    batch = learner.sampler(ways).fetch(torch.arange(50))
    logits, offsets = learner(Observed(batch.states, batch.goals))
    focal, error = [], []
    for row in range(50):
        action = batch.actions[row, 0, 0]
        own = int((learner.centres[:, 0] - action).abs().argmin())
        chance = logits[row, 0].softmax(-1)[own]
        focal.append(-((1 - chance) ** 2) * chance.log())
        error.append((learner.centres[own, 0] + offsets[row, 0, own, 0] - action) ** 2)
    expected = torch.stack(focal).mean() + 3 * torch.stack(error).mean()
    torch.testing.assert_close(learner.loss(batch, torch.Generator())["loss"], expected)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, classes = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    logits.requires_grad_()
    loss = focal_loss(logits, classes, 0.0)
    torch.testing.assert_close(loss, F.cross_entropy(logits, classes, reduction="none"))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("focus", [0.5, 1.0, 2.0])
def test_a_class_that_is_certain_has_a_focal_gradient(focus):
    logits = torch.tensor([30.0, 0.0, 0.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(focal_loss(logits, torch.tensor(0), focus), logits)
    assert gradient.isfinite().all()
