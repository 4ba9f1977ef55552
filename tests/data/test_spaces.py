"""Spaces as flat leaves, and back."""

from collections import OrderedDict

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector.utils import batch_space
from hypothesis import given, settings
from hypothesis import strategies as st
from made_episodes import any_space, fill

from genrl.data.codecs import SpaceCodec
from genrl.data.errors import AlignmentError, UnsupportedSpaceError
from genrl.data.spaces import flatten, leaf_spaces, space_from_json, space_to_json, to_tensors, unflatten


@given(any_space(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_flattened_samples_come_back_and_leaves_fit_their_spaces(space, seed):
    space.seed(seed)
    sample = space.sample()
    leaves = flatten(space, sample)
    assert list(leaves) == list(leaf_spaces(space))
    for path, leaf in leaf_spaces(space).items():
        assert leaves[path].shape == leaf.shape
        assert leaf.contains(leaves[path][()] if leaf.shape == () else leaves[path])
    restored = unflatten(space, leaves)
    assert data_equivalence(_arrays(restored), _arrays(sample), exact=True)


def _arrays(value):
    if isinstance(value, dict):
        return {key: _arrays(child) for key, child in value.items()}
    return tuple(map(_arrays, value)) if isinstance(value, tuple) else np.asarray(value)


@given(any_space())
@settings(max_examples=60, deadline=None)
def test_batches_are_inside_the_batched_space(space):
    rng = np.random.default_rng(0)
    leaves = {path: fill(leaf, 3, rng).numpy() for path, leaf in leaf_spaces(space).items()}
    assert batch_space(space, 3).contains(unflatten(space, leaves))


@given(any_space())
@settings(max_examples=60, deadline=None)
def test_spaces_survive_json(space):
    assert space_from_json(space_to_json(space)) == space


def test_tensors_share_memory_and_keep_their_dtype():
    leaf = np.arange(6, dtype=np.int16).reshape(3, 2)
    tensor = to_tensors({"a": leaf})["a"]
    leaf[0, 0] = 7
    assert tensor.numpy().dtype == np.int16
    assert tensor[0, 0] == 7


@pytest.mark.parametrize(
    ("space", "named"),
    [
        (spaces.Dict(a=spaces.Tuple([spaces.Text(3)])), "Text at a/0"),
        (spaces.Sequence(spaces.Discrete(2)), "Sequence at the space itself"),
        (spaces.Dict({"a/b": spaces.Discrete(2)}), "'a/b'"),
        (spaces.Dict({"": spaces.Discrete(2)}), "''"),
        (spaces.Dict({".": spaces.Discrete(2)}), "'.'"),
    ],
)
def test_unsupported_spaces_are_refused_by_name(space, named):
    with pytest.raises(UnsupportedSpaceError, match=named):
        leaf_spaces(space)


def test_the_order_in_which_a_dict_was_made_does_not_matter():
    """Such spaces are equal, and JSON gives them back in one order: so models, too, must see their columns in one."""
    one, other = (
        spaces.Dict(OrderedDict((name, spaces.Box(-1, 1, (size,))) for name, size in order))
        for order in ((("velocity", 2), ("place", 1)), (("place", 1), ("velocity", 2)))
    )
    assert one == other
    value = {"velocity": np.zeros(2), "place": np.ones(1)}
    for space in (one, other, space_from_json(space_to_json(one))):
        assert list(leaf_spaces(space)) == list(flatten(space, value)) == ["place", "velocity"]
        assert SpaceCodec(space).encode(to_tensors(flatten(space, value))).tolist() == [1.0, 0.0, 0.0]


def test_a_value_of_another_space_is_refused():
    space = spaces.Dict({"a": spaces.Box(0, 1, (2,)), "b": spaces.Tuple([spaces.Discrete(2)])})
    for value in (np.zeros((3, 2)), {"a": np.zeros((3, 2))}, {"a": np.zeros((3, 2)), "b": ()}):
        with pytest.raises(AlignmentError, match=r"lacks a part .* it is of another space"):
            flatten(space, value)
