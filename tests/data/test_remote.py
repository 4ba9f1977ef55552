"""Downloads through Minari, from a remote that is a folder."""

import shutil

import minari
import pytest
from made_episodes import assert_same, hopper
from minari.dataset.minari_storage import MinariStorage
from minari.storage import remotes
from minari.storage.remotes.cloud_storage import CloudStorage

from genrl.data.errors import DatasetIdError, DatasetMissingError
from genrl.data.store import exists, load, save


class FolderRemote(CloudStorage):
    """The reading half of a remote, on a local folder."""

    def __init__(self, name, token=None):
        from pathlib import Path

        self.root = Path(name)

    def list_datasets(self, prefix=None):
        found = [path.parent.relative_to(self.root).as_posix() for path in self.root.rglob("data")]
        return [name for name in found if prefix is None or name.startswith(prefix)]

    def get_dataset_metadata(self, dataset_id):
        return MinariStorage.read_raw_metadata(self.root / dataset_id / "data")

    def download_dataset(self, dataset_id, path):
        if (self.root / "broken").exists():
            (path / dataset_id / "data").mkdir(parents=True)
            raise ConnectionError("the line went dead")
        shutil.copytree(self.root / dataset_id, path / dataset_id)

    def list_namespaces(self):
        return [path.parent.relative_to(self.root).as_posix() for path in self.root.rglob("namespace_metadata.json")]

    def download_namespace_metadata(self, namespace, path):
        shutil.copyfile(self.root / namespace / "namespace_metadata.json", path / namespace / "namespace_metadata.json")

    def upload_dataset(self, dataset_id):
        raise PermissionError("read only")

    def upload_namespace(self, namespace):
        raise PermissionError("read only")


@pytest.fixture
def remote(tmp_path, monkeypatch):
    folder = tmp_path / "remote"
    save(hopper([2, 3]), "far/away-v0", root=folder)
    (folder / "far/namespace_metadata.json").write_text('{"description": "distant"}')
    monkeypatch.setitem(remotes._registry, "folder", lambda: FolderRemote)
    monkeypatch.setenv("MINARI_REMOTE", f"folder://{folder}")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "here"))
    return folder


def test_what_is_not_here_is_downloaded_once(remote):
    with pytest.raises(DatasetMissingError, match="download=True"):
        load("far/away-v0")
    assert_same(load("far/away-v0", download=True), hopper([2, 3]))
    assert minari.namespace.get_namespace_metadata("far") == {"description": "distant"}
    shutil.rmtree(remote)
    assert_same(load("far/away-v0", download=True), hopper([2, 3]))


def test_a_root_of_ones_own_is_used_for_downloads_too(remote, tmp_path):
    load("far/away-v0", root=tmp_path / "own", download=True)
    assert exists("far/away-v0", tmp_path / "own")
    assert not exists("far/away-v0")


def test_an_interrupted_download_leaves_nothing(remote, tmp_path):
    (remote / "broken").touch()
    with pytest.raises(DatasetMissingError, match=r"could not be downloaded \(the line went dead\)"):
        load("far/away-v0", download=True)
    assert not exists("far/away-v0")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("dataset_id", ["far/away-v7", "nowhere-v0"])
def test_what_the_remote_does_not_have(remote, dataset_id):
    with pytest.raises(DatasetMissingError, match=f"'{dataset_id}' is not in .* and could not be downloaded"):
        load(dataset_id, download=True)
    with pytest.raises(DatasetIdError):
        load("far/away", download=True)
