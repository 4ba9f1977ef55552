"""Latent futures followed in a world model: the policy's own actions, its latents beside them, and what they seek."""

from functools import partial

import numpy as np
import pytest
import torch

from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.store import load as load_dataset
from genrl.diffusion.noise import BlockNoise
from genrl.learners.doc import DoC
from genrl.learners.latents import CategoricalLatent, GaussianLatent
from genrl.methods.imagined_futures import ImaginedFutures
from genrl.methods.imagined_play import seeds_of
from genrl.methods.method import Block
from genrl.methods.steered import Guidance
from genrl.methods.world_model import WorldModel
from genrl.nets.mlp import MLP
from genrl.nets.trajectories import FutureTransformer, HistoryTransformer
from genrl.synthesis.generate import Plan
from genrl.synthesis.lead import lead
from genrl.synthesis.synthesize import synthesize
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, WORLD_MODEL, linear

SEQUENCE = {
    "net": partial(MLP, width=16),
    "history_net": partial(HistoryTransformer, width=16, layers=1),
    "future_net": partial(FutureTransformer, width=16, layers=1),
    "horizon": 4,
}


def quickly(module, data):
    return fit(module, data, 5, progress=False)


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return quickly(WORLD_MODEL(), linear())


@pytest.fixture(scope="module", params=["markov", "sequence"])
def learner(request) -> DoC:
    make = DoC(CategoricalLatent(4)) if request.param == "markov" else DoC(GaussianLatent(3), **SEQUENCE)
    return quickly(make, linear())


def test_the_actions_and_infos_are_the_policys_own(model, learner):
    """Against the policy as it acts in an environment that shows it the same observations."""
    made = ImaginedFutures(model, learner, horizon=6, candidates=3).synthesize(Block(3, 1, 5))
    drawn = BlockNoise(3, 1)(0, torch.empty(5, 1 + model.learned.noise_dim))[:, :1]
    policy = learner.policy(candidates=3)
    policy.reset(np.ones(5, bool), seeds_of(drawn))
    assert made.lengths.tolist() == [6] * 5
    seen, done = made.observations[""].view(5, 7, 2).numpy(), made.actions[""].view(5, 6, 1)
    for step in range(6):
        acted = policy.act(seen[:, step])
        torch.testing.assert_close(torch.from_numpy(acted), done[:, step], atol=1e-4, rtol=0)
        for name, rows in policy.infos().items():
            told = made.infos[name].view(5, 6, *rows.shape[1:])[:, step]
            torch.testing.assert_close(told, torch.from_numpy(rows), atol=1e-4, rtol=1e-4)
    assert "disagreement" in made.infos


def test_blocks_do_not_depend_on_the_batch_and_survive_a_checkpoint(model, learner, tmp_path):
    method = ImaginedFutures(model, learner, horizon=4)
    whole, parts = method.synthesize(Block(0, 0, 6)), method.synthesize(Block(0, 0, 6), batch_size=4)
    torch.testing.assert_close(parts.actions[""], whole.actions[""], atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.infos, whole.infos, atol=1e-4, rtol=0)
    again = load(save(method, tmp_path / "futures.ckpt")).synthesize(Block(0, 0, 6))
    assert torch.equal(again.actions[""], whole.actions[""])


def test_one_candidate_keeps_the_priors_diversity_and_many_seek_the_best(model):
    learner = DoC(CategoricalLatent(4))
    learner.prepare(linear())
    start = torch.zeros(200, 2)
    followed = {}
    for candidates in (1, 200):
        method = ImaginedFutures(model, learner, horizon=1, candidates=candidates)
        followed[candidates] = method.synthesize(Block(0, 0, 200), Conditions(start=start)).infos
    assert len(followed[1]["latent"].unique(dim=0)) == 4
    assert len(followed[200]["latent"].unique(dim=0)) == 1
    assert followed[200]["predicted_value"].min() >= followed[1]["predicted_value"].max() - 1e-5


def test_a_latent_asked_for_is_followed(model, learner):
    size = learner.latent.size
    wish = torch.linspace(-1, 1, 3 * size).view(3, size)
    made = ImaginedFutures(model, learner, horizon=2).synthesize(Block(0, 0, 3), Conditions(latent=wish))
    torch.testing.assert_close(made.infos["latent"][::2], wish)
    with pytest.raises(ConditionError, match="'latent' must be"):
        ImaginedFutures(model, learner).synthesize(Block(0, 0, 3), Conditions(latent=wish[:, :1]))


def test_what_is_written_holds_the_latents(model, learner, tmp_path):
    method = lead(model, {"guide": learner}, Guidance())
    assert isinstance(method, ImaginedFutures)
    synthesize(method, "toy/futures-v0", Plan(4, seed=1, length=3), root=tmp_path, progress=False)
    stored = load_dataset("toy/futures-v0", root=tmp_path)
    assert stored.infos["latent"].shape == (12, learner.latent.size)
    assert stored.infos["predicted_value"].shape == (12,)


def test_sizes_and_diffusion_models_are_refused(model, learner):
    for bad, told in (({"horizon": 0}, "at least one transition, not 0"), ({"candidates": 0}, "candidates")):
        with pytest.raises(ConfigurationError, match=told):
            ImaginedFutures(model, learner, **bad)
    with pytest.raises(ConfigurationError, match="cannot lead a diffusion model"):
        lead(METHODS["trajectory-mlp"](), {"guide": learner}, Guidance())
