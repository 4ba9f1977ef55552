import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from genrl.data.codecs import SpaceCodec
from genrl.data.errors import AlignmentError, ConfigurationError, UnsupportedSpaceError
from genrl.data.spaces import flatten, leaf_spaces, to_tensors, unflatten
from genrl.learners.actions import BoundedActions

MIXED = spaces.Dict(
    {
        "pose": spaces.Box(-np.inf, np.inf, (3, 2), np.float64),
        "push": spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 5.0], np.float32)),
        "counts": spaces.Box(-5, 200, (2,), np.int32),
        "gear": spaces.Discrete(5, start=-2),
        "pair": spaces.Tuple([spaces.MultiDiscrete([[2, 3], [4, 2]]), spaces.MultiBinary(3)]),
    }
)


def leaves_of(space, rows, seed=0):
    space.seed(seed)
    samples = [flatten(space, space.sample()) for _ in range(rows)]
    return to_tensors({path: np.stack([s[path] for s in samples]) for path in samples[0]})


def inside(space, leaves):
    rows = len(next(iter(leaves.values())))
    arrays = {path: leaf.numpy() for path, leaf in leaves.items()}
    return all(space.contains(unflatten(space, {path: leaf[r] for path, leaf in arrays.items()})) for r in range(rows))


@pytest.mark.parametrize("squash", [False, True])
def test_decoding_undoes_encoding(squash):
    leaves = leaves_of(MIXED, 50)
    codec = SpaceCodec(MIXED, squash=squash)
    rows = codec.encode(leaves)
    assert rows.shape == (50, codec.dim) == (50, 6 + 2 + 2 + 5 + 11 + 3)
    assert rows.dtype == torch.float32
    decoded = codec.decode(rows)
    for path, leaf in leaves.items():
        assert decoded[path].dtype == leaf.dtype
        if path == "push" and squash:
            torch.testing.assert_close(decoded[path], leaf, atol=0.003, rtol=0)  # saturation at the bounds
        else:
            torch.testing.assert_close(decoded[path], leaf, atol=1e-6, rtol=1e-6)
    assert inside(MIXED, decoded)


def test_one_hot_columns_agree_with_gymnasium():
    space = spaces.Tuple([spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)])
    leaves = leaves_of(space, 20)
    rows = SpaceCodec(space).encode(leaves)
    for r in range(20):
        value = unflatten(space, {path: leaf[r].numpy() for path, leaf in leaves.items()})
        np.testing.assert_array_equal(rows[r].numpy(), gym.spaces.flatten(space, value))


@pytest.mark.parametrize("squash", [False, True])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e6))
def test_any_columns_decode_into_the_space(squash, seed, scale):
    codec = SpaceCodec(MIXED, squash=squash)
    rows = torch.randn(10, codec.dim, generator=torch.Generator().manual_seed(seed)) * scale
    assert inside(MIXED, codec.decode(rows))


def test_double_bounds_hold_to_the_last_bit():
    space = spaces.Box(-0.1, 0.1, (1,), np.float64)  # float32 cannot hold 0.1
    for squash in (False, True):
        decoded = SpaceCodec(space, squash=squash).decode(torch.tensor([[-50.0], [50.0], [0.1]]))
        assert inside(space, decoded)


def test_squashing_is_the_inverse_tanh_of_the_unit_range():
    space = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 5.0], np.float32))
    rows = SpaceCodec(space, squash=True).encode({"": torch.tensor([[1.0, 2.5], [2.0, 0.0]])})
    expected = torch.tensor([[np.arctanh(0.5), 0.0], [np.arctanh(0.999), -np.arctanh(0.999)]], dtype=torch.float32)
    torch.testing.assert_close(rows, expected)


def test_chosen_leaves_and_their_sections():
    codec = SpaceCodec(MIXED, ["gear", "push"])
    assert codec.sections == {"gear": slice(0, 5), "push": slice(5, 7)}
    leaves = leaves_of(MIXED, 4)
    assert torch.equal(codec.encode(leaves)[:, codec.sections["push"]], leaves["push"])
    assert set(codec.decode(torch.zeros(4, 7))) == {"gear", "push"}
    nothing = SpaceCodec(MIXED, [])
    assert nothing.dim == 0
    assert nothing.encode(leaves).shape == (4, 0)


def test_leading_axes():
    codec = SpaceCodec(MIXED)
    leaves = leaves_of(MIXED, 6)
    stacked = {path: leaf.reshape(2, 3, *leaf.shape[1:]) for path, leaf in leaves.items()}
    rows = codec.encode(stacked)
    assert torch.equal(rows.reshape(6, -1), codec.encode(leaves))
    again = codec.decode(rows)
    assert all(again[path].shape == leaf.shape for path, leaf in stacked.items())


def test_the_state_fits_a_fresh_instance():
    codec, fresh = SpaceCodec(MIXED, squash=True), SpaceCodec(MIXED, squash=True)
    assert {name.rsplit(".")[-1] for name in codec.state_dict()} == {"low", "high", "centre", "radius", "start"}
    fresh.load_state_dict(codec.state_dict())


def test_bad_input_is_named():
    image = spaces.Dict({"camera": spaces.Box(0, 255, (8, 8, 3), np.uint8), "state": spaces.Box(-1, 1, (2,))})
    with pytest.raises(UnsupportedSpaceError, match="'camera'"):
        SpaceCodec(image)
    assert SpaceCodec(image, ["state"]).dim == 2
    assert SpaceCodec(spaces.Box(0, 255, (128,), np.uint8)).dim == 128
    with pytest.raises(ConfigurationError, match=r"'nothing'.*gear"):
        SpaceCodec(MIXED, ["nothing"])
    codec = SpaceCodec(MIXED, ["pose"])
    with pytest.raises(AlignmentError, match="'pose'"):
        codec.encode({"pose": torch.zeros(4, 3, 3)})
    with pytest.raises(AlignmentError, match="'pose'"):
        codec.encode({})
    with pytest.raises(AlignmentError, match="6 columns"):
        codec.decode(torch.zeros(4, 5))


def test_every_leaf_of_the_mixed_space_is_covered():
    assert set(SpaceCodec(MIXED).sections) == set(leaf_spaces(MIXED))


def test_a_codec_works_where_it_is():
    space = gym.spaces.Dict({"box": gym.spaces.Box(-1, 1, (2,)), "kind": gym.spaces.Discrete(3)})
    codec = SpaceCodec(space, squash=True).to("meta")
    rows = codec.encode({"box": torch.zeros(4, 2), "kind": torch.zeros(4, dtype=torch.int64)})
    assert (rows.device.type, tuple(rows.shape)) == ("meta", (4, 5))
    assert {leaf.device.type for leaf in codec.decode(torch.zeros(4, 5)).values()} == {"meta"}


def test_whole_numbers_beyond_int64_have_a_bound_that_is_in_it():
    space = gym.spaces.Box(0, 2**64 - 1, (2,), np.uint64)
    codec, rows = SpaceCodec(space), torch.tensor([[0, 1], [2, 300]], dtype=torch.uint64)
    assert codec.decode(codec.encode({"": rows}))[""].tolist() == rows.tolist()


def test_a_column_that_can_be_one_value_alone_is_that_value():
    space = gym.spaces.Box(np.array([-1, 3], np.float32), np.array([1, 3], np.float32))
    for anything in (torch.tensor([[0.5, -2.0]]), torch.tensor([[0.0, 7.0]])):
        assert SpaceCodec(space, squash=True).native(anything)[0, 1] == 3
        assert BoundedActions(space).native(anything)[0, 1] == 3
    assert BoundedActions(space).unit(torch.tensor([[0.5, 3.0]])).tolist() == [[0.5, 0.0]]
