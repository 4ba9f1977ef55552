"""The probabilistic ensemble against torch.distributions, and its promises about randomness, elites and ends."""

from functools import partial

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
    for layer in (*ensemble.net.layers, *ensemble.ends.layers):
        torch.nn.init.normal_(layer.bias)
    ensemble.fit(*(data or transitions(ends=ends)))
    return ensemble.requires_grad_(False)


def for_members(data: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    return [field.expand(M, *field.shape) for field in data]


def test_the_loss_is_the_negative_log_likelihood_of_torch():
    """In the data's units; the change of units is the sum of the targets' log scales."""
    ensemble, data = made(), transitions(seed=1)
    states, actions, next_states, rewards, ends = data
    mean, log_variance = ensemble.predict(*for_members((states, actions)))
    scale, shift = ensemble.targets.scale, ensemble.targets.shift
    following = Independent(Normal(mean * scale + shift, (log_variance / 2).exp() * scale), 1)
    log_prob = following.log_prob(torch.cat((next_states - states, rewards[:, None]), -1))
    end = Bernoulli(logits=ensemble.end(*for_members((states, actions, next_states))))
    expected = -(log_prob + scale.log().sum() + end.log_prob(ends))
    torch.testing.assert_close(ensemble.nll(*for_members(data)), expected, rtol=1e-4, atol=1e-4)


def test_the_log_variance_keeps_between_its_bounds_and_follows_the_network_inside():
    ensemble = made()
    _, log_variance = ensemble.predict(*for_members(transitions()[:2]))
    assert (log_variance > ensemble.lowest).all()
    assert (log_variance < ensemble.highest + 1e-4).all()
    head = ensemble.net.layers[-1]
    for wanted, expected in ((-100.0, ensemble.lowest), (-4.0, torch.full((S + 1,), -4.0)), (100.0, ensemble.highest)):
        head.weight.zero_()
        head.bias.fill_(wanted)
        _, got = ensemble.predict(*for_members(transitions()[:2]))
        torch.testing.assert_close(got, expected.expand_as(got), atol=0.02, rtol=0)


def test_a_step_is_drawn_from_the_member_that_it_names():
    ensemble, (states, actions, *_) = made(), transitions()
    ensemble.choose_elites(torch.tensor([3.0, 0, 9, 1, 8, 2, 4]))
    noise = torch.randn(len(states), ensemble.noise_dim)
    outcome = ensemble.step(states, actions, noise)
    assert set(outcome.info["member"].tolist()) == {1, 3, 5, 0, 6}
    mean, log_variance = ensemble.predict(*for_members((states, actions)))
    rows = torch.arange(len(states))
    mean, std = (part[outcome.info["member"], rows] for part in (mean, (log_variance / 2).exp()))
    drawn = (mean + std * noise[:, : S + 1]) * ensemble.targets.scale + ensemble.targets.shift
    torch.testing.assert_close(outcome.next_state, states + drawn[:, :S], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outcome.reward, drawn[:, S], rtol=1e-4, atol=1e-4)
    uniform = Normal(0.0, 1.0).cdf(noise[:, -1])
    logit = ensemble.end(*for_members((states, actions, outcome.next_state)))[outcome.info["member"], rows]
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
    means = torch.stack([ensemble.predict(*for_members((states, actions)))[0][m] for m in ensemble.elites])
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
    ensemble.ends.layers[-1].bias[:] = 100.0
    noise = torch.randn(len(data[0]), ensemble.noise_dim)
    assert not ensemble.step(*data[:2], noise).terminated.any()
    before = ensemble.nll(*for_members(data))
    ensemble.ends.layers[-1].bias[:] = -100.0
    assert torch.equal(ensemble.nll(*for_members(data)), before)  # nor is anything learned about it
    ending = made()
    ending.ends.layers[-1].bias[:] = 100.0
    assert ending.step(*data[:2], noise).terminated.all()


def test_a_constant_target_keeps_its_value():
    states, actions, next_states, rewards, ends = transitions()
    next_states[:, 1], rewards[:] = states[:, 1] + 0.25, 7.0
    ensemble = made(data=(states, actions, next_states, rewards, ends))
    outcome = ensemble.step(states, actions, torch.randn(len(states), ensemble.noise_dim))
    torch.testing.assert_close(outcome.next_state[:, 1], next_states[:, 1], atol=1e-5, rtol=0)
    torch.testing.assert_close(outcome.reward, rewards)
    assert ensemble.nll(*for_members((states, actions, next_states, rewards, ends))).isfinite().all()


def test_an_end_is_judged_by_the_state_that_was_reached():
    ensemble, (states, actions, next_states, *_) = made(), transitions()
    one, other = (ensemble.end(*for_members((states, actions, s))) for s in (next_states, next_states + 1))
    assert not torch.isclose(one, other).any()


def test_every_weight_has_a_gradient_of_its_own_members_rows():
    ensemble, data = made().requires_grad_(True), for_members(transitions())
    ensemble.nll(*data)[2].sum().backward()
    for name, parameter in ensemble.named_parameters():
        if name in ("lowest", "highest"):
            assert parameter.grad.any()
        else:
            assert parameter.grad[2].any(), name
            assert not parameter.grad[[0, 1, 3, 4, 5, 6]].any(), name
