"""A save that is killed leaves nothing visible, harms nothing that was there, and does not block a retry."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import minari
import pytest
from filelock import FileLock
from made_episodes import assert_same, hopper

from genrl.data.errors import DatasetExistsError, DatasetMissingError
from genrl.data.staging import PREFIX, _exchange_in_two_steps, publish, remove_abandoned, staging
from genrl.data.store import load, save

SAVER = """
import sys, time
from made_episodes import hopper
from genrl.data.store import save

def stream():
    for seed in range(3):
        yield hopper([40, 40], seed)
    print("half-way", flush=True)
    time.sleep(60)

save(stream(), "killed-v0", root=sys.argv[1], overwrite=True)
"""


@contextlib.contextmanager
def half_way_saver(root):
    """A process in the middle of a save; killed on the way out."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", SAVER, str(root)], stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half-way\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def hidden(root):
    return sorted(path.name for path in root.iterdir() if path.name.startswith("."))


LIMITED = """
import resource, sys
from made_episodes import hopper
from genrl.data.errors import DatasetError
from genrl.data.store import save

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    save((hopper([200] * 20, seed) for seed in range(3)), "large-v0", root=sys.argv[1])
except DatasetError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [2_000, 200_000, 1_000_000, 1_500_000])
def test_a_save_that_finds_no_room_is_refused_and_leaves_nothing(root, limit):
    """A limit on the length of a file stands for a full disk; HDF5 itself would crash the process."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    call = [sys.executable, "-c", LIMITED, str(root), str(limit)]
    finished = subprocess.run(call, capture_output=True, text=True, env=environment)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"Data set 'large-v0' cannot be written to {root}, which has no space for it")
    assert not list(root.iterdir())


def test_a_killed_save_leaves_nothing_visible_and_the_old_one_whole(root):
    with half_way_saver(root):
        assert minari.list_local_datasets() == {}
        save(hopper([2]), "neighbour-v0")  # cleans up, but not after a process that lives
        assert len(hidden(root)) == 2
    assert minari.list_local_datasets().keys() == {"neighbour-v0"}
    with pytest.raises(DatasetMissingError):
        load("killed-v0")
    assert len(hidden(root)) == 2
    save(hopper([3]), "killed-v0")
    assert hidden(root) == []
    assert_same(load("killed-v0"), hopper([3]))
    with half_way_saver(root):  # this one was to replace it
        assert_same(load("killed-v0"), hopper([3]))
    assert_same(load("killed-v0"), hopper([3]))
    save(hopper([4]), "killed-v0", overwrite=True)
    assert_same(load("killed-v0"), hopper([4]))
    assert hidden(root) == []


def test_the_first_of_two_saves_of_one_id_wins(root):
    def meanwhile():
        yield hopper([2], 0)
        save(hopper([5], 1), "both-v0")

    with pytest.raises(DatasetExistsError, match="appeared while it was being written"):
        save(meanwhile(), "both-v0")
    assert_same(load("both-v0"), hopper([5], 1))
    assert hidden(root) == []


def folder(path, content):
    path.mkdir(parents=True, exist_ok=True)
    (path / "file").write_text(content)
    return path


def test_publishing_swaps_and_removes_the_old_folder(tmp_path):
    target = folder(tmp_path / "target", "old")
    with staging(tmp_path) as staged:
        folder(staged, "new")
        with pytest.raises(DatasetExistsError):
            publish(staged, target, tmp_path, overwrite=False)
        publish(staged, target, tmp_path, overwrite=True)
    assert (target / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_swap_in_two_steps_ends_the_same_way(tmp_path):
    target = folder(tmp_path / "target", "old")
    with staging(tmp_path) as staged:
        _exchange_in_two_steps(folder(staged, "new"), target, tmp_path)
    assert (target / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_swap_that_died_between_its_two_steps_is_completed(tmp_path):
    outer = tmp_path / f"{PREFIX}dead"
    folder(outer / "old", "old")
    folder(outer / "new", "new")
    (outer / "target").write_text("deep/target")
    (tmp_path / "deep").mkdir()
    outer.with_name(f"{outer.name}.lock").touch()
    remove_abandoned(tmp_path)
    assert (tmp_path / "deep/target/file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_an_abandoned_folder_goes_unless_its_owner_lives(tmp_path):
    for name in ("dead", "live"):
        folder(tmp_path / f"{PREFIX}{name}" / "new", name)
        (tmp_path / f"{PREFIX}{name}.lock").touch()
    with FileLock(tmp_path / f"{PREFIX}live.lock"):
        remove_abandoned(tmp_path)
        assert hidden(tmp_path) == [f"{PREFIX}live", f"{PREFIX}live.lock"]
    remove_abandoned(tmp_path)
    assert hidden(tmp_path) == []


def test_the_lock_of_another_user_is_left_alone(tmp_path, monkeypatch):
    """Which may be opened by its owner alone."""
    theirs = tmp_path / f"{PREFIX}theirs.lock"
    theirs.touch()

    class Guarded(FileLock):
        def acquire(self, *settings, **more):
            if self.lock_file == str(theirs):
                raise PermissionError(13, "Permission denied", str(theirs))
            return super().acquire(*settings, **more)

    monkeypatch.setattr("genrl.data.staging.FileLock", Guarded)
    with staging(tmp_path) as staged:
        publish(staged, tmp_path / "mine-v0", tmp_path, overwrite=False)
    assert theirs.exists()
    assert (tmp_path / "mine-v0").is_dir()
