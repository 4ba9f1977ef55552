"""Episodes sampled in memory are those that ``synthesize`` stores, and neither passes for the real data."""

from dataclasses import replace

import gymnasium as gym
import pytest
import torch

from genrl.data.collect import collect
from genrl.data.policies import RandomPolicy
from genrl.data.store import load
from genrl.methods.sampling import Sampling
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.synthesis.generate import Plan, sample
from genrl.synthesis.synthesize import synthesize
from genrl.training.fit import fit


@pytest.fixture(scope="module")
def method():
    real = collect("Pendulum-v1", RandomPolicy(gym.make("Pendulum-v1").action_space), 4, seed=0, max_steps=20)
    real = replace(
        real, card=replace(real.card, dataset_id="pendulum/real-v0", algorithm_name="random", author=("Ann",))
    )
    return fit(TransitionDiffusion(sampling=Sampling(steps=3)), real, 2, progress=False)


def test_sample_gives_what_synthesize_stores(method, tmp_path):
    sampled = sample(method, 5, seed=7)
    synthesize(method, "pendulum/synthetic-v0", Plan(5, seed=7), root=tmp_path, progress=False)
    stored = load("pendulum/synthetic-v0", root=tmp_path)
    for name in ("rewards", "terminations", "truncations", "lengths"):
        assert torch.equal(getattr(sampled, name), getattr(stored, name))
    assert torch.equal(sampled.observations[""], stored.observations[""])
    assert torch.equal(sampled.actions[""], stored.actions[""])
    assert replace(stored.card, dataset_id=None) == sampled.card


def test_sampled_episodes_name_their_maker_and_its_source(method):
    card = sample(method, 1).card
    assert card.algorithm_name == "TransitionDiffusion"
    assert "pendulum/real-v0" in card.description
    assert card.dataset_id is None
    assert card.env_spec == method.spec.card.env_spec
