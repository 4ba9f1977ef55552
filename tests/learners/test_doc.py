"""Dichotomy of control against closed forms: what the estimate is, whom it pulls and where, and what comes of it."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from toy_data import random_walks
from toy_futures import LEARNERS, MARKOV, Bandit, pulls, single_steps

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.evaluation.evaluate import evaluate
from genrl.learners.action_density import LARGEST_STD, SMALLEST_STD, ActionDensity
from genrl.learners.decision_transformer import DecisionTransformer
from genrl.learners.doc import DoC
from genrl.learners.energy import contrast, reversed_gradient
from genrl.learners.future_vae import FutureVAE
from genrl.learners.latents import CategoricalLatent, GaussianLatent, StraightThroughLatent
from genrl.nets.return_transformer import ReturnTransformer
from genrl.training.fit import fit

COUNTS = torch.tensor([[[6, 2], [1, 3]], [[2, 2], [3, 5]]])  # how often z, a and r come together

every_doc = pytest.mark.parametrize(
    "make", [LEARNERS[name] for name in ("doc", "doc-gaussian", "doc-surprises", "doc-sequence")]
)


def entropy(p: torch.Tensor) -> float:
    return float(torch.special.entr(p).sum())


def information(joint: torch.Tensor) -> float:
    """I(z; r | a) of a table over (z, a, r)."""
    return entropy(joint.sum(2)) + entropy(joint.sum(0)) - entropy(joint.sum((0, 2))) - entropy(joint)


def told_by_actions(joint: torch.Tensor) -> float:
    """I(a; r)."""
    pair = joint.sum(0)
    return entropy(pair.sum(0)) + entropy(pair.sum(1)) - entropy(pair)


def test_at_the_best_energy_the_estimate_is_the_mutual_information():
    """Exactly, for the rows are the distribution; at any other energy it is lower."""
    joint = COUNTS / COUNTS.sum()
    rows = torch.cat([torch.tensor([place] * int(COUNTS[tuple(place)])) for place in np.ndindex(2, 2, 2)])
    z, a, r = rows.unbind(1)
    best = (joint / joint.sum(2, keepdim=True) / joint.sum((0, 1))).log()
    f = best[z[:, None], a[:, None], r[None, :]]  # (M, M)
    found = float(contrast(f).mean())
    assert found == pytest.approx(information(joint) + told_by_actions(joint), abs=1e-6)
    assert information(joint) > 0.01
    for seed in range(5):
        other = best + 0.3 * torch.randn(best.shape, generator=torch.Generator().manual_seed(seed))
        assert float(contrast(other[z[:, None], a[:, None], r[None, :]]).mean()) < found


def test_a_reversed_gradient_changes_sign_and_strength_alone():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reversed_gradient(x, 3.0)
    assert torch.equal(x, y)
    (y * torch.tensor([1.0, 5.0])).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-3.0, -15.0]))


def batch_of(learner: DoC, episodes, count: int = 256):
    sampler = learner.sampler(episodes)
    return sampler.fetch(torch.randint(len(sampler), (count,), generator=torch.Generator().manual_seed(0))).trimmed()


def estimate(learner: DoC, batch) -> torch.Tensor:
    """With the same numbers at every call."""
    generator = torch.Generator().manual_seed(5)
    told = learner.tell(batch, generator)
    known = learner.known(told.tau)
    return learner.information(told, known, learner.outcomes(told.tau, known).seen, generator)


def learn_energy(learner: DoC, batch, steps: int) -> None:
    """The energy alone, with the posterior as it is."""
    f = torch.optim.Adam(learner.energy.parameters(), 1e-2)
    for _ in range(steps):
        f.zero_grad()
        (-estimate(learner, batch)).backward()
        f.step()


def ascend(parts: torch.nn.Module, size: float) -> None:
    """A small step along the gradients of ``parts``."""
    with torch.no_grad():
        for parameter in parts.parameters():
            if parameter.grad is not None:
                parameter += size * parameter.grad


@pytest.mark.parametrize("latent", [CategoricalLatent(4), GaussianLatent(3)], ids=["categories", "gaussians"])
def test_a_step_of_the_energy_raises_the_estimate_and_one_of_the_posterior_lowers_it(latent):
    """Along the very gradients that the loss gives."""
    for part, better in (("energy", 1), ("model", -1)):
        learner = DoC(latent, **MARKOV, beta=2.0)
        learner.prepare(pulls(0.3))
        batch = batch_of(learner, pulls(0.3))
        with torch.no_grad():
            learner.model.future.whole[-1].weight *= 20  # a posterior that tells its trajectories apart
        learn_energy(learner, batch, 10)  # what it knows, it can tell the posterior
        learner.zero_grad()
        before = estimate(learner, batch)
        (-before).backward()
        ascend(getattr(learner, part), -0.1)  # the loss goes down
        after = estimate(learner, batch)
        assert better * float(after - before) > 1e-6


@every_doc
def test_beta_scales_what_the_posterior_feels_of_the_estimate_and_not_what_the_energy_does(make):
    gradients = []
    for beta in (1.0, 3.0):
        learner = make(beta=beta)
        learner.prepare(random_walks())
        learner.eval()  # without dropout
        (-estimate(learner, batch_of(learner, random_walks(), 16))).backward()
        q, f = (next(p.grad for p in part.parameters()) for part in (learner.model.future, learner.energy))
        assert all(
            p.grad is None
            for part in ("beginning", "worth", "actor")
            for p in getattr(learner.model, part).parameters()
        )
        gradients.append((q, f))
    assert float(gradients[0][0].abs().max()) > 0
    torch.testing.assert_close(gradients[1][0], 3 * gradients[0][0])
    torch.testing.assert_close(gradients[1][1], gradients[0][1])


@every_doc
def test_prior_and_value_never_pull_the_posterior(make):
    learner = make()
    learner.prepare(random_walks())
    told = learner.tell(batch_of(learner, random_walks(), 16), torch.Generator())
    divergence = learner.losses(told, torch.Generator())["divergence"]
    for loss, own in ((divergence, learner.model.beginning), (told.error, learner.model.worth)):
        found = torch.autograd.grad(loss, list(learner.model.future.parameters()), retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in found)
        assert all(g.abs().sum() > 0 for g in torch.autograd.grad(loss, list(own.parameters())[-1:], retain_graph=True))


def test_the_divergence_pulls_the_posterior_of_the_auto_encoder():
    learner = LEARNERS["future_vae"]()
    learner.prepare(random_walks())
    told = learner.tell(batch_of(learner, random_walks(), 16), torch.Generator())
    divergence = learner.losses(told, torch.Generator())["divergence"]
    found = torch.autograd.grad(divergence, list(learner.model.future.parameters()))
    assert sum(float(gradient.abs().sum()) for gradient in found) > 0


def joint_of(learner: DoC, episodes) -> torch.Tensor:
    """(Z, 2, 2) of latent, arm and payment, under the data and the learner's posterior."""
    arms, paid = episodes.actions[""], episodes.rewards
    table = torch.zeros(learner.latent.size, 2, 2)
    sampler = learner.sampler(episodes)
    everything = sampler.fetch(torch.arange(len(sampler)))
    with torch.no_grad():
        q = learner.model.q(learner.tell(everything, torch.Generator()).tau).softmax(-1)
    for arm, pay in np.ndindex(2, 2):
        here = (arms == arm) & (paid == pay)
        table[:, arm, pay] = q[here].sum(0) / len(episodes)
    return table


def test_a_learned_energy_finds_the_information_and_the_posterior_gives_it_up():
    """A posterior that was led towards luck, by the sign of the released code; then f alone, and then both."""
    data = pulls(0.3, 2000)

    class Luck(DoC):
        """The energy and the posterior on the same side."""

        def constrained(self, z):
            return reversed_gradient(z, -self.beta)

    learner = fit(Luck(**MARKOV), data, 150, batch_size=64, val_fraction=0.0, progress=False)
    lucky = joint_of(learner, data)
    assert information(lucky) > 0.3

    learner.requires_grad_(True)
    batch = batch_of(learner, data, 500)
    learn_energy(learner, batch, 40)
    told = information(lucky) + told_by_actions(lucky)
    assert float(estimate(learner, batch)) == pytest.approx(told, abs=0.06)

    honest = fit(DoC(**MARKOV), data, 300, batch_size=64, val_fraction=0.0, progress=False)
    assert information(joint_of(honest, data)) < 0.05


def test_in_a_bandit_it_takes_the_better_arm_where_a_return_conditioned_policy_takes_either():
    """p = 0.2: the best arm pays 0.8, and half of the payments in the data came from the other one."""
    data, env = pulls(0.2), partial(Bandit, 0.2)
    learn = partial(fit, data=data, batch_size=64, val_fraction=0.0, progress=False)
    doc = learn(DoC(), steps=500)
    found = evaluate(doc.policy(), env, 400, seed=0, num_envs=100, deterministic=False)
    assert found.mean > 0.75
    expected = float(found.episodes.infos["predicted_value"].mean())
    assert expected == pytest.approx(found.mean, abs=0.1)
    net = partial(ReturnTransformer, width=32, layers=1, dropout=0.0)
    transformer = learn(DecisionTransformer(net=net, context=1, lr=3e-3), steps=200)
    hoped = evaluate(transformer.policy(), env, 400, seed=0, num_envs=100, deterministic=False)
    assert hoped.mean == pytest.approx(0.5, abs=0.08)


def test_the_best_latent_is_sought_among_those_with_mass():
    learner = LEARNERS["doc"]()
    learner.prepare(pulls(0.2))
    learner.eval()
    with torch.no_grad():
        last = list(learner.model.beginning.children())[-1]
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.5, 0.3, 0.19, 0.01]).log())
    policy = learner.policy(candidates=2000, least_mass=0.1)
    free = learner.policy(candidates=2000)
    followed = []
    for each in (policy, free):
        each.reset(np.ones(1, bool), np.zeros(1, int))
        each.act(np.zeros((1, 1), np.float32))
        followed.append(each.latents[0])
    values = learner.model.V(torch.eye(4), torch.zeros(4, 1) + learner.observer({"": torch.zeros(1, 1)})).detach()
    assert followed[1].argmax() == int(values.argmax())
    assert followed[0].argmax() == int(values[:3].argmax())


def test_categorical_draws_follow_their_probabilities_and_means_have_their_gradients():
    latent, logits = CategoricalLatent(3), torch.tensor([0.2, 0.5, 0.3]).log().requires_grad_(True)
    noise = torch.randn(20000, 3, generator=torch.Generator().manual_seed(0))
    z = latent.sample(logits.expand(20000, -1), noise)
    assert set(z.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(z.mean(0).detach(), logits.detach().exp(), atol=0.02, rtol=0)
    worth = torch.tensor([3.0, -1.0, 2.0])  # whose mean is 0.6 - 0.5 + 0.6
    exact = torch.autograd.grad((logits.softmax(-1) * worth).sum(), logits)[0]
    for kind in (CategoricalLatent(3), StraightThroughLatent(3)):
        means = kind.mean_over(logits.expand(20000, -1), noise)
        mean = (means.weight * (means.z @ worth)).sum(0).mean()
        assert float(mean) == pytest.approx(0.7, abs=0.05)
        torch.testing.assert_close(torch.autograd.grad(mean, logits)[0], exact, atol=1e-4, rtol=0)
    assert float(latent.in_use(torch.tensor([[9.0, 0, 0], [0, 9.0, 0]]) * 10)) == pytest.approx(2.0, abs=1e-3)


def test_divergences_are_those_of_torch():
    q, p = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    wanted = torch.distributions.kl_divergence(*(torch.distributions.Categorical(logits=x) for x in (q, p)))
    torch.testing.assert_close(CategoricalLatent(6).divergence(q, p), wanted)
    gaussian = GaussianLatent(3)
    draws = gaussian.sample(
        q[:1].expand(200_000, -1), torch.randn(200_000, 3, generator=torch.Generator().manual_seed(1))
    )
    mean, std = draws.mean(0), draws.std(0)
    towards = gaussian.sample(p[:1], torch.tensor([[0.0] * 3, [1.0] * 3]))
    loc, scale = towards[0], towards[1] - towards[0]
    closed = (scale.log() - std.log() + (std**2 + (mean - loc) ** 2) / (2 * scale**2) - 0.5).sum()
    torch.testing.assert_close(gaussian.divergence(q[:1], p[:1])[0], closed, atol=0.02, rtol=0.02)
    still = torch.zeros(64, 6)
    still[:, 0] = torch.linspace(-5, 5, 64)
    assert float(gaussian.in_use(still)) == 1.0


def test_gaussians_have_nowhere_to_run():
    """However far the outputs of a network go."""
    far = 1e4 * torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    middle, out = (GaussianLatent(3).sample(far, torch.full((64, 3), deviations)) for deviations in (0.0, 1.0))
    assert float(middle.abs().max()) == 1.0
    assert 0 < float((out - middle).min()) <= float((out - middle).max()) <= 1.0
    assert GaussianLatent(3).divergence(far[:32], far[32:]).isfinite().all()


def test_the_density_of_actions_is_one():
    """A Box beside a choice: integrated over one and summed over the other."""
    space = gym.spaces.Tuple([gym.spaces.Box(-9, 9, (1,), np.float64), gym.spaces.Discrete(2)])
    density = ActionDensity(space)
    assert (density.columns_dim, density.dim) == (3, 4)
    outputs = torch.tensor([[0.4, -1.0, 0.3, -0.2]])
    grid = torch.linspace(-9, 9, 4001)
    total = 0.0
    for choice in range(2):
        actions = torch.cat((grid[:, None], torch.eye(2)[choice].expand(4001, 2)), dim=1)
        total += float(torch.trapezoid((-density.nll(outputs.expand(4001, -1), actions)).exp(), grid))
    assert total == pytest.approx(1.0, abs=1e-4)
    drawn = density.columns(outputs.expand(20000, -1), torch.rand(20000, 3, generator=torch.Generator().manual_seed(0)))
    std = SMALLEST_STD + (LARGEST_STD - SMALLEST_STD) * float(torch.sigmoid(torch.tensor(-1.0)))
    assert float(drawn[:, 0].mean()) == pytest.approx(0.4, abs=0.02)
    assert float(drawn[:, 0].std()) == pytest.approx(std, abs=0.02)
    assert float(density.columns(outputs)[0, 0]) == pytest.approx(0.4)


class Heat(Callback):
    """How hot every batch is, and the held-out losses with what they are made of."""

    def __init__(self) -> None:
        self.batches, self.cold = [], []

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        self.batches.append(pl_module.heat)

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        self.cold.append(pl_module.heat == 0)


@pytest.mark.parametrize("together", [1, 4])
def test_it_cools_down_by_the_middle_of_its_steps_and_is_judged_cold(together):
    heat = Heat()
    how = {"accumulate_grad_batches": together, "callbacks": [heat], "progress": False, "batch_size": 8}
    fit(LEARNERS["doc"](temperature=1.0), random_walks(), 40, val_every=8, val_fraction=0.2, **how)
    steps = np.arange(40) // together
    np.testing.assert_allclose(heat.batches, np.maximum(0, 1 - 2 * steps / (40 // together)))
    assert heat.cold == [True] * 5


def test_categories_are_drawn_in_half_precision_as_well():
    logits, noise = torch.zeros(4, 3).bfloat16(), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    drawn = StraightThroughLatent(3).mean_over(logits, noise.bfloat16()).z
    torch.testing.assert_close(drawn[0].float(), CategoricalLatent(3).sample(logits.float(), noise.bfloat16().float()))


def test_settings_that_would_not_hold_are_refused():
    with pytest.raises(ConfigurationError, match="environment's luck"):
        DoC(beta=-1.0)
    with pytest.raises(ConfigurationError, match="temperature"):
        DoC(temperature=-0.1)
    with pytest.raises(ConfigurationError, match="At least 2 outcomes"):
        DoC(pairs=1)
    with pytest.raises(ConfigurationError, match="all 6 training episodes have the return 0"):
        FutureVAE(**MARKOV).prepare(single_steps(np.arange(6) % 2, np.zeros(6)))


def test_a_further_fit_sees_futures_as_long_as_its_data_have():
    def constant(steps: int) -> Episodes:
        rng = np.random.default_rng(steps)
        return from_arrays(
            list(rng.normal(size=(10, steps + 1, 1)).astype(np.float32)),
            list(rng.uniform(-1, 1, (10, steps, 1)).astype(np.float32)),
            list(rng.normal(size=(10, steps))),
            observation_space=gym.spaces.Box(-np.inf, np.inf, (1,)),
            action_space=gym.spaces.Box(-1, 1, (1,)),
        )

    learner = fit(FutureVAE(), constant(3), 2, batch_size=8, progress=False)
    fit(learner, constant(12), 2, batch_size=8, progress=False)
    assert learner.sampler(constant(12)).fetch(torch.tensor([0])).lengths.tolist() == [12]
