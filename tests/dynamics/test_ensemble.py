"""The probabilistic ensemble against torch.distributions, and its promises about randomness, elites and ends."""

from functools import partial

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal

from genrl.dynamics.ensemble import GaussianEnsemble
from genrl.nets.ensemble_mlp import EnsembleMLP

S, A, M = 3, 2, 7
SMALL = partial(EnsembleMLP, width=16, layers=2)


def transitions(rows: int = 64, ends: bool = True, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """States of uneven scale that move by a tenth of themselves; a negative first column ends the episode."""
    stream = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, S, generator=stream) * torch.tensor([1.0, 10.0, 0.1]) + 2
    actions = torch.rand(rows, A, generator=stream) * 2 - 1
    over = (states[:, 0] < 1.5) if ends else torch.zeros(rows, dtype=torch.bool)
    return states, actions, 1.1 * states, states[:, 1] + actions[:, 0], over.float()


def made(ends: bool = True, data: tuple[torch.Tensor, ...] | None = None) -> GaussianEnsemble:
    torch.manual_seed(0)
    ensemble = GaussianEnsemble(S, A, SMALL, M, elites=5)
    for layer in ensemble.net.layers:
        torch.nn.init.normal_(layer.bias)
    ensemble.fit(*(data or transitions(ends=ends)))
    return ensemble.requires_grad_(False)


def for_members(data: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    return [field.expand(M, *field.shape) for field in data]


def test_the_loss_is_the_negative_log_likelihood_of_torch():
    """In the data's units; the change of units is the sum of the targets' log scales."""
    ensemble, data = made(), transitions(seed=1)
    states, actions, next_states, rewards, ends = data
    predicted = ensemble.predict(*for_members((states, actions)))
    scale, shift = ensemble.targets.scale, ensemble.targets.shift
    following = Independent(Normal(predicted.mean * scale + shift, (predicted.log_variance / 2).exp() * scale), 1)
    log_prob = following.log_prob(torch.cat((next_states - states, rewards[:, None]), -1))
    expected = -(log_prob + scale.log().sum() + Bernoulli(logits=predicted.logit).log_prob(ends))
    torch.testing.assert_close(ensemble.nll(*for_members(data)), expected, rtol=1e-4, atol=1e-4)


def test_the_log_variance_keeps_between_its_bounds_and_follows_the_network_inside():
    ensemble = made()
    log_variance = ensemble.predict(*for_members(transitions()[:2])).log_variance
    assert (log_variance > ensemble.lowest).all()
    assert (log_variance < ensemble.highest + 1e-4).all()
    head = ensemble.net.layers[-1]
    for wanted, expected in ((-100.0, ensemble.lowest), (-4.0, torch.full((S + 1,), -4.0)), (100.0, ensemble.highest)):
        head.weight.zero_()
        head.bias.fill_(wanted)
        got = ensemble.predict(*for_members(transitions()[:2])).log_variance
        torch.testing.assert_close(got, expected.expand_as(got), atol=0.02, rtol=0)


def test_a_step_is_drawn_from_the_member_that_it_names():
    ensemble, (states, actions, *_) = made(), transitions()
    ensemble.choose_elites(torch.tensor([3.0, 0, 9, 1, 8, 2, 4]))
    noise = torch.randn(len(states), ensemble.noise_dim)
    outcome = ensemble.step(states, actions, noise)
    assert set(outcome.info["member"].tolist()) == {1, 3, 5, 0, 6}
    mean, log_variance, logit = ensemble.predict(*for_members((states, actions)))
    rows = torch.arange(len(states))
    mean, std, logit = (p[outcome.info["member"], rows] for p in (mean, (log_variance / 2).exp(), logit))
    drawn = (mean + std * noise[:, : S + 1]) * ensemble.targets.scale + ensemble.targets.shift
    torch.testing.assert_close(outcome.next_state, states + drawn[:, :S], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outcome.reward, drawn[:, S], rtol=1e-4, atol=1e-4)
    uniform = Normal(0.0, 1.0).cdf(noise[:, -1])
    assert torch.equal(outcome.terminated, uniform < logit.sigmoid())
    assert outcome.terminated.any()


def test_elites_are_drawn_alike():
    ensemble, (states, actions, *_) = made(), transitions(rows=5000)
    noise = torch.randn(5000, ensemble.noise_dim, generator=torch.Generator().manual_seed(0))
    counts = ensemble.step(states, actions, noise).info["member"].bincount(minlength=M)
    assert not counts[5:].any()
    assert ((counts[:5] - 1000).abs() < 4 * (5000 * 0.2 * 0.8) ** 0.5).all()  # four standard deviations


def test_disagreement_is_the_deviation_of_the_elites_means():
    ensemble, (states, actions, *_) = made(), transitions()
    means = torch.stack([ensemble.predict(*for_members((states, actions))).mean[m] for m in ensemble.elites])
    got = ensemble.step(states, actions, torch.zeros(len(states), ensemble.noise_dim)).info["disagreement"]
    torch.testing.assert_close(got, means.std(0, correction=0).square().mean(-1).sqrt())
    for layer in ensemble.net.layers:
        layer.weight.copy_(layer.weight[:1].expand_as(layer.weight))
        layer.bias.copy_(layer.bias[:1].expand_as(layer.bias))
    agreed = ensemble.step(states, actions, torch.zeros(len(states), ensemble.noise_dim)).info["disagreement"]
    torch.testing.assert_close(agreed, torch.zeros_like(agreed), atol=1e-6, rtol=0)


def test_rows_do_not_depend_on_the_size_of_the_batch():
    ensemble, (states, actions, *_) = made(), transitions()
    noise = torch.randn(len(states), ensemble.noise_dim)
    whole, part = ensemble.step(states, actions, noise), ensemble.step(states[:3], actions[:3], noise[:3])
    torch.testing.assert_close(whole.next_state[:3], part.next_state, atol=1e-5, rtol=1e-5)
    assert torch.equal(whole.info["member"][:3], part.info["member"])


def test_where_nothing_ever_terminated_nothing_does():
    data = transitions(ends=False)
    ensemble = made(data=data)
    ensemble.net.layers[-1].bias[..., -1] = 100.0
    noise = torch.randn(len(data[0]), ensemble.noise_dim)
    assert not ensemble.step(*data[:2], noise).terminated.any()
    before = ensemble.nll(*for_members(data))
    ensemble.net.layers[-1].bias[..., -1] = -100.0
    assert torch.equal(ensemble.nll(*for_members(data)), before)  # nor is anything learned about it
    ending = made()
    ending.net.layers[-1].bias[..., -1] = 100.0
    assert ending.step(*data[:2], noise).terminated.all()


def test_a_constant_target_keeps_its_value():
    states, actions, next_states, rewards, ends = transitions()
    next_states[:, 1], rewards[:] = states[:, 1] + 0.25, 7.0
    ensemble = made(data=(states, actions, next_states, rewards, ends))
    outcome = ensemble.step(states, actions, torch.randn(len(states), ensemble.noise_dim))
    torch.testing.assert_close(outcome.next_state[:, 1], next_states[:, 1], atol=1e-5, rtol=0)
    torch.testing.assert_close(outcome.reward, rewards)
    assert ensemble.nll(*for_members((states, actions, next_states, rewards, ends))).isfinite().all()


@pytest.mark.parametrize("part", ["mean", "log_variance", "logit"])
def test_all_that_is_predicted_has_a_gradient(part):
    ensemble = made().requires_grad_(True)
    getattr(ensemble.predict(*for_members(transitions()[:2])), part).sum().backward()
    head = ensemble.net.layers[-1].weight.grad
    used = {"mean": slice(0, S + 1), "log_variance": slice(S + 1, 2 * S + 2), "logit": slice(2 * S + 2, None)}[part]
    assert head[..., used].abs().sum((1, 2)).gt(0).all()
    head[..., used] = 0.0
    assert not head.any()
