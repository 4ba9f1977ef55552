"""Rewards are asked for once, counted, and kept; Markov chains and sets of objects."""

import itertools

import pytest
import torch

from genrl.data.construction import Game, Uniform
from genrl.data.errors import ConfigurationError, OracleError
from genrl.data.randomness import generator
from genrl.gflownets.mcmc import metropolis_hastings, uniform
from genrl.gflownets.objects import ObjectSet
from genrl.gflownets.queries import Queries


class Counted:
    """Remembers all that it was asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, objects: torch.Tensor) -> torch.Tensor:
        self.seen += map(tuple, objects.tolist())
        return 1.0 + objects.sum(1)


def game(reward=None, ndim: int = 2, height: int = 4) -> Game:
    made = Game.make("gfn.gym.HyperGrid", {"ndim": ndim, "height": height, "validate_modes": False})
    return Game(made.env, made.low, made.high, made.longest, reward)


def test_no_object_is_asked_for_twice_even_after_a_checkpoint():
    reward = Counted()
    queries = Queries(game(reward), 100)
    first, second = torch.tensor([[1, 2], [3, 3], [1, 2]]), torch.tensor([[3, 3], [0, 0]])
    assert queries(first).tolist() == [4.0, 7.0, 4.0]
    assert queries(second).tolist() == [7.0, 1.0]
    assert reward.seen == [(1, 2), (3, 3), (0, 0)]
    assert int(queries.asked) == 3
    assert queries.objects[:3].tolist() == [[1, 2], [3, 3], [0, 0]]
    again = Queries(game(reward), 100)
    again.load_state_dict(queries.state_dict())
    assert again(first).tolist() == [4.0, 7.0, 4.0]
    assert (len(reward.seen), int(again.asked)) == (3, 3)


def test_beyond_its_capacity_it_asks_anew_and_counts_that():
    reward = Counted()
    queries = Queries(game(reward), 2)
    objects = torch.tensor([[0, 0], [0, 1], [0, 2], [0, 3]])
    for _ in range(2):
        assert queries(objects).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert int(queries.asked) == len(reward.seen) == 6
    assert len(queries) == 2


def test_a_reward_that_fails_is_not_counted():
    queries = Queries(game(lambda objects: -objects.sum(1)), 10)
    with pytest.raises(OracleError, match=r"reward of \(1, 1\) is -2"):
        queries(torch.tensor([[1, 1]]))
    assert int(queries.asked) == 0


def test_a_markov_chain_comes_to_its_target():
    reward = Counted()
    queries = Queries(game(reward), 100)
    chain = metropolis_hastings(queries.game, queries, 500, generator(0))
    visited = torch.stack(list(itertools.islice(chain, 20, 120))).flatten(0, 1)
    share = torch.zeros(16, dtype=torch.float64)
    share.index_add_(0, visited @ torch.tensor([4, 1]), torch.ones(len(visited), dtype=torch.float64))
    cells = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    target = 1.0 + cells.sum(1).double()
    distance = float((share / share.sum() - target / target.sum()).abs().sum() / 2)
    even = float((1 / 16 - target / target.sum()).abs().sum() / 2)
    assert distance < 0.02 < even
    assert int(queries.asked) <= 16


def test_uniform_objects_reach_all_entries():
    words = Game.make("gfn.gym.BitSequence", {"word_size": 2, "seq_size": 8, "n_modes": 1})
    drawn = uniform(words, 4000, generator(0))
    assert (int(drawn.min()), int(drawn.max()), drawn.shape) == (0, 3, (4000, 4))
    assert len(drawn.unique(dim=0)) == 256


def test_a_set_needs_probabilities():
    import genrl

    settings = {"settings": {"ndim": 2, "height": 4, "validate_modes": False}}
    env = genrl.make_env("genrl/hypergrid-v0", settings)
    data = genrl.collect("genrl/hypergrid-v0", Uniform.for_env(env), 4, seed=0, env_options=settings)
    with pytest.raises(ConfigurationError, match="log_pf"):
        ObjectSet.of(data)
