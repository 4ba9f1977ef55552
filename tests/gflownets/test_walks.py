"""Walks against counts by hand, torchgfn's own checks, and the steps of a graph."""

import json
from itertools import pairwise, permutations, product

import pytest
import torch

from genrl.data.collect import collect
from genrl.data.construction import Game, Uniform
from genrl.data.environments import make_env
from genrl.data.errors import ConfigurationError
from genrl.gflownets.exact import StateSpace
from genrl.gflownets.walks import Walks

SQUARE = [[1, 3], [0, 2], [1, 3], [2, 0]]
"""0 - 1 - 2 - 3 - 0."""


def allowed(walk: tuple[int, ...], successors: list[list[int]], starts: list[int], revisit: bool) -> bool:
    steps = all(after in successors[before] for before, after in pairwise(walk))
    return walk[0] in starts and steps and (revisit or len(set(walk)) == len(walk))


@pytest.mark.parametrize("starts", [[0, 1, 2, 3], [1]])
def test_objects_are_all_walks_that_cross_no_token_twice(starts):
    space = StateSpace.of(Walks(SQUARE, starts, longest=3))
    expected = {
        walk
        for size in (1, 2, 3)
        for walk in permutations(range(4), size)
        if allowed(walk, SQUARE, starts, revisit=False)
    }
    found = {tuple(token for token in row if token >= 0) for row in space.objects.tolist()}
    assert found == expected
    assert len(space.objects) == len(expected)  # and each in one way
    parents = torch.bincount(space.child[space.child >= 0], minlength=len(space.states))
    assert parents[0] == 0
    assert (parents[1:] == 1).all()


def test_walks_may_come_back_where_that_is_asked_for():
    space = StateSpace.of(Walks([[0, 1], [0]], longest=3, revisit=True))
    found = {tuple(token for token in row if token >= 0) for row in space.objects.tolist()}
    assert {(0, 0, 0), (0, 1, 0), (1, 0, 1)} <= found
    assert not any(walk[i : i + 2] == (1, 1) for walk in found for i in range(2))


def test_steps_forward_and_back():
    env = Walks(SQUARE, longest=4)
    states = env.states_from_tensor(torch.tensor([[0, 1, -1, -1], [2, -1, -1, -1], [0, 1, 2, 3]]))
    assert states.backward_masks.tolist() == [
        [False, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]
    assert states.forward_masks.int().tolist() == [[0, 0, 1, 0, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 1]]
    last = env.actions_from_tensor(torch.tensor([[1], [2], [3]]))
    before = env._backward_step(states.clone(), last)
    assert before.tensor.tolist() == [[0, -1, -1, -1], [-1, -1, -1, -1], [0, 1, 2, -1]]
    assert torch.equal(env._step(before, last).tensor, states.tensor)
    assert env.outcome(states.tensor).tolist() == [[0, 1], [2, 2], [0, 3]]


def test_a_walk_is_told_by_its_last_token_what_it_visited_and_its_length():
    env = Walks(SQUARE, longest=4, revisit=True)
    walks = [walk for size in range(5) for walk in product(range(4), repeat=size)]
    told = env.encode(torch.tensor([[*walk, *[-1] * (4 - len(walk))] for walk in walks]))
    assert told.shape == (len(walks), env.columns)
    seen: dict[tuple[float, ...], set[tuple[object, ...]]] = {}
    for walk, row in zip(walks, told.tolist(), strict=True):
        seen.setdefault(tuple(row), set()).add((walk[-1:], frozenset(walk), len(walk)))
    assert all(len(alike) == 1 for alike in seen.values())
    assert len(seen) == len(set.union(*seen.values()))  # one row each, and each row one


def test_the_sink_is_told_as_well_and_shapes_are_kept():
    env = Walks(SQUARE, longest=3)
    states = torch.stack((env.sf, env.s0, torch.tensor([2, 1, -1]))).expand(2, 3, 3)
    told = Game.make("genrl.gflownets.walks.Walks", {"successors": SQUARE, "longest": 3}).encode(states)
    assert told.shape == (2, 3, env.columns)
    last, visited, length = told[0, 2].split([4, 4, 4])
    assert last.tolist() == [0, 1, 0, 0]
    assert visited.tolist() == [0, 1, 1, 0]
    assert length.tolist() == [0, 0, 1, 0]
    assert told[0, 1].tolist() == told[0, 0].tolist() == [0.0] * 8 + [1.0, 0.0, 0.0, 0.0]


def test_distances_are_those_of_the_graph():
    directed = [[1], [2], [0], []]
    assert Walks(directed, longest=4).distances().tolist() == [
        [0, 1, 2, -1],
        [2, 0, 1, -1],
        [1, 2, 0, -1],
        [-1, -1, -1, 0],
    ]
    assert Walks(directed, longest=2).distances()[0, 2] == -1


def test_an_environment_of_walks_is_played_like_any():
    settings = {"successors": SQUARE, "starts": [0], "longest": 3}
    kwargs = {"game": "genrl.gflownets.walks.Walks", "settings": settings}
    env = make_env("genrl/construction-v0", kwargs)
    made = collect("genrl/construction-v0", Uniform.for_env(env), 12, seed=0, env_options=kwargs)
    ends = made.observations[""][made.observation_starts + made.lengths].tolist()
    walks = [tuple(token for token in row if token >= 0) for row in ends]
    assert all(allowed(walk, SQUARE, [0], revisit=False) for walk in walks)
    assert (made.returns == 1).all()
    assert json.loads(made.card.env_spec)["kwargs"]["settings"] == settings


@pytest.mark.parametrize("wrong", [{"successors": [[1]]}, {"starts": [4]}, {"longest": 0}, {"starts": []}])
def test_what_is_no_walk_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="A walk has at least one of"):
        Walks(**({"successors": SQUARE} | wrong))
