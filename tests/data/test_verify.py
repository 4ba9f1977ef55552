"""``verify`` finds what is wrong with a stored data set and never stumbles over it."""

import json
import os
import warnings
from dataclasses import replace

import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_episodes import any_episodes, hopper
from minari.data_collector.episode_buffer import EpisodeBuffer

import genrl.data.verify as verify_module
from genrl.data.errors import DatasetIdError, DatasetMissingError
from genrl.data.manifest import write_manifest
from genrl.data.store import save
from genrl.data.verify import MOST, verify

MAIN = "data/main_data.hdf5"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def minari_saves(dataset_id, **changes):
    """A data set of Minari's own, without a manifest."""
    fields = {
        "observations": np.zeros((4, 2)),
        "actions": np.zeros((3, 1), np.float32),
        "rewards": np.zeros(3),
        "terminations": np.zeros(3, bool),
        "truncations": np.array([False, False, True]),
    }
    with warnings.catch_warnings(action="ignore"):
        minari.create_dataset_from_buffers(
            dataset_id,
            [EpisodeBuffer(**fields), EpisodeBuffer(**fields | changes)],
            observation_space=spaces.Box(-1, 1, (2,), np.float64),
            action_space=spaces.Box(-1, 1, (1,)),
        )


@given(any_episodes())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_genrl_writes_is_sound(tmp_path, episodes):
    save(episodes, "sound-v0", root=tmp_path, overwrite=True)
    found = verify("sound-v0", tmp_path)
    assert found.problems == ()
    assert found.ok
    assert found.hashed
    assert (found.episodes, found.transitions) == (len(episodes), episodes.num_transitions)
    assert "nothing wrong" in str(found)


def test_data_sets_without_a_manifest_are_read_all_the_same(root):
    minari_saves("theirs-v0")
    found = verify("theirs-v0")
    assert found.ok
    assert not found.hashed
    assert (found.episodes, found.transitions) == (2, 6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_the_file_is_found(tmp_path, place, bit):
    path = save(hopper([20, 30]), "flipped-v0", root=tmp_path, overwrite=True) / MAIN
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    found = verify("flipped-v0", tmp_path)
    assert not found.ok
    assert f"{path} has changed since it was written" in found.problems[0]


def test_a_flipped_bit_in_a_reward_is_silent_to_minari(root):
    path = save(hopper([20]), "flipped-v0")
    with h5py.File(path / MAIN) as file:
        offset = file["episode_0/rewards"].id.get_chunk_info(0).byte_offset
    content = bytearray((path / MAIN).read_bytes())
    content[offset + 6] ^= 1
    (path / MAIN).write_bytes(content)
    assert not np.array_equal(minari.load_dataset("flipped-v0")[0].rewards, hopper([20]).rewards)
    assert [problem.split(" has ")[0] for problem in verify("flipped-v0").problems] == [str(path / MAIN)]


@pytest.mark.parametrize("kept", [0, 1000, 20_000])
def test_a_truncated_file_is_a_problem_and_no_crash(root, kept):
    path = save(hopper([200] * 5), "cut-v0")
    os.truncate(path / MAIN, kept)
    found = verify("cut-v0")
    assert found.hashed
    assert any("has changed" in problem for problem in found.problems)
    assert any("cannot be read" in problem for problem in found.problems)
    assert any("The metadata count 5 episodes and 1000 transitions; 0 and 0" in problem for problem in found.problems)
    assert "4 problems" in str(found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actions": np.zeros((2, 1), "f4")}, "episode 1: action '' has 2 rows where 3 rewards need 3"),
        ({"observations": np.zeros((3, 2))}, "episode 1: observation '' has 3 rows where 3 rewards need 4"),
        (
            {"terminations": np.array([False, False, True])},
            "episode 1, step 2: termination and truncation are both set",
        ),
        ({"truncations": np.zeros(3, bool)}, "episode 1, step 2: the episode ends without a flag"),
        ({"truncations": np.ones(3, bool)}, "episode 1, step 0: an end flag is set in the middle"),
        ({"rewards": np.array([0, np.nan, 0])}, "episode 1, step 1: reward is NaN"),
        ({"observations": np.full((4, 2), np.inf)}, "episode 1, step 0: observation '' is NaN or infinite"),
        ({"actions": np.full((3, 1), 2, "f4")}, "episode 1, step 0: action '' = [2.] lies outside"),
    ],
)
def test_bad_episodes_are_named_with_their_fault(root, changes, words):
    minari_saves("bad-v0", **changes)
    found = verify("bad-v0")
    assert len(found.problems) == 1
    assert words in found.problems[0]
    assert found.episodes == 2


def test_every_problem_counts_but_not_every_one_is_printed(root):
    episodes = hopper([2] * (MOST + 20))
    path = save(episodes, "many-v0")
    with h5py.File(path / MAIN, "a") as file:
        for index in range(len(episodes)):
            file[f"episode_{index}/rewards"][0] = np.nan
    found = verify("many-v0")
    assert len(found.problems) == MOST + 1
    assert found.problems[-1] == "21 more problems are not listed."  # one of them for the hash
    assert f"; {MOST + 21} problems:" in str(found)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "data/extra.bin").write_bytes(b"x"), "not in the manifest"),
        (lambda path: (path / "data/metadata.json").unlink(), "metadata.json is missing"),
        (lambda path: (path / "genrl.json").write_text("{"), "genrl.json cannot be read"),
        (lambda path: edit(path / "genrl.json", format=99), "format 99"),
        (lambda path: edit(path / "genrl.json", episodes=3), "genrl.json was altered"),
        (lambda path: edit(path / "genrl.json", provenance={"source": "elsewhere"}), "genrl.json was altered"),
        (lambda path: write_manifest(path, "around-v0", 3, 5, {}), "The manifest counts 3 episodes"),
        (lambda path: edit(path / "data/metadata.json", dataset_id="other-v0"), "call the data set 'other-v0'"),
        (
            lambda path: edit(path / "data/metadata.json", total_steps=4),
            "The metadata count 2 episodes and 4 transitions",
        ),
        (
            lambda path: edit(path / "data/metadata.json", total_episodes=1, total_steps=2),
            "The data file holds 2 episodes and the metadata count 1 of them",
        ),
        (lambda path: edit(path / "data/metadata.json", minari_version="9.9.9"), "Minari cannot open"),
    ],
)
def test_damage_around_the_data(root, damage, words):
    path = save(hopper([2, 3]), "around-v0")
    damage(path)
    found = verify("around-v0")
    assert any(words in problem for problem in found.problems), found.problems


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_empty_stub_is_a_problem(root):
    with warnings.catch_warnings(action="ignore"):
        minari.create_dataset_from_buffers(
            "stub-v0", [], observation_space=spaces.Discrete(2), action_space=spaces.Discrete(2)
        )
    assert "holds no episode" in verify("stub-v0").problems[0]


def test_only_a_missing_data_set_is_an_error(root):
    with pytest.raises(DatasetMissingError):
        verify("missing-v0")
    with pytest.raises(DatasetIdError):
        verify("missing")


def test_a_data_set_that_is_replaced_meanwhile_is_examined_anew(root, monkeypatch):
    save(hopper([2, 3]), "moving-v0")
    original, times = verify_module.read_manifest, iter([1])

    def late(path):
        manifest = original(path)
        for _ in times:
            save(hopper([4]), "moving-v0", overwrite=True)
        return manifest

    monkeypatch.setattr(verify_module, "read_manifest", late)
    found = verify("moving-v0")
    assert (found.problems, found.episodes, found.transitions) == ((), 1, 4)


def test_a_card_does_not_matter_for_soundness(root):
    episodes = hopper([2])
    save(replace(episodes, card=replace(episodes.card, description="x" * 1000)), "card-v0", provenance={"a": [1, None]})
    assert verify("card-v0").ok
