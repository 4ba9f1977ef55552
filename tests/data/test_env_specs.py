"""Environments that a card records: what is no specification is refused by the name of the data set."""

import json

import gymnasium as gym
import pytest

from genrl.data.env_specs import recorded_entries, recorded_spec
from genrl.data.episodes import DatasetCard
from genrl.data.errors import CorruptDatasetError

CARTPOLE, ACROBOT = (gym.spec(name) for name in ("CartPole-v1", "Acrobot-v1"))
NO_SPEC = ["{", '{"a": 1}', "[1]", "5", 5, '{"id": 5}', '{"id": "Hopper-v5", "kwargs": [1]}', ""]


def test_the_first_recorded_environment_is_taken():
    card = DatasetCard(eval_env_spec=ACROBOT.to_json())
    assert recorded_spec(card, "env_spec", "eval_env_spec") == ACROBOT
    assert recorded_spec(card, "env_spec") is None
    both = DatasetCard(env_spec=CARTPOLE.to_json(), eval_env_spec=ACROBOT.to_json())
    assert recorded_spec(both, "env_spec", "eval_env_spec") == CARTPOLE
    assert recorded_entries(both)["id"] == "CartPole-v1"
    assert recorded_entries(both, "eval_env_spec")["id"] == "Acrobot-v1"


@pytest.mark.parametrize("stored", NO_SPEC)
def test_what_is_no_specification_is_refused(stored):
    for card in (DatasetCard("my-v0", env_spec=stored), DatasetCard("my-v0", eval_env_spec=stored)):
        with pytest.raises(CorruptDatasetError, match=r"'my-v0': the (eval_)?env_spec in its metadata is not"):
            recorded_spec(card, "eval_env_spec", "env_spec")


@pytest.mark.parametrize("stored", ['{"id": "Nope-v3"}', '{"id": "Nope-v3", "additional_wrappers": [], "colour": 1}'])
def test_an_id_alone_is_no_environment_that_could_be_made(stored):
    card = DatasetCard("my-v0", env_spec=stored)
    assert recorded_entries(card)["id"] == "Nope-v3"
    with pytest.raises(CorruptDatasetError, match=r"additional_wrappers|colour"):
        recorded_spec(card, "env_spec")


def test_what_gymnasium_wrote_before_its_first_version_is_read():
    entries = json.loads(gym.spec("CartPole-v1").to_json()) | {"autoreset": False, "apply_api_compatibility": False}
    assert recorded_spec(DatasetCard(env_spec=json.dumps(entries)), "env_spec").id == "CartPole-v1"
