"""A model that is fitted again learns what its first data could not tell, or says that it cannot."""

import warnings
from dataclasses import replace

import pytest
import torch

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.training.fit import fit
from tests.methods.toy_methods import DIFFUSED, METHODS, WORLD_MODEL, linear

PLAIN = {"val_fraction": 0.0, "progress": False}


def ending(data: Episodes) -> Episodes:
    """The same episodes, each of which terminates, with another reward each step."""
    ends = torch.zeros(data.num_transitions, dtype=torch.bool)
    ends[data.transition_starts + data.lengths - 1] = True
    return replace(data, terminations=ends, rewards=torch.arange(data.num_transitions, dtype=data.rewards.dtype))


def even(data: Episodes) -> Episodes:
    """The same episodes without ends or rewards."""
    return replace(data, terminations=torch.zeros_like(data.terminations), rewards=torch.zeros_like(data.rewards))


@pytest.mark.parametrize("make", [WORLD_MODEL, DIFFUSED], ids=["ensemble", "diffused"])
def test_a_world_model_also_learns_what_varies_or_ends_in_further_data(make):
    first, second = linear(20), linear(20, seed=1)
    model = fit(make(), even(first), 2, **PLAIN)
    assert not model.learned.terminates
    assert not model.learned.varies[-1]
    low, high = model.low.clone(), model.high.clone()
    fit(model, ending(second), 2, **PLAIN)
    assert model.learned.terminates
    assert model.learned.varies.all()
    known = model.columns.observation_codec.encode(second.observations)[second.observation_rows]
    assert (torch.cdist(model.start_states, known).min(1).values == 0).all()  # they begin where the new data are
    assert (model.low <= low).all()
    assert (model.high >= high).all()
    fit(model, even(first), 2, **PLAIN)
    assert model.learned.terminates  # and nothing is unlearned


@pytest.mark.parametrize("name", [name for name in METHODS if name.startswith("trajectory")])
def test_a_model_of_windows_refuses_what_its_first_data_denied(name):
    model = fit(METHODS[name](), even(linear(20)), 2, **PLAIN)
    fit(model, even(linear(20, seed=1)), 2, **PLAIN)
    with pytest.raises(ConfigurationError, match=r"The rewards of these data vary .* fit a new one"):
        fit(model, ending(linear(20)), 2, **PLAIN)
    with pytest.raises(ConfigurationError, match="The terminations of these data vary"):
        fit(model, replace(even(linear(20)), terminations=ending(linear(20)).terminations), 2, **PLAIN)


def test_too_few_windows_for_their_length_are_warned_of():
    with pytest.warns(UserWarning, match="6 windows do not span the 20 numbers in each of them"):
        METHODS["trajectory-mlp"]().prepare(linear(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        METHODS["trajectory-mlp"]().prepare(linear(4))


@pytest.mark.parametrize("make", [WORLD_MODEL, DIFFUSED], ids=["ensemble", "diffused"])
def test_another_constant_is_learned_as_well(make):
    first = even(linear(20))
    second = replace(first, rewards=torch.ones_like(first.rewards))
    model = fit(make(lr=1e-2), first, 2, **PLAIN)
    fit(model, first, 2, **PLAIN)
    assert not model.learned.varies[-1]
    fit(model, second, 150, **PLAIN)
    state, dynamics = model.start_states[:4], model.dynamics()
    with torch.no_grad():
        outcome = dynamics.step(state, torch.zeros(4, dynamics.action_dim), torch.zeros(4, dynamics.noise_dim))
    torch.testing.assert_close(outcome.reward, torch.ones(4), atol=0.2, rtol=0)


def test_another_constant_is_refused_by_a_model_of_windows():
    first = even(linear(20))
    model = fit(METHODS["trajectory-mlp"](), first, 2, **PLAIN)
    with pytest.raises(ConfigurationError, match=r"The rewards of these data vary .* or are others"):
        fit(model, replace(first, rewards=torch.ones_like(first.rewards)), 2, **PLAIN)
