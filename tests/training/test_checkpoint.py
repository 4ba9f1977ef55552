"""What is stored comes back, and what is no checkpoint is refused in a sentence."""

import functools
import pickle
import struct
import zipfile
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from genrl.data.episodes import DatasetCard
from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.methods.method import Block
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.temporal_unet import TemporalUNet
from genrl.nets.window_mlp import WindowMLP
from genrl.training.checkpoint import load, require_resumable, save
from genrl.training.fit import fit
from genrl.training.module import Trainable
from genrl.training.spec import DataSpec, fingerprint
from genrl.training.stored import FORMAT_VERSION, read_header, rebuild
from tests.methods.toy_methods import METHODS, TRAINED, assert_close, equal_weights, line, linear, walks


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A fitted method and its checkpoint."""
    method = fit(METHODS["trajectory-mlp"](), linear(), 3, progress=False)
    return method, save(method, tmp_path_factory.mktemp("stored") / "deep" / "method.ckpt")


def altered(stored, tmp_path, **header):
    checkpoint = torch.load(stored[1], weights_only=True)
    checkpoint["genrl"] |= header
    torch.save(checkpoint, tmp_path / "altered.ckpt")
    return tmp_path / "altered.ckpt"


def test_a_loaded_method_makes_the_same_episodes(stored):
    method, path = stored
    loaded = load(path)
    assert type(loaded) is type(method)
    assert equal_weights(method, loaded)
    assert loaded.spec == method.spec
    assert not loaded.training
    assert_close(loaded.synthesize(Block(3, 1, 5)), method.synthesize(Block(3, 1, 5)))
    assert [file.name for file in path.parent.iterdir()] == ["method.ckpt"]  # nothing half-written is left


def test_it_is_plain_data(stored):
    checkpoint = torch.load(stored[1], weights_only=True)
    assert checkpoint["genrl"]["format"] == FORMAT_VERSION
    assert checkpoint["genrl"]["class_path"].endswith("TrajectoryDiffusion")
    assert checkpoint["genrl"]["configuration"]["horizon"] == 4


def test_an_unfitted_module_is_not_saved(tmp_path):
    with pytest.raises(CheckpointError, match="TrajectoryDiffusion was never fitted"):
        save(METHODS["trajectory-mlp"](), tmp_path / "none.ckpt")


def test_unknown_versions_and_classes_are_refused(stored, tmp_path):
    with pytest.raises(CheckpointError, match=r"checkpoint format 99.*reads format 1"):
        load(altered(stored, tmp_path, format=99))
    for class_path in ("nowhere.Method", "genrl.methods.method.Gone"):
        with pytest.raises(CheckpointError, match=f"{class_path} cannot be rebuilt"):
            load(altered(stored, tmp_path, class_path=class_path))
    with pytest.raises(CheckpointError, match="is not a method or learner"):
        load(altered(stored, tmp_path, class_path="torch.nn.Linear"))
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        load(altered(stored, tmp_path, configuration={"colour": "red"}))
    wider = stored[0].configuration() | {"horizon": 5}
    with pytest.raises(CheckpointError, match="does not fit its own configuration"):
        load(altered(stored, tmp_path, configuration=wider))


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_a_device_that_is_not_there_is_no_fault_of_the_file(stored, device):
    with pytest.raises(ConfigurationError, match=f"no device '{device}'"):
        load(stored[1], device)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(stored, tmp_path, share):
    content = stored[1].read_bytes()
    path = tmp_path / "cut.ckpt"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"cut.ckpt cannot be read as a checkpoint"):
        load(path)


def test_a_file_that_lost_a_bit_is_refused(stored, tmp_path):
    """Wherever it is: torch reads numbers that changed as they are, and the archive's checksums are there to tell."""
    content, path = stored[1].read_bytes(), tmp_path / "flipped.ckpt"
    with zipfile.ZipFile(stored[1]) as archive:
        numbers = [entry for entry in archive.infolist() if "/data/" in entry.filename and entry.file_size >= 64]
    for entry in numbers[:: max(1, len(numbers) // 8)]:
        flipped, header = bytearray(content), entry.header_offset
        begin = header + 30 + sum(struct.unpack("<HH", content[header + 26 : header + 30]))  # behind name and padding
        flipped[begin + entry.file_size // 2] ^= 0x40
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError, match=r"flipped.ckpt cannot be read as a checkpoint"):
            load(path)


@pytest.mark.parametrize("part", ["class_path", "configuration", "spec"])
def test_a_checkpoint_that_lacks_a_part_says_which(stored, tmp_path, part):
    checkpoint = torch.load(stored[1], weights_only=True)
    path = tmp_path / "less.ckpt"
    torch.save({"genrl": checkpoint["genrl"]}, path)
    for read in (load, require_resumable):
        with pytest.raises(CheckpointError, match=r"less.ckpt holds no weights \('state_dict'\)"):
            read(path)
    del checkpoint["genrl"][part]
    torch.save(checkpoint, path)
    for read in (load, require_resumable):
        with pytest.raises(CheckpointError, match=f"less.ckpt lacks {part} in its 'genrl' entry"):
            read(path)


@pytest.mark.parametrize("spec", ["{", "{}", "[1]", "5"])
def test_a_specification_that_is_none_is_refused(stored, tmp_path, spec):
    with pytest.raises(CheckpointError, match="says of its data cannot be read"):
        load(altered(stored, tmp_path, spec=spec))


def test_words_name_no_checkpoint():
    for word in ("best", "last", "hpc"):  # by which Lightning would begin anew where it finds none
        with pytest.raises(CheckpointError, match=f"There is no checkpoint at {word}"):
            require_resumable(word)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign.ckpt"
    for content in (b"hello", pickle.dumps({"a": 1}), pickle.dumps(DatasetCard())):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load(path)
    for value in ({"state_dict": {}}, torch.zeros(3), [1, 2], {"genrl": 3}):
        torch.save(value, path)
        with pytest.raises(CheckpointError, match="is not a checkpoint of genrl"):
            load(path)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load(tmp_path / "missing.ckpt")


class Danger:
    def __reduce__(self):
        return print, ("code ran",)


def test_no_code_runs_while_loading(tmp_path, capsys):
    torch.save({"genrl": Danger()}, tmp_path / "danger.ckpt")
    with pytest.raises(CheckpointError):
        load(tmp_path / "danger.ckpt")
    assert "code ran" not in capsys.readouterr().out


# configurations


def rebuilt(module: Trainable) -> Trainable:
    if module.spec is None:
        module.prepare(linear())
    checkpoint: dict = {}
    module.on_save_checkpoint(checkpoint)
    again = rebuild(read_header(checkpoint, "memory"))
    assert again.configuration() == module.configuration()
    return again


def shapes(module: nn.Module) -> dict:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("make", TRAINED.values(), ids=TRAINED.keys())
def test_partials_survive(make):
    module = make()
    assert shapes(rebuilt(module)) == shapes(module)


def test_a_bare_class_and_settings_survive():
    sampling = Sampling("dpmpp_2m_sde", steps=3, options={"eta": 0.5})
    module = TrajectoryDiffusion(WindowMLP, horizon=2, overlap=1, sampling=sampling)
    again = rebuilt(module)
    assert again.sampling == sampling
    assert shapes(again) == shapes(module)


class Outer:
    """Holds a class."""

    class Net(WindowMLP):
        """A network inside of another class."""


def test_a_class_within_a_class_is_found_again():
    method = METHODS["trajectory-mlp"]()
    method.net = partial(Outer.Net, width=16)
    method.prepare(linear())
    again = rebuild(method.header())
    assert again.net.func is Outer.Net
    assert Outer.Net in {type(part) for part in again.modules()}


def test_numbers_of_numpy_are_stored_as_numbers():
    module = TrajectoryDiffusion(partial(WindowMLP, width=np.int64(16)), lr=np.float64(0.1))
    configuration = module.configuration()
    assert type(configuration["net"]["init_args"]["width"]) is int
    assert type(configuration["lr"]) is float


def test_what_the_command_line_makes_survives():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Trainable, "model")
    path = "genrl.methods.trajectory_diffusion.TrajectoryDiffusion"
    net = {"class_path": "genrl.nets.temporal_unet.TemporalUNet", "init_args": {"width": 8, "multipliers": [1, 2]}}
    net["init_args"]["groups"] = 2
    model = {"class_path": path, "init_args": {"horizon": 4, "overlap": 2, "net": net}}
    module = parser.instantiate_classes(parser.parse_object({"model": model})).model
    again = rebuilt(module)
    assert shapes(again) == shapes(module)
    assert again.net.func is TemporalUNet
    assert again.net.keywords["width"] == 8


def test_a_function_as_network_cannot_be_stored():
    by_position = partial(WindowMLP, 3)  # the 3 has no name
    for net in (lambda dim, c: nn.Linear(dim, dim), partial(lambda dim, c: nn.Linear(dim, dim)), by_position):
        with pytest.raises(ConfigurationError, match=r"cannot be stored in a checkpoint; pass .*functools.partial"):
            TrajectoryDiffusion(net).configuration()


def test_a_class_made_inside_a_function_cannot_be_stored():
    class Local(WindowMLP):
        pass

    class Own(TrajectoryDiffusion):
        pass

    for net in (Local, partial(Local, width=3)):
        with pytest.raises(ConfigurationError, match=r"Local is a class made inside a function"):
            TrajectoryDiffusion(net).configuration()
    own = Own(WindowMLP, horizon=2, overlap=1)
    own.prepare(linear())
    with pytest.raises(ConfigurationError, match=r"Own is a class made inside a function, .*; define it at the top of"):
        own.header()


def test_a_folder_is_no_file_to_save_to(stored, tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(stored[0], tmp_path)
    assert not list(tmp_path.parent.glob("*.partial"))


def test_the_initial_weights_depend_on_the_seed_alone():
    one, other, third = (METHODS["trajectory-unet"]() for _ in range(3))
    third.seed = 1
    torch.manual_seed(1)
    one.prepare(linear())
    torch.manual_seed(2)
    other.prepare(linear())
    third.prepare(linear())
    assert equal_weights(one, other)
    assert not equal_weights(one, third)


# the specification of the data


@pytest.mark.parametrize("episodes", [linear(), walks(), line()], ids=["box", "goals", "terminals"])
def test_specifications_survive_json(episodes):
    card = DatasetCard("a/b-v0", author=("Ann", "Bob"), ref_min_score=-1.5, requirements=("x==1",))
    spec = DataSpec.of(replace(episodes, card=card))
    again = DataSpec.from_json(spec.to_json())
    assert again == spec
    assert again.card == card


def test_specifications_hold_any_space():
    space = gym.spaces.Dict(
        {
            "box": gym.spaces.Box(np.array([-np.inf, 0.1]), np.array([np.inf, 2.5]), dtype=np.float64),
            "pair": gym.spaces.Tuple([gym.spaces.Discrete(3, start=-1), gym.spaces.MultiDiscrete([2, 4])]),
            "flags": gym.spaces.MultiBinary((2, 3)),
        }
    )
    spec = replace(DataSpec.of(linear()), observation_space=space)
    again = DataSpec.from_json(spec.to_json()).observation_space
    assert again == space
    assert again["box"].low.tobytes() == space["box"].low.tobytes()


def test_the_fingerprint_sees_every_tensor():
    episodes = walks()
    known = {fingerprint(episodes)}
    changed = [replace(episodes, **{name: nudged(getattr(episodes, name))}) for name in ("rewards", "lengths")]
    changed += [replace(episodes, **{name: ~getattr(episodes, name)}) for name in ("terminations", "truncations")]
    for group in ("observations", "actions"):
        leaves = getattr(episodes, group)
        changed += [replace(episodes, **{group: leaves | {path: nudged(leaf)}}) for path, leaf in leaves.items()]
    changed.append(replace(episodes, rewards=episodes.rewards.float()))  # the same numbers in another dtype
    for each in changed:
        known.add(fingerprint(each))
    assert len(known) == 1 + len(changed)
    assert fingerprint(walks()) in known


def nudged(tensor: torch.Tensor) -> torch.Tensor:
    changed = tensor.clone()
    changed.view(-1)[0] += 1
    return changed


def test_partial_is_what_the_configuration_gives_back():
    module = rebuilt(METHODS["trajectory-unet"]())
    assert isinstance(module.net, functools.partial)
    assert module.net.keywords == {"width": 8, "multipliers": [1, 2], "groups": 2}
