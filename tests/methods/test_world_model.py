"""What a world model learns, which members it believes, what it keeps of the data, and what it refuses."""

from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from genrl.data.arrays import from_arrays
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.rollout import rollout
from genrl.methods.method import Block
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.synthesis.generate import sample
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import (
    DIFFUSED,
    WORLD_MODEL,
    A,
    B,
    assert_close,
    box,
    equal_weights,
    imagined,
    line,
    linear,
    walks,
)

LINEAR = partial(EnsembleMLP, width=1, layers=0)  # no hidden layer: the system itself


@pytest.fixture(scope="module")
def learned() -> WorldModel:
    return fit(WorldModel(net=LINEAR, lr=0.05, starts=64), linear(60), 300, progress=False)


def test_elites_that_nothing_chose_are_told_of():
    with pytest.warns(UserWarning, match="the 5 elites are the first of 7 members, not the best"):
        fit(WORLD_MODEL(), linear(), 2, val_fraction=0.0, progress=False)


@torch.no_grad()
def test_a_linear_system_is_rolled_out_as_its_closed_form_says(learned):
    start = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    gain = np.array([[-0.3, 0.1]])

    def act(states: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return states @ torch.from_numpy(gain.T).float()

    made = rollout(learned.ensemble, act, start, 8, lambda step, like: torch.zeros_like(like))
    closed = torch.from_numpy(A + B @ gain).float()
    expected = torch.stack([start @ torch.linalg.matrix_power(closed, t).T for t in range(9)], 1)
    torch.testing.assert_close(made.states, expected, atol=0.02, rtol=0)
    torch.testing.assert_close(made.rewards, expected[:, :-1, 0], atol=0.02, rtol=0)
    assert not made.terminated.any()


@torch.no_grad()
def test_it_knows_where_it_does_not_know(learned):
    """Far from the data the members disagree more: with hidden layers, for a linear one is right everywhere."""
    model = fit(WorldModel(net=partial(EnsembleMLP, width=32, layers=2), starts=8), linear(60), 300, progress=False)
    noise = torch.zeros(200, model.ensemble.noise_dim)
    near, action = model.start_states[torch.arange(200) % 8], torch.zeros(200, 1)
    known, unknown = (model.ensemble.step(s, action, noise).info["disagreement"].mean() for s in (near, 20 + near))
    assert unknown > 10 * known


@torch.no_grad()
def test_the_noise_of_the_data_is_learned():
    """s' = s / 2 + e with e ~ N(0, 0.3^2), against least squares on the same data."""
    rng = np.random.default_rng(0)
    states = [np.zeros((100, 1))]
    for _ in range(20):
        states.append(states[-1] / 2 + 0.3 * rng.standard_normal((100, 1)))
    data = from_arrays(
        list(np.stack(states, 1).astype(np.float32)),
        list(rng.uniform(-0.9, 0.9, (100, 20, 1)).astype(np.float32)),
        list(np.zeros((100, 20))),
        observation_space=box(1),
        action_space=box(1, 1.0),
    )
    model = fit(WorldModel(net=LINEAR, lr=0.05), data, 200, progress=False)
    noise = BlockNoise(0, 0).normal(0, (4000, model.ensemble.noise_dim))
    outcome = model.ensemble.step(torch.full((4000, 1), 0.4), torch.zeros(4000, 1), noise)
    before, after = (np.stack(states, 1)[:, rows].ravel() for rows in (slice(-1), slice(1, None)))
    fitted = np.polyval(np.polyfit(before, after, 1), 0.4)
    torch.testing.assert_close(float(outcome.next_state.mean()), fitted, atol=0.03, rtol=0)
    torch.testing.assert_close(outcome.next_state.std(), torch.tensor(0.3), atol=0.02, rtol=0)
    assert not outcome.reward.any()  # constant in the data


@torch.no_grad()
def test_where_episodes_end_is_learned():
    """They end where the place passes 1."""
    model = fit(WorldModel(net=partial(EnsembleMLP, width=32, layers=2), lr=3e-3), line(), 400, progress=False)
    places = torch.linspace(0, 1, 1000)[:, None]
    noise = BlockNoise(0, 0).normal(0, (1000, model.ensemble.noise_dim))
    outcome = model.ensemble.step(places, torch.zeros(1000, 1), noise)
    after = outcome.next_state[:, 0]
    torch.testing.assert_close(after, places[:, 0] + 0.12, atol=0.03, rtol=0)
    assert outcome.terminated[after > 1.03].float().mean() > 0.98
    assert outcome.terminated[after < 0.97].float().mean() < 0.02


# members


class Errors(Callback):
    """Recomputes held-out errors at every validation, batch by batch and member by member."""

    def __init__(self) -> None:
        self.elites, self.losses, self.expected = [], [], []

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        ensemble, errors = pl_module.ensemble, torch.zeros(pl_module.members, device=pl_module.device)
        batches = trainer.datamodule.val_dataloader()
        for batch in batches:
            rows = [getattr(batch, n)[:, 0] for n in ("observations", "actions", "next_observations", "rewards")]
            rows.append(batch.terminated[:, 0])
            for m in range(pl_module.members):
                same = [row.expand(pl_module.members, *row.shape) for row in rows]
                errors[m] += ensemble.nll(*same)[m].mean() / len(batches)
        self.expected.append(errors.argsort()[:3].tolist())
        self.elites.append(ensemble.elites.tolist())
        self.losses.append(float(trainer.callback_metrics["val_loss"] - errors.mean()))


def test_elites_are_the_members_with_the_lowest_held_out_error():
    errors = Errors()
    model = WorldModel(net=partial(EnsembleMLP, width=8, layers=1), members=5, elites=3, lr=0.03)
    fit(model, linear(), 40, progress=False, val_fraction=0.3, val_every=10, callbacks=[errors])
    assert errors.elites == errors.expected
    assert len({tuple(elites) for elites in errors.elites}) > 1  # else nothing was tested
    assert model.ensemble.elites.tolist() == errors.elites[-1]
    torch.testing.assert_close(errors.losses, [0.0] * 4, atol=1e-5, rtol=0)


def test_the_best_weights_come_back_with_their_own_elites():
    """Too large a network for three episodes: it is best at an early look."""
    errors = Errors()
    model = WorldModel(net=partial(EnsembleMLP, width=64, layers=2), members=5, elites=3, lr=0.01)
    seen = []

    class Seen(Callback):
        def on_validation_epoch_end(self, trainer, pl_module) -> None:
            state = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}
            seen.append((float(trainer.callback_metrics["val_loss"]), state))

    fit(model, linear(4), 60, progress=False, val_fraction=0.3, val_every=10, patience=3, callbacks=[errors, Seen()])
    best = min(range(len(seen)), key=lambda look: seen[look][0])
    assert best < len(seen) - 1
    assert all(torch.equal(tensor, seen[best][1][name]) for name, tensor in model.state_dict().items())
    assert model.ensemble.elites.tolist() == errors.expected[best]


def test_with_nothing_held_out_the_first_members_predict():
    model = fit(WORLD_MODEL(), linear(), 3, progress=False, val_fraction=0.0)
    assert model.ensemble.elites.tolist() == [0, 1, 2, 3, 4]


def test_every_member_has_data_of_its_own():
    model = WORLD_MODEL()
    data = linear(40)
    model.prepare(data)
    sampler = model.sampler(data)
    table = sampler.table
    assert torch.equal(table, model.sampler(data).table)
    for m in range(7):
        share = len(table[:, m].unique()) / len(table)
        assert abs(share - (1 - np.exp(-1))) < 0.05  # what drawing N of N with replacement leaves
    batch = sampler.fetch(torch.arange(5))
    assert batch.observations.shape == (5, 7, 2)
    assert torch.equal(batch.actions[3, 2], data.actions[""][table[3, 2]])


# weight decay


class Flat(WorldModel):
    """A loss without any slope, so that nothing but decay moves a weight."""

    def training_step(self, batch, batch_index):
        return 0.0 * sum(parameter.sum() for parameter in self.parameters())


def decayed(decay) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """All parameters before and after ten updates at a rate of at most 0.1."""
    model = Flat(net=partial(EnsembleMLP, width=4, layers=2), members=2, elites=1, lr=0.1, weight_decay=decay)
    model.prepare(linear(10))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    fit(model, linear(10), 10, val_fraction=0.0, progress=False)
    return before, dict(model.named_parameters())


def left(decay: float) -> float:
    """Share of a weight that ten updates leave: the rate is at its peak at once, then falls as half a cosine."""
    rates = [0.1] + [0.05 * (1 + np.cos(np.pi * k / 9)) for k in range(9)]
    return float(np.prod([1 - rate * decay for rate in rates]))


def test_every_layer_decays_by_its_own_number_and_nothing_else_does():
    decays = {"ensemble.net.layers.0.weight": 0.5, "ensemble.net.layers.1.weight": 1.0}
    decays["ensemble.net.layers.2.weight"] = 2.0
    before, after = decayed(list(decays.values()))
    for name, old in before.items():
        expected = old * left(decays[name]) if name in decays else old
        torch.testing.assert_close(after[name], expected, rtol=1e-5, atol=0, msg=name)


def test_one_number_is_the_decay_of_everything():
    before, after = decayed(1.5)
    for name, old in before.items():
        torch.testing.assert_close(after[name], old * left(1.5), rtol=1e-5, atol=0, msg=name)


def test_there_is_a_decay_for_each_layer_or_the_model_is_not_built():
    model = WorldModel(net=partial(EnsembleMLP, width=4, layers=2), weight_decay=[1e-4, 1e-4])
    with pytest.raises(ConfigurationError, match=r"2 entries, but the network has 3 linear layers, the head included"):
        model.prepare(linear(10))


def test_decays_by_layer_come_back_with_a_checkpoint(tmp_path):
    decays = [1e-4, 2e-4]
    model = fit(WORLD_MODEL(weight_decay=decays), linear(10), 2, progress=False)
    assert load(save(model, tmp_path / "model.ckpt")).weight_decay == decays


# data


@pytest.mark.parametrize("make", [linear, walks, line])
def test_nothing_crosses_an_episode(make):
    """Each transition's two states stand one after the other in one episode."""
    data, model = make(), WORLD_MODEL()
    model.prepare(data)
    batch = model.sampler(data).fetch(torch.arange(data.num_transitions))
    states = model.columns.observation_codec.encode(data.observations)
    pairs = {
        (*states[start + t].tolist(), *states[start + t + 1].tolist())
        for start, length in zip(data.observation_starts.tolist(), data.lengths.tolist(), strict=True)
        for t in range(length)
    }
    seen = torch.cat((batch.observations, batch.next_observations), -1).flatten(0, 1)
    assert {tuple(row) for row in seen.tolist()} <= pairs
    assert batch.terminated.sum() == data.terminations[model.sampler(data).table].sum()


def test_rollouts_begin_where_something_was_done_and_at_the_goals_that_belong_there():
    data, model = walks(), WORLD_MODEL()
    model.prepare(data)
    rows = data.observation_rows
    there = torch.cat((data.observations["observation"], data.observations["desired_goal"]), -1)[rows].float()
    kept = torch.cat((model.start_states, model.start_goals), -1)
    assert model.start_states.shape == (64, 3)  # the achieved goal is a copy
    assert {tuple(row) for row in kept.tolist()} <= {tuple(row) for row in there.tolist()}
    assert len(kept.unique(dim=0)) > 30
    again = WORLD_MODEL()
    again.prepare(data)
    assert torch.equal(again.start_states, model.start_states)


def test_what_is_far_out():
    data, model = linear(40), WORLD_MODEL()
    model.prepare(data)
    states = data.observations[""]
    mean, std = states.mean(0), states.std(0, correction=0)
    reach = 2 * ((states - mean) / std).abs().amax(0).clamp(min=5)
    torch.testing.assert_close(model.low, mean - reach * std)
    torch.testing.assert_close(model.high, mean + reach * std)


def test_a_checkpoint_has_everything(learned, tmp_path):
    again = load(save(learned, tmp_path / "model.ckpt"))
    assert equal_weights(learned, again)
    for name in ("start_states", "low", "high", "ensemble.elites", "ensemble.terminates"):
        assert name in again.state_dict()


# refusals


def test_a_sampling_set_anew_is_the_one_that_draws_also_after_a_checkpoint(tmp_path):
    made = imagined(linear(), DIFFUSED)
    before = made.synthesize(Block(0, 0, 4))
    made.world_model.sampling = replace(made.world_model.sampling, steps=3)
    after = made.synthesize(Block(0, 0, 4))
    assert not torch.equal(before.observations[""], after.observations[""])
    again = load(save(made, tmp_path / "made.ckpt"))
    assert again.world_model.sampling.steps == 3
    assert_close(again.synthesize(Block(0, 0, 4)), after)


def test_it_makes_no_data_by_itself(learned):
    with pytest.raises(ConfigurationError, match=r"makes no data by itself.*: Imagination\(world_model, policy\)"):
        sample(learned, 3)


@pytest.mark.parametrize("settings", [{"elites": 8}, {"elites": 0}, {"members": 3}, {"starts": 0}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ConfigurationError):
        WorldModel(**settings)


def test_observations_without_a_scale_are_refused():
    space = gym.spaces.Discrete(3)
    data = from_arrays(
        [np.array([0, 1, 2])], [np.zeros((2, 1), np.float32)], [np.zeros(2)], observation_space=space,
        action_space=box(1, 1.0),
    )  # fmt: skip
    with pytest.raises(UnsupportedSpaceError, match="WorldModel does not take observations of the kind Discrete"):
        WORLD_MODEL().prepare(data)
