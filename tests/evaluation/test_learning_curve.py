"""Looks at a policy during its fit, against evaluations of the checkpoints of the same updates."""

from dataclasses import replace

import gymnasium as gym
import pytest
from lightning.pytorch.loggers import CSVLogger

from genrl.data.collect import collect
from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConfigurationError
from genrl.data.policies import RandomPolicy
from genrl.evaluation.curves import read_metrics
from genrl.evaluation.evaluate import evaluate
from genrl.evaluation.learning_curve import LearningCurve
from genrl.synthesis import generate
from genrl.training.checkpoint import load
from genrl.training.datamodule import EpisodesData
from genrl.training.ema import EMA
from tests.methods.toy_methods import METHODS, equal_weights
from tests.synthesis.toy_loop import LEARNERS, STEPS, fitted

ENV, LONGEST = "MountainCarContinuous-v0", 25


@pytest.fixture(scope="module")
def car():
    data = collect(ENV, RandomPolicy(gym.make(ENV).action_space), 6, seed=0, max_steps=30)
    return replace(data, card=replace(data.card, dataset_id="toy/car-v0", ref_min_score=-4.0, ref_max_score=0.0))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with generate.one_thread():
        yield


def batches(episodes):
    return EpisodesData(episodes, batch_size=16, val_fraction=0.2, val_batches=1, batches_per_epoch=6)


def curve(every=5, **settings) -> LearningCurve:
    return LearningCurve(every, 3, max_steps=LONGEST, seed=7, **settings)


@pytest.mark.parametrize("average", [False, True], ids=["plain", "averaged"])
@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
def test_a_look_is_an_evaluation_of_the_weights_of_its_update(make, average, car, tmp_path):
    looks, folder = curve(), tmp_path / "checkpoints"
    callbacks = [EMA(0.5)] if average else []
    fitted(make(), None, *callbacks, looks, data=batches(car), folder=folder)
    assert [look["update"] for look in looks.history] == [5, 10]
    stored = sorted(folder.glob("*.ckpt"), key=lambda path: int(path.stem.split("=")[1]))
    per_batch = len(stored) // STEPS  # a learner with several optimisers takes several steps for a batch
    for look in looks.history:
        policy = load(stored[look["update"] * per_batch - 1]).policy()
        seen = evaluate(policy, ENV, 3, 7, max_steps=LONGEST, card=car.card)
        assert look["return"] == seen.mean
        assert look["return_std"] == seen.std
        assert look["length"] == LONGEST
        assert look["score"] == pytest.approx(100 * (seen.mean + 4) / 4)
    assert looks.history[0]["return"] != looks.history[1]["return"]


@pytest.mark.parametrize("average", [False, True], ids=["plain", "averaged"])
def test_a_fit_goes_on_as_if_nobody_had_looked(average, car):
    one, other = LEARNERS["td3bc"](), LEARNERS["td3bc"]()
    fitted(one, None, *[EMA(0.5)] * average, data=batches(car))
    fitted(other, None, *[EMA(0.5)] * average, curve(1), data=batches(car))
    assert equal_weights(one, other)


def test_looks_begin_where_asked_and_are_logged(car, tmp_path):
    looks = curve(2, start=7, num_envs=1)
    logger = CSVLogger(tmp_path, "car", 0)
    fitted(LEARNERS["bc"](), None, looks, data=batches(car), logger=logger)
    assert [look["update"] for look in looks.history] == [8, 10, 12]
    steps, scores = read_metrics(tmp_path / "car" / "version_0" / "metrics.csv")["policy/score"]
    assert steps.tolist() == [8, 10, 12]
    assert scores.tolist() == pytest.approx([look["score"] for look in looks.history])


def test_a_resumed_fit_keeps_what_was_seen(car, tmp_path):
    whole, resumed = curve(3), curve(3)
    fitted(LEARNERS["td3bc"](), None, whole, data=batches(car), folder=tmp_path)
    at = sorted(tmp_path.glob("*.ckpt"), key=lambda path: int(path.stem.split("=")[1]))
    middle = at[len(at) * 8 // STEPS - 1]
    fitted(LEARNERS["td3bc"](), None, resumed, data=batches(car), ckpt_path=middle)
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_another_environment_and_its_options_can_be_named(car):
    looks = LearningCurve(6, 2, env="MountainCarContinuous-v0", env_options={"goal_velocity": 0.01}, max_steps=4)
    fitted(LEARNERS["bc"](), None, looks, data=batches(replace(car, card=DatasetCard("toy/nameless-v0"))))
    assert looks.history[-1]["length"] == 4
    assert "score" not in looks.history[-1]


def test_episodes_begin_where_asked(car):
    asked = []

    def begin(episode, generator):
        asked.append(episode)
        return {"low": -0.5, "high": -0.49}

    fitted(LEARNERS["bc"](), None, curve(6, reset_options=begin), data=batches(car))
    assert asked == [0, 1, 2] * 2


def test_refusals(car):
    with pytest.raises(ConfigurationError, match="every of a LearningCurve must be at least 1"):
        LearningCurve(0)
    with pytest.raises(ConfigurationError, match="has none: leave it out"):
        fitted(next(iter(METHODS.values()))(), None, curve())
    nameless = replace(car, card=DatasetCard("toy/nameless-v0"))
    with pytest.raises(ConfigurationError, match=r"'toy/nameless-v0' names no environment .* give it one with env"):
        fitted(LEARNERS["bc"](), None, curve(), data=batches(nameless))
    with pytest.raises(ConfigurationError, match="No environment 'Nowhere-v0' is registered"):
        fitted(LEARNERS["bc"](), None, LearningCurve(1000, env="Nowhere-v0"), data=batches(car))
