"""From a fitted method to a finished data set: the same bytes whatever happens on the way."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import minari
import numpy as np
import pytest
import torch

from genrl.data.checks import check
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConditionError, ConfigurationError, DatasetExistsError, DatasetIdError, WorkerError
from genrl.data.policies import RandomPolicy
from genrl.data.room import size
from genrl.data.store import load, save
from genrl.data.verify import verify
from genrl.methods.method import Block
from genrl.synthesis.forecast import forecast
from genrl.synthesis.generate import Plan, sample
from genrl.synthesis.relabel import Rewards
from genrl.synthesis.shards import Shards, identity
from genrl.synthesis.synthesize import synthesize
from genrl.training import checkpoint
from genrl.training.fit import fit
from genrl.training.spec import fingerprint
from tests.methods.toy_methods import METHODS, InterruptionError, Watched, assert_close, linear, walks

PLAN = Plan(episodes=10, seed=3, block_size=4)
ID = "toy/made-v0"


@pytest.fixture(scope="module")
def method() -> Watched:
    data = replace(linear(), card=DatasetCard("toy/real-v0", author=("Ann",), ref_max_score=3.0))
    base = METHODS["trajectory-mlp"]()
    watched = Watched(**{name: getattr(base, name) for name in base.configuration()})
    return fit(watched, data, 5, progress=False)


@pytest.fixture(scope="module")
def made(method, tmp_path_factory) -> Path:
    """The root under which ``ID`` was made without any trouble."""
    root = tmp_path_factory.mktemp("made")
    synthesize(method, ID, PLAN, root=root, progress=False)
    return root


def content(root: Path) -> str:
    return fingerprint(load(ID, root=root))


def file_bytes(root: Path) -> dict[str, str]:
    return json.loads((root / ID / "genrl.json").read_text())["files"]


def test_a_plan_is_cut_into_blocks():
    assert PLAN.blocks() == [Block(3, 0, 4), Block(3, 1, 4), Block(3, 2, 2)]
    assert Plan(4, block_size=4).blocks() == [Block(0, 0, 4)]
    for name in ("episodes", "block_size", "length", "batch_size"):
        with pytest.raises(ConfigurationError, match=f"{name} must be at least 1, not 0"):
            Plan(**{"episodes": 1, name: 0})
    with pytest.raises(ConfigurationError, match="seed must be at least 0, not -1"):
        Plan(1, seed=-1)
    with pytest.raises(ConditionError, match="'start' has 3 rows for a batch of 10"):
        Plan(10, conditions=Conditions(start=torch.zeros(3, 2)))


def test_each_block_gets_its_own_wishes(method):
    start = torch.randn(10, 2)
    made = sample(method, 10, conditions=Conditions(start=start))
    blocks = replace(PLAN, seed=0, conditions=Conditions(start=start))
    parts = [blocks.make(method, block) for block in blocks.blocks()]
    for episodes in ([made], parts):
        got = torch.cat([part.observations[""][part.observation_starts] for part in episodes])
        torch.testing.assert_close(got, start, atol=1e-5, rtol=0)


def test_the_data_set_is_sound_and_says_where_it_comes_from(method, made):
    assert verify(ID, root=made).ok
    episodes = load(ID, root=made)
    assert len(episodes) == 10
    assert episodes.card.algorithm_name == "Watched"
    assert "toy/real-v0" in episodes.card.description
    assert episodes.card.author == ("Ann",)
    assert episodes.card.ref_max_score == 3.0
    provenance = json.loads((made / ID / "genrl.json").read_text())["provenance"]
    assert provenance["trained_on"] == {"dataset_id": "toy/real-v0", "sha256": method.spec.fingerprint}
    assert provenance["configuration"]["horizon"] == 4
    assert (provenance["seed"], provenance["episodes"], provenance["block_size"]) == (3, 10, 4)
    assert not list((made / ".genrl-blocks").iterdir())  # nothing is left behind


def test_minari_reads_it(made, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(made))
    ours, theirs = load(ID, root=made), minari.load_dataset(ID)
    assert theirs.total_steps == ours.num_transitions
    np.testing.assert_array_equal(theirs[0].observations, ours[0].observations[""].numpy())


def test_in_memory_it_is_the_same(method, made):
    assert_close(sample(method, 4, seed=3), load(ID, root=made)[:4])


def test_two_processes_make_the_same_bytes(method, made, tmp_path):
    synthesize(method, ID, PLAN, root=tmp_path, processes=2, progress=False)
    assert file_bytes(tmp_path) == file_bytes(made)


def test_another_batch_size_makes_the_same_data_but_for_rounding(method, made, tmp_path):
    synthesize(method, ID, replace(PLAN, batch_size=3), root=tmp_path, progress=False)
    assert_close(load(ID, root=tmp_path), load(ID, root=made), atol=1e-5)


def test_another_seed_makes_other_data(method, made, tmp_path):
    synthesize(method, ID, replace(PLAN, seed=4), root=tmp_path, progress=False)
    assert content(tmp_path) != content(made)


def test_an_id_that_exists_is_refused_before_any_work(method, made):
    blocks, before = method.watch_blocks(), file_bytes(made)
    with pytest.raises(DatasetExistsError, match=r"toy/made-v0.*overwrite=True"):
        synthesize(method, ID, PLAN, root=made, progress=False)
    with pytest.raises(DatasetIdError):
        synthesize(method, "no-version", PLAN, root=made, progress=False)
    assert blocks == []
    assert file_bytes(made) == before


def test_an_unfitted_method_is_refused(tmp_path):
    method = METHODS["trajectory-mlp"]()
    for call in (lambda: synthesize(method, ID, PLAN, root=tmp_path), lambda: sample(method, 2)):
        with pytest.raises(ConfigurationError, match="TrajectoryDiffusion was never fitted"):
            call()


def interrupted(method: Watched, root: Path) -> Path:
    """Stop before the third block; the folder of finished blocks."""
    method.watch_blocks(stop_before=2)
    with pytest.raises(InterruptionError):
        synthesize(method, ID, PLAN, root=root, progress=False)
    (folder,) = (root / ".genrl-blocks").iterdir()
    return folder


def test_finished_blocks_are_not_made_again(method, made, tmp_path):
    interrupted(method, tmp_path)
    assert not (tmp_path / ID).exists()  # all or nothing
    blocks = method.watch_blocks()
    synthesize(method, ID, PLAN, root=tmp_path, progress=False)
    assert blocks == [2]
    assert file_bytes(tmp_path) == file_bytes(made)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_block_is_made_again(method, made, tmp_path, damage):
    folder = interrupted(method, tmp_path)
    path = next(folder.glob("000001-*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": bytes(content[:50]), "empty": b""}[damage])
    blocks = method.watch_blocks()
    synthesize(method, ID, PLAN, root=tmp_path, progress=False)
    assert blocks == [2, 1]
    assert file_bytes(tmp_path) == file_bytes(made)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_weights_without_entries_have_an_identity_too(shape):
    weights = {"empty": torch.zeros(shape), "full": torch.ones(2)}
    assert identity(weights) == identity(weights) != identity({"full": torch.ones(2)})


def test_blocks_of_another_plan_or_method_are_not_taken(method, tmp_path):
    interrupted(method, tmp_path)
    blocks = method.watch_blocks()
    synthesize(method, ID, replace(PLAN, length=3), root=tmp_path, progress=False)
    assert blocks == [0, 1, 2]


def test_a_killed_process_is_resumed_to_the_same_bytes(method, made, tmp_path):
    """SIGKILL after the second block."""
    stored = checkpoint.save(method, tmp_path / "method.ckpt")
    code = f"from tests.synthesis.test_synthesize import slow; slow({str(stored)!r}, {str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob(".genrl-blocks/*/[0-9]*.safetensors"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / ID).exists()
    method.watch_blocks()
    synthesize(method, ID, PLAN, root=tmp_path, progress=False)
    assert len(method.blocks) <= 1
    assert file_bytes(tmp_path) == file_bytes(made)
    assert verify(ID, root=tmp_path).ok


def slow(stored: str, root: str) -> None:
    """Slow enough to be killed between two blocks."""
    method = checkpoint.load(stored)
    method.pause = 1.0
    synthesize(method, ID, PLAN, root=root, progress=False)


def test_the_forecast_counts_bytes_and_blocks():
    episodes = linear(2, 5)
    assert size(episodes) == 12 * 2 * 4 + 10 * 4 + 10 * 8 + 10 + 10 + 2 * 8
    text = forecast(episodes, blocks=61, seconds=2.0)
    assert "61 blocks of 10 transitions: about 2.0 more minutes" in text


# rewards


def test_a_goal_ends_an_episode_where_the_environment_says_so(tmp_path):
    name, ends = "PointMaze_UMaze-v3", {"continuing_task": False}
    env = make_env(name)
    data = collect(name, RandomPolicy(env.action_space), 6, 0, max_steps=12, env_options=ends)
    made = sample(fit(METHODS["trajectory-mlp"](), data, 5, progress=False), 20, length=9)
    last = made.transition_starts + made.lengths - 1
    assert (made.lengths < 9).any()  # all arrive at their end, by hindsight, and some are near it before
    assert made.terminations[last].all()
    assert not made.truncations.any()
    assert made.rewards[last].eq(1).all()
    assert made.rewards.sum() == len(made)  # nothing is earned before, and nothing goes on after it


def test_an_episode_is_cut_off_at_the_first_arrival():
    data = walks()
    steps = iter(range(data.num_transitions))

    def arrived(achieved, desired, info):
        return next(steps) in (0, 2, 12)

    rewards = Rewards(lambda a, d, i: np.ones(len(a)), "achieved_goal", "desired_goal", arrived)
    made = rewards(data)
    first = int(data.lengths[0])
    assert 2 < first <= 12 < int(data.lengths[:2].sum())
    assert made.lengths.tolist()[:2] == [1, 13 - first]
    assert torch.equal(made.lengths[2:], data.lengths[2:])
    assert made.terminations.nonzero().flatten().tolist()[:2] == [0, 13 - first]
    torch.testing.assert_close(made.actions[""][1], data.actions[""][first])
    check(made, "made")
    none = replace(rewards, arrived=lambda achieved, desired, info: False)(data)
    assert torch.equal(none.lengths, data.lengths)
    assert torch.equal(none.terminations, data.terminations)


def test_a_worker_that_dies_is_told_and_its_work_taken_up(method, tmp_path, monkeypatch):
    monkeypatch.setattr("genrl.synthesis.synthesize._work", dying)
    plan = Plan(6, seed=3, block_size=2)
    with pytest.raises(WorkerError, match="take fewer processes or a smaller batch_size"):
        synthesize(method, "toy/dead-v0", plan, root=tmp_path, processes=2, progress=False)
    monkeypatch.undo()
    synthesize(method, "toy/dead-v0", plan, root=tmp_path, progress=False)
    assert len(load("toy/dead-v0", root=tmp_path)) == 6


def dying(index: int) -> int:
    os._exit(1)


@pytest.fixture(scope="module")
def maze():
    """A method fitted to a few random episodes of the real environment."""
    env = make_env("PointMaze_UMaze-v3")
    data = collect("PointMaze_UMaze-v3", RandomPolicy(env.action_space), 6, 0, max_steps=12)
    return env.unwrapped, fit(METHODS["trajectory-mlp"](), data, 5, progress=False)


def test_rewards_are_the_environments_own(maze, tmp_path):
    env, method = maze
    synthesize(method, ID, Plan(8, block_size=8), root=tmp_path, progress=False)
    episodes = load(ID, root=tmp_path)
    for episode in episodes:
        achieved, desired = (episode.observations[name].numpy() for name in ("achieved_goal", "desired_goal"))
        assert (desired == desired[0]).all()
        np.testing.assert_array_equal(desired[0], achieved[-1])
        expected = [env.compute_reward(a, d, {}) for a, d in zip(achieved[1:], desired[1:], strict=True)]
        np.testing.assert_array_equal(episode.rewards.numpy(), np.array(expected))
    assert episodes.rewards[episodes.transition_starts + episodes.lengths - 1].eq(1).all()  # it arrives where it ends


def test_goals_asked_for_are_the_goals_rewarded(maze):
    env, method = maze
    goal = torch.tensor([[0.5, 1.0], [5.0, 5.0]])
    made = sample(method, 2, conditions=Conditions(goal=goal))
    for episode, wanted in zip(made, goal, strict=True):
        desired = episode.observations["desired_goal"]
        torch.testing.assert_close(desired.float(), wanted.expand_as(desired), atol=1e-6, rtol=0)
        achieved = episode.observations["achieved_goal"].numpy()[1:]
        expected = env.compute_reward(achieved, desired.numpy()[1:], {})
        np.testing.assert_array_equal(episode.rewards.numpy(), expected)


def test_without_an_environment_rewards_stay_with_a_warning(maze):
    _, method = maze
    with pytest.warns(UserWarning, match="Rewards stay as generated"):
        assert Rewards.of(DatasetCard(), method.spec.observation_space) is None
    assert Rewards.of(method.spec.card, linear().observation_space) is None  # no goals, nothing to relabel


def test_overwriting_replaces_only_when_all_is_made(method, tmp_path):
    save(linear(), ID, root=tmp_path)
    before = content(tmp_path)
    method.watch_blocks(stop_before=1)
    with pytest.raises(InterruptionError):
        synthesize(method, ID, PLAN, root=tmp_path, overwrite=True, progress=False)
    assert content(tmp_path) == before
    method.watch_blocks()
    synthesize(method, ID, PLAN, root=tmp_path, overwrite=True, progress=False)
    assert content(tmp_path) != before


def test_workers_make_their_blocks_where_the_method_is(method, tmp_path, monkeypatch):
    """Shown on a device without memory, for there need not be another one."""
    asked = []

    class HereAndNow:
        def __init__(self, workers, context, initializer, initargs):
            initializer(*initargs)

        def __enter__(self):
            return self

        def __exit__(self, *left):
            raise InterruptionError

    monkeypatch.setattr("genrl.synthesis.synthesize.ProcessPoolExecutor", HereAndNow)
    monkeypatch.setattr("signal.signal", lambda *given: None)  # this process is still to be interrupted
    monkeypatch.setattr(checkpoint, "load", lambda path, device="cpu": asked.append(device) or method)
    monkeypatch.setattr(checkpoint, "save", lambda method, path: path)
    there = copy.deepcopy(method).to("meta")
    monkeypatch.setattr(there, "state_dict", method.state_dict)
    monkeypatch.setattr(HereAndNow, "submit", lambda *work: None, raising=False)
    monkeypatch.setattr("genrl.synthesis.synthesize.as_completed", lambda futures: ())
    with pytest.raises(InterruptionError):
        synthesize(there, "toy/there-v0", Plan(4, block_size=2), root=tmp_path, processes=2, progress=False)
    assert asked == ["meta"]


def test_two_runs_of_one_plan_do_not_take_each_others_blocks_away(method, made, tmp_path, monkeypatch):
    """The first to end clears the folder of the other, which makes what is missing anew."""
    plan, write, runs = Plan(6, seed=3, block_size=2), Shards.write, []

    def interrupted(shards, index, episodes):
        write(shards, index, episodes)
        if not runs:
            runs.append("the other one")
            synthesize(method, "toy/race-v0", plan, root=tmp_path, overwrite=True, progress=False)

    monkeypatch.setattr(Shards, "write", interrupted)
    synthesize(method, "toy/race-v0", plan, root=tmp_path, overwrite=True, progress=False)
    synthesize(method, "toy/alone-v0", plan, root=tmp_path, progress=False)
    assert_close(load("toy/race-v0", tmp_path), load("toy/alone-v0", tmp_path))
