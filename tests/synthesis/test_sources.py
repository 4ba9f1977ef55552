"""Ready sources of renewed data: which method they give for which learner, in Python and in configuration files."""

from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from genrl.cli import main
from genrl.data.episodes import concatenate
from genrl.data.errors import CheckpointError
from genrl.data.randomness import generator
from genrl.data.store import save as save_data
from genrl.diffusion.guidance import Posterior
from genrl.learners.bc import BC
from genrl.methods.imagination import Imagination
from genrl.methods.method import Block, Method
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.steered import Guidance
from genrl.methods.world_model import WorldModel
from genrl.nets.mlp import MLP
from genrl.synthesis.shards import from_tensors
from genrl.synthesis.sources import Guided, Imagined, Pessimistic, Unguided
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import WORLD_MODEL, assert_close, equal_weights, linear
from tests.synthesis.toy_loop import EVERY, LEARNERS, fitted, renewal

STRONG = Guidance(Posterior(3.0))

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return fit(WORLD_MODEL(), linear(), 20, progress=False)


def composed(kind: str, method: Method, model: WorldModel, learner) -> Method:
    return PolicyGuidedDiffusion(method, learner, STRONG) if kind == "guided" else Imagination(model, learner, 5)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("kind", ["guided", "imagined"])
def test_a_generation_is_what_the_policy_of_that_time_gives(kind, name, method, model, tmp_path):
    """Against the same composition of a checkpoint that was written after just as many updates."""
    source = Guided(method, STRONG) if kind == "guided" else Imagined(model, 5)
    loop, learner = renewal(source, lifetime=3), LEARNERS[name]()
    fitted(learner, loop, folder=tmp_path)
    alive = {
        number: from_tensors(tensors, method.spec, method.spec.card)
        for number, tensors in loop.state_dict()["alive"].items()
    }
    for number in (1, 2):
        then = composed(kind, method, model, load(tmp_path / f"step={number * EVERY}.ckpt"))
        other = composed(kind, method, model, load(tmp_path / f"step={number * EVERY - 1}.ckpt"))
        blocks = [Block(seed_of(learner.seed, number), index, 8) for index in range(3)]
        expected = concatenate([then.synthesize(block) for block in blocks])
        earlier = concatenate([other.synthesize(block) for block in blocks])
        made = alive[number]
        assert_close(made, expected[: len(made)])
        assert not torch.equal(made.actions[""], earlier.actions[""][: made.num_transitions])
    assert learner.state_dict().keys() == load(tmp_path / "step=1.ckpt").state_dict().keys()
    assert not any(isinstance(part, Method) for part in learner.modules())


def seed_of(seed: int, number: int) -> int:
    return int(generator(seed, "generation", number).initial_seed())


def test_the_first_generation_is_unguided_unless_wanted(method):
    learner = fit(LEARNERS["bc"](), linear(), 2, progress=False)
    assert Guided(method)(learner, 0) is method
    assert Guided(method, first_unguided=False)(learner, 0).policy is learner
    later = Guided(method, STRONG)(learner, 1)
    assert isinstance(later, PolicyGuidedDiffusion)
    assert (later.method, later.policy, later.guidance, later.behaviour) == (method, learner, STRONG, None)
    assert Unguided(method)(learner, 5) is method


def test_parts_may_be_checkpoints(method, model, tmp_path):
    learner = fit(LEARNERS["bc"](), linear(), 2, progress=False)
    paths = {name: save(part, tmp_path / f"{name}.ckpt") for name, part in (("method", method), ("model", model))}
    cloned = save(fit(BC(net=partial(MLP, width=8), seed=1), linear(), 2, progress=False), tmp_path / "cloned.ckpt")
    assert equal_weights(Unguided(paths["method"])(learner, 0), method)
    guided = Guided(str(paths["method"]), behaviour=cloned)
    assert equal_weights(guided(learner, 1).method, method)
    assert equal_weights(guided(learner, 2).behaviour, load(cloned))
    assert guided(learner, 1).method is guided(learner, 2).method  # read once
    imagined = Imagined(paths["model"], horizon=3)(learner, 0)
    assert equal_weights(imagined.world_model, model)
    assert imagined.synthesize(Block(0, 0, 4)).lengths.max() <= 3
    pessimistic = Pessimistic(paths["model"], horizon=3, penalty=2.0)(learner, 0)
    assert (pessimistic.horizon, pessimistic.penalty, pessimistic.policy) == (3, 2.0, learner)
    for source, reason in (
        (Guided(paths["model"]), "needs a TrajectoryDiffusion here, not the WorldModel at"),
        (Imagined(method), "needs a LearnedWorld here, not the TrajectoryDiffusion"),
        (Pessimistic(method), "needs a WorldModel here, not the TrajectoryDiffusion"),
        (Unguided(cloned), "needs a Method here, not the BC at"),
        (Guided(method, behaviour=paths["method"]), "needs a Learner here, not the TrajectoryDiffusion at"),
        (Unguided("nowhere.ckpt"), "There is no checkpoint at nowhere"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            source(learner, 1)


@pytest.mark.parametrize("name", ["td3bc", "iql"])
def test_a_configuration_file_runs_the_loop(name, method, tmp_path):
    stored = save(method, tmp_path / "method.ckpt")
    save_data(linear(), "toy/linear-v0", root=tmp_path)
    config = next(Path(__file__).parents[2].glob(f"configs/{name}_hopper.yaml"))
    settings = yaml.safe_load(config.read_text())
    guidance = {"schedule": {"class_path": "genrl.diffusion.guidance.Published", "init_args": {"scale": 0.1}}}
    source = {"method": "runs/of-the-file.ckpt", "guidance": guidance}
    loop = {"every": 4, "transitions": 50, "block_size": 8, "lifetime": 2}
    settings["trainer"]["callbacks"] = [
        {
            "class_path": "genrl.synthesis.renewal.Renewal",
            "init_args": {"source": {"class_path": "genrl.synthesis.sources.Guided", "init_args": source}, **loop},
        }
    ]
    settings["data"] |= {"data": "toy/linear-v0", "download": False, "root": str(tmp_path), "batches_per_epoch": 5}
    settings["trainer"] |= {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False}
    settings["trainer"]["logger"]["init_args"]["save_dir"] = str(tmp_path)
    (tmp_path / "loop.yaml").write_text(yaml.safe_dump(settings))
    given = ["--trainer.callbacks.source.method", str(stored), "--trainer.callbacks.source.guidance.schedule.scale=0.2"]
    assert main(["fit", "--config", str(tmp_path / "loop.yaml"), *given]) == 0
    folder = tmp_path / f"{name}_hopper" / "version_0"
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Renewal"]
    assert list(stored["alive"]) == [1, 2]
    assert all(facts["guidance_ratio"] > 0 for facts in stored["history"][1:])
    assert "guidance_ratio" not in stored["history"][0]
    written = yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["callbacks"][0]["init_args"]
    assert written["source"]["init_args"]["guidance"]["init_args"]["schedule"]["init_args"]["scale"] == 0.2
    assert written["real_fraction"] == 1 / 16
