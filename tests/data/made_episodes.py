"""Random spaces and episodes for the tests of this folder."""

import string

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from hypothesis import strategies as st

from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.spaces import leaf_spaces

FLOATS = (np.float16, np.float32, np.float64)
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32)
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
keys = st.text(string.ascii_letters + string.digits + "_ é.", min_size=1, max_size=6).filter(lambda key: key != ".")


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    dtype = draw(st.sampled_from(FLOATS + INTEGERS))
    shape = draw(shapes)
    if np.dtype(dtype).kind == "f":
        low, high = draw(st.sampled_from([(-np.inf, np.inf), (-1, 1), (0, np.inf), (-0.5, 3.25)]))
    else:
        low, high = draw(st.sampled_from([(np.iinfo(dtype).min, np.iinfo(dtype).max), (0, 9)]))
    return spaces.Box(low, high, shape, dtype)


def image(shape: tuple[int, ...]) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def leaves() -> st.SearchStrategy[gym.Space]:
    return st.one_of(
        boxes(),
        st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 7), st.integers(-3, 3)),
        st.lists(st.integers(1, 5), min_size=1, max_size=3).map(spaces.MultiDiscrete),
        st.just(spaces.MultiDiscrete([[2, 3], [4, 5]], dtype=np.uint8)),
        st.sampled_from([3, (2, 3)]).map(spaces.MultiBinary),
        st.sampled_from([(32, 32), (32, 33, 3), (40, 32, 4), (3, 32, 32), (5, 4, 3)]).map(image),
    )


def any_space() -> st.SearchStrategy[gym.Space]:
    return st.recursive(
        leaves(),
        lambda children: st.one_of(
            st.dictionaries(keys, children, min_size=1, max_size=3).map(spaces.Dict),
            st.lists(children, min_size=1, max_size=3).map(spaces.Tuple),
        ),
        max_leaves=5,
    )


def fill(space: gym.Space, rows: int, rng: np.random.Generator) -> torch.Tensor:
    """Random rows inside a leaf space, with the awkward floats among them."""
    shape = (rows, *space.shape)
    if isinstance(space, spaces.Discrete):
        values = rng.integers(space.start, space.start + space.n, shape)
    elif isinstance(space, spaces.MultiDiscrete):
        values = (space.start + np.floor(rng.random(shape) * space.nvec)).astype(space.dtype)
    elif isinstance(space, spaces.MultiBinary):
        values = rng.integers(0, 2, shape).astype(np.int8)
    elif space.dtype.kind == "f":
        scale = rng.choice([1e-3, 1.0, 1e3], shape)
        special = rng.choice([-0.0, np.finfo(space.dtype).tiny / 2, 1 / 3], shape)
        values = np.where(rng.random(shape) < 0.2, special, scale * rng.standard_normal(shape))
        values = np.clip(values.astype(space.dtype), space.low, space.high)
    else:
        values = rng.integers(space.low, space.high, shape, space.dtype, endpoint=True)
    return torch.from_numpy(np.ascontiguousarray(values).reshape(shape))


def make(
    observation_space: gym.Space,
    action_space: gym.Space,
    lengths: list[int],
    seed: int = 0,
    card: DatasetCard | None = None,
    reward_dtype: type = np.float64,
) -> Episodes:
    """Sound episodes of random content."""
    rng = np.random.default_rng(seed)
    transitions, episodes = sum(lengths), len(lengths)
    rows = transitions + episodes
    last = torch.zeros(transitions, dtype=torch.bool)
    last[torch.tensor(lengths).cumsum(0) - 1] = True
    terminated = torch.from_numpy(rng.random(transitions) < 0.5)
    return Episodes(
        observation_space,
        action_space,
        {path: fill(leaf, rows, rng) for path, leaf in leaf_spaces(observation_space).items()},
        {path: fill(leaf, transitions, rng) for path, leaf in leaf_spaces(action_space).items()},
        torch.from_numpy(rng.standard_normal(transitions).astype(reward_dtype)),
        last & terminated,
        last & ~terminated,
        torch.tensor(lengths),
        infos={
            "success": torch.from_numpy(rng.random(transitions) < 0.5),
            "deep/position": torch.from_numpy(rng.standard_normal((rows, 2))),
            "deep/pixels": torch.from_numpy(rng.integers(0, 256, (rows, 4, 5)).astype(np.uint8)),
        },
        seeds=torch.from_numpy(rng.integers(-1, 1 << 40, episodes).clip(-1)),
        card=card or DatasetCard(),
    )


def hopper(lengths: list[int], seed: int = 0, card: DatasetCard | None = None) -> Episodes:
    """Episodes of Hopper's shapes."""
    return make(
        spaces.Box(-np.inf, np.inf, (11,), np.float64), spaces.Box(-1, 1, (3,), np.float32), lengths, seed, card
    )


@st.composite
def any_episodes(draw: st.DrawFn) -> Episodes:
    return make(
        draw(any_space()),
        draw(any_space()),
        draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)),
        draw(st.integers(0, 2**32)),
        reward_dtype=draw(st.sampled_from([np.float32, np.float64])),
    )


def same_bits(one: torch.Tensor | np.ndarray, other: torch.Tensor | np.ndarray) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def same_leaves(one: dict, other: dict) -> bool:
    return set(one) == set(other) and all(same_bits(leaf, other[path]) for path, leaf in one.items())


def assert_same(one: Episodes, other: Episodes) -> None:
    """Equal bit by bit, dtypes included; cards are not compared."""
    assert one.observation_space == other.observation_space
    assert one.action_space == other.action_space
    for group in ("observations", "actions", "infos"):
        assert same_leaves(getattr(one, group), getattr(other, group)), group
    for name in ("rewards", "terminations", "truncations", "lengths"):
        assert same_bits(getattr(one, name), getattr(other, name)), name
    unknown = torch.full((len(one),), -1)
    assert torch.equal(*(unknown if part.seeds is None else part.seeds for part in (one, other)))
