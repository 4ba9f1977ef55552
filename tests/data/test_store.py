"""Minari data sets in and out: without loss, with every field, whole or not at all."""

import json
import os
import shutil
import tempfile
import warnings
from dataclasses import replace
from functools import partial

import gymnasium as gym
import gymnasium_robotics
import h5py
import minari
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from made_episodes import any_episodes, assert_same, hopper, image, make, same_bits, same_leaves
from minari.data_collector.episode_buffer import EpisodeBuffer

from genrl.data import store
from genrl.data.episodes import DatasetCard, concatenate
from genrl.data.errors import (
    AlignmentError,
    ConfigurationError,
    CorruptDatasetError,
    DatasetError,
    DatasetExistsError,
    DatasetIdError,
    DatasetMissingError,
    EmptyDatasetError,
    FlagError,
    NonFiniteError,
    UnsupportedSpaceError,
)
from genrl.data.info import info
from genrl.data.spaces import flatten
from genrl.data.store import dataset_path, exists, load, save
from genrl.data.verify import verify

gym.register_envs(gymnasium_robotics)
MAIN = "data/main_data.hdf5"
FULL_CARD = DatasetCard(
    env_spec=gym.spec("PointMaze_UMaze-v3").to_json(),
    eval_env_spec=gym.spec("PointMaze_Medium-v3").to_json(),
    algorithm_name="waypoints",
    author=("Zoe", "Adam", "Mia"),
    author_email=("zoe@example.org",),
    code_permalink="https://example.org/code",
    description="Everything a card can hold.",
    ref_min_score=-1.25,
    ref_max_score=17.5,
    requirements=("gymnasium-robotics>=1.4",),
    num_episodes_average_score=20,
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def minari_saves(dataset_id, episodes=2, steps=5, observation_space=None, **changes):
    """A data set written by Minari itself."""
    rng = np.random.default_rng(0)
    observation_space = observation_space or spaces.Box(-np.inf, np.inf, (3,))
    end = np.arange(steps) == steps - 1

    def observations():
        if observation_space.dtype == np.uint8:
            return rng.integers(0, 256, (steps + 1, *observation_space.shape)).astype(np.uint8)
        return rng.standard_normal((steps + 1, *observation_space.shape)).astype(observation_space.dtype)

    fields = {"actions": np.ones(steps, int), "rewards": np.zeros(steps), "terminations": end & False}
    buffers = [
        EpisodeBuffer(**{"observations": observations(), "truncations": end, **fields, **changes})
        for _ in range(episodes)
    ]
    with warnings.catch_warnings(action="ignore"):
        minari.create_dataset_from_buffers(
            dataset_id, buffers, observation_space=observation_space, action_space=spaces.Discrete(2)
        )
    return buffers


@given(any_episodes())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_read_back_bit_by_bit_by_minari_and_by_us(tmp_path, episodes):
    path = save(episodes, "round/trip-v0", root=tmp_path, overwrite=True)
    theirs = minari.MinariDataset(path / "data")
    assert theirs.observation_space == episodes.observation_space
    assert theirs.action_space == episodes.action_space
    assert (theirs.total_episodes, theirs.total_steps) == (len(episodes), episodes.num_transitions)
    for ours, other, record in zip(
        episodes, theirs, theirs.storage.get_episode_metadata(range(len(episodes))), strict=True
    ):
        assert same_leaves(flatten(theirs.observation_space, other.observations), ours.observations)
        assert same_leaves(flatten(theirs.action_space, other.actions), ours.actions)
        for name in ("rewards", "terminations", "truncations"):
            assert same_bits(getattr(other, name), getattr(ours, name))
        assert same_bits(other.infos["success"], ours.infos["success"])
        assert same_bits(other.infos["deep"]["position"], ours.infos["deep/position"])
        assert same_bits(other.infos["deep"]["pixels"], ours.infos["deep/pixels"])
        assert record.get("seed", -1) == int(ours.seeds[0])
        assert repr(other).startswith("EpisodeData")
    assert_same(load("round/trip-v0", tmp_path), episodes)


def test_parts_are_streamed_one_after_the_other(root):
    parts = [hopper([3, 1], 0), hopper([5], 1).select([]), hopper([2], 2), hopper([4, 4], 3)]
    save(iter(parts), "streamed-v0")
    assert_same(load("streamed-v0"), concatenate(parts))


def test_a_stream_holds_one_part_at_a_time(root):
    import gc
    import weakref

    alive = []

    def stream():
        for seed in range(4):
            gc.collect()
            assert [part for part in alive if part() is not None] == [], "an earlier part is still held"
            part = hopper([50, 50], seed)
            alive.extend(weakref.ref(leaf) for leaf in (part.rewards, part.observations[""], part.actions[""]))
            yield part
            del part

    save(stream(), "streamed-v0")


def test_the_same_data_give_the_same_bytes(root):
    first = save(hopper([3, 4], card=FULL_CARD), "same-v0", provenance={"seed": 1})
    before = {path: path.read_bytes() for path in sorted(first.rglob("*")) if path.is_file()}
    save([hopper([3, 4], card=FULL_CARD)], "same-v0", overwrite=True, provenance={"seed": 1})
    assert {path: path.read_bytes() for path in sorted(first.rglob("*")) if path.is_file()} == before


def test_the_card_survives_and_minari_knows_every_field(root):
    save(hopper([3], card=FULL_CARD), "full-v0")
    assert load("full-v0").card == replace(FULL_CARD, dataset_id="full-v0")
    theirs = minari.load_dataset("full-v0")
    assert theirs.spec.env_spec == gym.spec("PointMaze_UMaze-v3")
    assert minari.get_normalized_score(theirs, np.array([17.5])) == 1.0
    assert theirs.storage.metadata["author"] == {"Zoe", "Adam", "Mia"}


def test_the_environment_of_a_saved_maze_can_be_made_again(root):
    env = gym.make("PointMaze_UMaze-v3")
    episodes = make(env.observation_space, env.action_space, [3], card=DatasetCard(env_spec=env.spec.to_json()))
    save(episodes, "pointmaze/umaze-v0")
    again = minari.load_dataset("pointmaze/umaze-v0").recover_environment()
    assert again.spec.id == "PointMaze_UMaze-v3"
    assert again.observation_space == env.observation_space
    env.close(), again.close()


def test_our_metadata_have_the_fields_of_minari_and_keep_a_foreign_card(root):
    """Copying a data set of Minari's through load and save changes its id, nothing else."""
    end = np.array([False, True])
    env = gym.make("PointMaze_UMaze-v3")
    rows = {key: np.zeros((3, *leaf.shape)) for key, leaf in env.observation_space.spaces.items()}
    buffer = EpisodeBuffer(
        seed=5,
        observations=rows,
        actions=np.zeros((2, 2), "f4"),
        rewards=np.ones(2),
        terminations=end,
        truncations=~end & end,
    )
    minari.create_dataset_from_buffers(
        "theirs/copied-v0",
        [buffer],
        env=env,
        eval_env="PointMaze_Medium-v3",
        algorithm_name="none",
        author="Ann",
        author_email="ann@example.org",
        code_permalink="https://example.org",
        ref_min_score=0.5,
        ref_max_score=2.5,
        num_episodes_average_score=7,
        description="A maze.",
        requirements=["numpy"],
    )
    save(load("theirs/copied-v0"), "ours/copied-v0")
    theirs, ours = (
        json.loads((root / name / "copied-v0/data/metadata.json").read_text()) for name in ("theirs", "ours")
    )
    assert {**theirs, "dataset_id": "", "dataset_size": 0} == {**ours, "dataset_id": "", "dataset_size": 0}
    assert load("ours/copied-v0").seeds.tolist() == [5]
    env.close()


def test_data_sets_and_their_namespaces_are_listed_by_minari(root):
    save(hopper([2]), "genrl/maze/one-v0")
    save(hopper([2]), "two-v1")
    assert set(minari.list_local_datasets()) == {"genrl/maze/one-v0", "two-v1"}
    assert minari.namespace.list_local_namespaces() == ["genrl", "genrl/maze"]
    assert sorted(path.name for path in root.iterdir()) == ["genrl", "two-v1"]
    assert exists("two-v1")
    assert not exists("two-v0")
    assert dataset_path("two-v1") == root / "two-v1"


def test_the_root_can_be_given_or_taken_from_the_environment(tmp_path, root):
    elsewhere = tmp_path / "elsewhere"
    save(hopper([2]), "there-v0", root=elsewhere)
    assert exists("there-v0", elsewhere)
    assert not exists("there-v0")


def test_the_root_can_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    episodes = hopper([4, 2])
    path = save(episodes, "toy/relative-v0", root="sets")
    assert path == tmp_path / "sets" / "toy" / "relative-v0"
    assert_same(load("toy/relative-v0", root="sets"), episodes)


def test_minari_can_append_to_what_we_wrote(root):
    episodes = hopper([3, 2, 4])
    path = save(episodes[:2], "longer-v0")
    fields = {name: getattr(episodes[2], name).numpy() for name in ("rewards", "terminations", "truncations")}
    rows = {"observations": episodes[2].observations[""].numpy(), "actions": episodes[2].actions[""].numpy()}
    seed = int(episodes.seeds[2])
    buffer = EpisodeBuffer(**fields, **rows, seed=None if seed < 0 else seed)
    minari.load_dataset("longer-v0").update_dataset_from_buffer([buffer])
    (path / "genrl.json").unlink()
    assert_same(load("longer-v0"), replace(episodes, infos={}))


def test_short_episodes_take_a_third_of_minaris_bytes(root):
    episodes = hopper([5] * 200)
    ours = (save(replace(episodes, infos={}), "ours-v0") / MAIN).stat().st_size
    buffers = [
        EpisodeBuffer(
            observations=part.observations[""].numpy(),
            actions=part.actions[""].numpy(),
            rewards=part.rewards.numpy(),
            terminations=part.terminations.numpy(),
            truncations=part.truncations.numpy(),
        )
        for part in episodes
    ]
    spaces_of = {"observation_space": episodes.observation_space, "action_space": episodes.action_space}
    with warnings.catch_warnings(action="ignore"):
        minari.create_dataset_from_buffers("theirs-v0", buffers, **spaces_of)
    assert ours < 0.4 * (root / "theirs-v0" / MAIN).stat().st_size


# What is refused


@pytest.mark.parametrize(
    "dataset_id", ["hopper", "hopper-v", "a/hopper-v0", "my data-v0", "data/hopper-v0", "../x-v0", "a//b-v0"]
)
def test_malformed_ids(root, dataset_id):
    for attempt in (lambda: load(dataset_id), lambda: save(hopper([2]), dataset_id), lambda: exists(dataset_id)):
        with pytest.raises(DatasetIdError, match="is not a data set id"):
            attempt()


def test_a_missing_data_set_says_where_it_looked_and_what_is_there(root):
    save(hopper([2]), "genrl/here-v3")
    with pytest.raises(DatasetMissingError) as raised:
        load("genrl/here-v2")
    for word in (str(root), "here-v3", "download=True", "minari download genrl/here-v2", "MINARI_DATASETS_PATH"):
        assert word in str(raised.value)


def test_an_existing_data_set_is_replaced_only_when_asked_for(root):
    save(hopper([2, 3], 0), "kept-v0")
    with pytest.raises(DatasetExistsError, match="overwrite=True"):
        save(hopper([4], 1), "kept-v0")
    assert_same(load("kept-v0"), hopper([2, 3], 0))
    save(hopper([4], 1), "kept-v0", overwrite=True)
    assert_same(load("kept-v0"), hopper([4], 1))
    assert [path.name for path in root.iterdir()] == ["kept-v0"]


def test_a_failed_overwrite_keeps_the_old_one(root):
    save(hopper([2, 3], 0), "kept-v0")

    def stream():
        yield hopper([2], 1)
        raise RuntimeError("the model fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        save(stream(), "kept-v0", overwrite=True)
    assert_same(load("kept-v0"), hopper([2, 3], 0))
    assert [path.name for path in root.iterdir()] == ["kept-v0"]


@pytest.mark.parametrize("longer", [False, True])
@pytest.mark.parametrize("moment", ["_require_unchanged", "Reader", "Reader.episodes", "Reader.seeds"])
def test_a_data_set_that_is_replaced_while_it_is_read_is_never_a_mixture(root, monkeypatch, moment, longer):
    old, new = hopper([2, 3], 0), hopper([2, 3, 4] if longer else [4], 1)
    save(old, "moving-v0")
    home, name = (store.Reader, moment.partition(".")[2]) if "." in moment else (store, moment)
    original, times = getattr(home, name), iter([1])

    def late(*arguments):
        for _ in times:
            save(new, "moving-v0", overwrite=True)
        return original(*arguments)

    monkeypatch.setattr(home, name, late)
    assert_same(load("moving-v0"), new)


def test_a_data_set_that_is_replaced_all_the_time_is_given_up(root, monkeypatch):
    save(hopper([2]), "moving-v0")
    original = store.Reader.seeds

    def late(self):
        save(hopper([3]), "moving-v0", overwrite=True)
        return original(self)

    monkeypatch.setattr(store.Reader, "seeds", late)
    with pytest.raises(DatasetError, match="was replaced 5 times while it was read"):
        load("moving-v0")


def test_a_data_set_can_be_made_from_itself(root):
    save(hopper([2, 3]), "itself-v0")
    save((part for part in load("itself-v0")), "itself-v0", overwrite=True)
    assert_same(load("itself-v0"), hopper([2, 3]))


def test_data_sets_cannot_hide_each_other(root):
    save(hopper([2]), "outer/inner-v0")
    with pytest.raises(DatasetExistsError, match="itself a data set"):
        save(hopper([2]), "outer/inner-v0/nested-v0")
    save(hopper([2]), "space-v0/inner-v0")
    with pytest.raises(DatasetExistsError, match="is in the way"):
        save(hopper([2]), "space-v0", overwrite=True)
    assert exists("space-v0/inner-v0")
    for file, dataset_id in (("plain-v0", "plain-v0"), ("folder", "folder/deep/inner-v0")):
        (root / file).write_text("x")
        with pytest.raises(DatasetExistsError, match=f"{file} is a file"):
            save(hopper([2]), dataset_id, overwrite=True)


def test_unsound_parts_leave_nothing_behind(root):
    bad = hopper([2, 3])
    bad.rewards[3] = torch.nan
    with pytest.raises(NonFiniteError, match="'bad-v0', episode 3, step 1: reward"):
        save([hopper([2, 2]), bad], "bad-v0")
    with pytest.raises(ConfigurationError, match="from episode 1 on: the spaces are"):
        save([hopper([2]), make(spaces.Discrete(2), spaces.Discrete(2), [2])], "bad-v0")
    for nothing in ([], [hopper([2]).select([])], iter(())):
        with pytest.raises(EmptyDatasetError, match="'bad-v0' would hold no episode"):
            save(nothing, "bad-v0")
    with pytest.raises(ConfigurationError, match="provenance"):
        save(hopper([2]), "bad-v0", provenance={"model": object()})
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["reward", "reward/ctrl"], "info 'reward/ctrl' cannot be stored inside the info 'reward'"),
        (["a/b/c", "a"], "info 'a/b/c' .* 'a'"),
        ([""], "info '' has an empty name"),
        (["."], r"info '\.'"),
        (["/x"], "info '/x'"),
    ],
)
def test_infos_whose_names_cannot_be_stored_are_named(root, names, words):
    episodes = replace(hopper([2, 3]), infos={name: torch.zeros(5) for name in names})
    with pytest.raises(AlignmentError, match=words):
        save(episodes, "names-v0")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("shape", [(32, 32, 1), (64, 64, 5)])
def test_images_that_minari_cannot_hold_without_loss_are_refused_by_name(root, shape):
    episodes = make(spaces.Dict(camera=image(shape)), spaces.Discrete(2), [2])
    with pytest.raises(UnsupportedSpaceError, match=r"'pixels-v0': leaf 'camera' has images of shape"):
        save(episodes, "pixels-v0")
    assert not exists("pixels-v0")


def test_small_images_that_minari_stored_as_jpeg_are_refused_by_name(root):
    minari_saves("grid-v0", observation_space=image((7, 7, 3)))
    with pytest.raises(UnsupportedSpaceError, match=r"episode 0: observation '' comes as rows of shape.*JPEG"):
        load("grid-v0")


def test_images_that_minari_stored_as_jpeg_come_with_a_warning_and_ours_without(root):
    minari_saves("atari-v0", observation_space=image((40, 40, 3)))
    with pytest.warns(UserWarning, match="observations '' as JPEG"):
        blurred = load("atari-v0")
    save(blurred, "ours-v0")
    with warnings.catch_warnings(action="error"):
        assert_same(load("ours-v0"), blurred)


def test_a_failed_creation_by_minari_is_an_empty_data_set_and_can_be_replaced(root):
    with pytest.raises(TypeError):
        minari_saves("stub-v0", actions=object())
    assert len(minari.load_dataset("stub-v0")) == 0  # it looks sound to Minari
    with pytest.raises(EmptyDatasetError, match=r"'stub-v0' in .*stub-v0 holds no episode.*Delete"):
        load("stub-v0")
    save(hopper([2]), "stub-v0", overwrite=True)
    assert len(load("stub-v0")) == 1


@pytest.fixture(params=["with manifest", "without manifest"])
def forget(request):
    """Makes a data set one that genrl did not write, or not: damage must show either way."""
    return (lambda path: None) if request.param == "with manifest" else lambda path: (path / "genrl.json").unlink()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_named_with_the_remedy(root, kept, forget):
    path = save(hopper([200] * 20), "cut-v0")
    forget(path)
    os.truncate(path / MAIN, int(kept * (path / MAIN).stat().st_size))
    with pytest.raises(CorruptDatasetError, match=r"main_data\.hdf5 .*truncated.*delete .*cut-v0 and download"):
        load("cut-v0")


def damaged(path, what):
    metadata = path / "data/metadata.json"
    content = json.loads(metadata.read_text())
    match what:
        case "cut metadata":
            metadata.write_text(metadata.read_text()[:80])
        case "no metadata":
            metadata.unlink()
        case "no data file":
            (path / MAIN).unlink()
        case "fewer episodes":
            metadata.write_text(json.dumps(content | {"total_episodes": 5, "total_steps": 14}))
        case "more episodes":
            metadata.write_text(json.dumps(content | {"total_episodes": 1, "total_steps": 2}))
        case "fewer steps":
            metadata.write_text(json.dumps(content | {"total_steps": 8}))
        case "more steps":
            metadata.write_text(json.dumps(content | {"total_steps": 3}))
        case "no counts":
            metadata.write_text(json.dumps({"data_format": "hdf5"}))
        case "unknown format":
            metadata.write_text(json.dumps(content | {"data_format": "clay"}))


@pytest.mark.parametrize(
    "what",
    [
        "cut metadata",
        "no metadata",
        "no data file",
        "fewer episodes",
        "more episodes",
        "fewer steps",
        "more steps",
        "no counts",
        "unknown format",
    ],
)
def test_half_written_data_sets_are_corrupt(root, what, forget):
    path = save(hopper([2, 3]), "half-v0")
    forget(path)
    damaged(path, what)
    with pytest.raises(CorruptDatasetError, match=r"half-v0/data.*[Dd]elete"):
        load("half-v0")


@pytest.mark.parametrize("changes", [{"total_episodes": None}, {"total_steps": "x"}, {"author": 5}])
def test_metadata_that_cannot_be_are_named(root, changes):
    path = save(hopper([2, 3]), "odd-v0")
    (path / "genrl.json").unlink()
    metadata = path / "data/metadata.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | changes))
    for read in (load, info):
        with pytest.raises(CorruptDatasetError, match=rf"data/metadata\.json has {next(iter(changes))} = "):
            read("odd-v0")
    assert not verify("odd-v0").ok


def test_a_flipped_bit_is_corrupt_unless_the_change_was_meant(root):
    path = save(hopper([20]), "flipped-v0")
    with h5py.File(path / MAIN) as file:
        offset = file["episode_0/rewards"].id.get_chunk_info(0).byte_offset
    content = bytearray((path / MAIN).read_bytes())
    content[offset + 6] ^= 1
    (path / MAIN).write_bytes(content)
    with pytest.raises(CorruptDatasetError, match=r"main_data\.hdf5 has changed.*delete .*genrl\.json"):
        load("flipped-v0")
    (path / "genrl.json").unlink()
    assert (load("flipped-v0").rewards != hopper([20]).rewards).sum() == 1


def test_a_format_whose_package_is_missing_is_named(root):
    minari_saves("table-v0")
    metadata = root / "table-v0/data/metadata.json"
    metadata.write_text(metadata.read_text().replace('"hdf5"', '"arrow"'))
    with pytest.raises((ConfigurationError, CorruptDatasetError), match=r"pyarrow|Arrow"):
        load("table-v0")


# What other writers leave


def test_misaligned_episodes_of_other_writers(root):
    minari_saves("short-v0", actions=np.zeros(4, int))
    with pytest.raises(AlignmentError, match=r"'short-v0', episode 0: action '' has 4 rows where 5 rewards need 5"):
        load("short-v0")


def test_missing_and_doubled_flags_can_be_mended(root):
    minari_saves("open-v0", truncations=np.zeros(5, bool))
    with pytest.raises(FlagError, match="'open-v0', episode 0, step 4: the episode ends without a flag"):
        load("open-v0")
    assert load("open-v0", mend_flags=True).truncations.sum() == 2
    minari_saves("twice-v0", terminations=np.arange(5) == 4)
    with pytest.raises(FlagError, match="both set"):
        load("twice-v0")
    mended = load("twice-v0", mend_flags=True)
    assert (mended.terminations.sum(), mended.truncations.sum()) == (2, 0)


def test_infos_stay_where_they_are_numbers_in_every_episode(root):
    numbers = {"x": np.arange(5), "y": {"z": np.ones((6, 2))}, "words": ["a"] * 5, "short": np.zeros(3)}
    minari_saves("infos-v0", infos=numbers)
    infos = load("infos-v0").infos
    assert set(infos) == {"x", "y/z"}
    assert infos["x"].tolist() == [0, 1, 2, 3, 4] * 2
    assert infos["y/z"].shape == (12, 2)


def test_infos_that_only_some_episodes_have_are_left_out(root):
    minari_saves("some-v0", infos={"always": np.zeros(5), "once": np.zeros(5), "form": np.zeros(5)})
    more = minari.load_dataset("some-v0")
    buffer = EpisodeBuffer(
        observations=np.zeros((3, 3), "f4"),
        actions=np.zeros(2, int),
        rewards=np.zeros(2),
        terminations=np.array([False, True]),
        truncations=np.zeros(2, bool),
        infos={"always": np.ones(2), "form": np.zeros(3), "late": np.zeros(2)},
    )
    more.update_dataset_from_buffer([buffer])
    episodes = load("some-v0")
    assert set(episodes.infos) == {"always"}
    assert episodes.infos["always"].tolist() == [0.0] * 10 + [1.0] * 2


def test_leaves_of_growing_dtype_are_widened(root):
    minari_saves("wide-v0", rewards=np.zeros(5, np.float32))
    dataset = minari.load_dataset("wide-v0")
    end = np.array([True])
    dataset.update_dataset_from_buffer(
        [EpisodeBuffer(None, None, None, np.zeros((2, 3), "f4"), np.zeros(1, int), np.array([1 / 3]), end, ~end)]
    )
    assert load("wide-v0").rewards[-1] == 1 / 3


def test_a_data_set_moved_elsewhere_still_loads(root, tmp_path):
    shutil.move(save(hopper([2]), "moved-v0"), tmp_path / "other-v0")
    assert load("other-v0").card.dataset_id == "other-v0"


def test_seeds_of_64_bits_as_minaris_collector_draws_them_are_unknown(root):
    kept, large = (
        EpisodeBuffer(
            seed=seed,
            observations=np.zeros((3, 2), np.float32),
            actions=np.zeros((2, 1), np.float32),
            rewards=np.zeros(2),
            terminations=np.array([False, True]),
            truncations=np.zeros(2, bool),
            infos={},
        )
        for seed in (2**63 - 1, 2**64 - 5)
    )
    box = partial(gym.spaces.Box, -1, 1)
    minari.create_dataset_from_buffers(
        "toy/seeds-v0", buffer=[kept, large], observation_space=box((2,)), action_space=box((1,))
    )
    assert load("toy/seeds-v0", root).seeds.tolist() == [2**63 - 1, -1]
    assert verify("toy/seeds-v0", root).ok


def test_provenance_is_what_json_gives_back(root):
    save(hopper([3]), "toy/numbered-v0", root=root, provenance={"counts": {9: 1, 10: 2, "a": 3}})
    load("toy/numbered-v0", root)
    assert info("toy/numbered-v0", root).provenance["counts"] == {"9": 1, "10": 2, "a": 3}


def test_a_link_to_another_file_system_is_refused_before_any_work(root):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == os.stat(root).st_dev:
            pytest.skip("there is one file system alone")
        (root / "big").symlink_to(other)
        with pytest.raises(DatasetError, match="lies on another file system than"):
            save(iter(()), "big/x-v0", root=root)


def test_cards_take_one_name_and_numbers_of_numpy(root):
    card = DatasetCard(author="Ann", requirements=["torch"], ref_min_score=np.float32(0.5), ref_max_score=2)
    save(hopper([3]), "toy/card-v0", card=card, root=root)
    known = load("toy/card-v0", root).card
    assert (known.author, known.requirements, known.ref_min_score) == (("Ann",), ("torch",), 0.5)
