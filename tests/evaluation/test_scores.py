"""Normalised scores against Minari's own, and the references that ship with the package."""

import json
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConfigurationError
from genrl.evaluation.evaluate import evaluate
from genrl.evaluation.scores import reference_scores, references_of, references_where


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A stored Minari data set with reference scores."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffer = EpisodeBuffer(
        observations=np.zeros((3, 1), np.float32),
        actions=np.zeros((2, 1), np.float32),
        rewards=[1.0, 2.0],
        terminations=[False, True],
        truncations=[False, False],
    )
    space = gym.spaces.Box(-1, 1, (1,), np.float32)
    return minari.create_dataset_from_buffers(
        "toy/scores-v0",
        buffer=[buffer],
        env=gym.spec("MountainCarContinuous-v0"),
        observation_space=space,
        action_space=space,
        ref_min_score=-20.5,
        ref_max_score=310.25,
    )


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_scores_are_minaris_in_percent(dataset):
    card = DatasetCard("toy/scores-v0", ref_min_score=-20.5, ref_max_score=310.25)
    returns = np.array([-20.5, 0.0, 100.0, 310.25, 400.0])
    expected = 100 * minari.get_normalized_score(dataset, returns)
    np.testing.assert_allclose(references_of(card).score(returns), expected, rtol=1e-12)


def test_published_references():
    assert reference_scores("hopper").score([-20.272305, 3234.3]).tolist() == [0.0, 100.0]
    assert reference_scores("HalfCheetah-v5") == reference_scores("halfcheetah")
    assert reference_scores("Walker2d-v4").score([1.629008, 4592.3]).tolist() == [0.0, 100.0]
    with pytest.raises(ConfigurationError, match=r"'Swimmer-v5'.*ref_min_score"):
        reference_scores("Swimmer-v5")


def test_a_cards_own_references_come_first():
    card = DatasetCard(env_spec=gym.spec("Hopper-v5").to_json())
    assert references_of(card) == reference_scores("hopper")
    assert references_of(replace(card, ref_min_score=0.0, ref_max_score=1.0)).score(0.25) == 25.0
    assert references_of(DatasetCard(env_spec=gym.spec("Pendulum-v1").to_json())) is None
    assert references_of(DatasetCard()) is None


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (5.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_references_that_measure_nothing_are_refused_before_anything_is_played(low: float, high: float):
    card = DatasetCard("toy/scores-v0", ref_min_score=low, ref_max_score=high)
    with pytest.raises(ConfigurationError, match=r"data set toy/scores-v0 .*set ref_max_score above ref_min_score"):
        references_of(card)
    with pytest.raises(ConfigurationError, match="set ref_max_score above ref_min_score"):
        evaluate(None, None, 1, seed=0, card=card)


def test_the_project_shows_the_file_that_the_package_ships():
    shown = Path(__file__).parents[2] / "data" / "reference_scores.json"
    table = json.loads(shown.read_text())
    assert table["scores"]["hopper"]["max"] == reference_scores("hopper").maximum
    assert "D4RL" in table["source"]


def test_references_of_another_environment_are_no_measure():
    hopper, older, walker, car = (
        DatasetCard(env_spec=gym.spec(name).to_json())
        for name in ("Hopper-v5", "Hopper-v4", "Walker2d-v5", "MountainCarContinuous-v0")
    )
    own = {"ref_min_score": 0.0, "ref_max_score": 1.0}
    assert references_where(older, replace(hopper, **own)).maximum == 1.0
    assert references_where(walker, replace(hopper, **own)) == references_where(walker, None) == references_of(walker)
    assert references_where(car, replace(hopper, **own)) is None
    both = DatasetCard(env_spec=hopper.env_spec, eval_env_spec=walker.env_spec)
    assert references_where(hopper, both) == references_of(hopper)
    assert references_where(DatasetCard(), hopper) == references_of(hopper)
    assert references_where(car, replace(hopper, eval_env_spec=car.env_spec, **own)).maximum == 1.0
    assert (
        references_where(car, DatasetCard(**own)).maximum
        == references_where(DatasetCard(), replace(car, **own)).maximum
    )
