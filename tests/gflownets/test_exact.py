"""Exact distributions beside torchgfn's own listing of states, and beside draws."""

import pytest
import torch

from genrl.data.errors import ConfigurationError
from genrl.gflownets import exact
from genrl.gflownets.estimators import backward, policy
from genrl.gflownets.exact import StateSpace, table, total_variation
from genrl.gflownets.explorer import NET
from genrl.gflownets.sampler import sample, terminal
from tests.gflownets.games import game


@pytest.mark.parametrize(
    ("env", "states", "objects", "longest"), [("genrl/hypergrid-v0", 16, 16, 7), ("genrl/bits-v0", 511, 256, 9)]
)
def test_all_states_are_listed(env, states, objects, longest):
    space = StateSpace.of(game(env).env)
    assert (len(space.states), len(space.objects), space.longest) == (states, objects, longest)
    assert len(space.states.unique(dim=0)) == states


def test_the_spread_is_that_of_draws():
    own = game()
    pf, space = policy(own, NET), StateSpace.of(own.env)
    exactly = space.spread(table(space, own.env, pf))
    torch.testing.assert_close(exactly.sum(), torch.ones((), dtype=torch.float64))
    drawn = terminal(sample(own.env, pf, 40_000))
    counts = (drawn[:, None] == space.objects).all(-1).double().mean(0)
    assert total_variation(counts, exactly) < 0.02


def test_policies_are_spread_side_by_side():
    own = game()
    space = StateSpace.of(own.env)
    several = torch.stack([table(space, own.env, policy(own, NET)) for _ in range(3)])
    torch.testing.assert_close(space.spread(several)[1], space.spread(several[1]))


def test_too_many_states_are_refused(monkeypatch):
    monkeypatch.setattr(exact, "MOST", 100)
    with pytest.raises(ConfigurationError, match="more than 100 states"):
        StateSpace.of(game("genrl/bits-v0").env)


def test_parents_are_equally_likely():
    own = game()
    pb = backward(own)
    states = own.env.states_from_tensor(torch.tensor([[1, 2], [0, 3]]))
    probs = pb.to_probability_distribution(states, pb(states)).probs
    torch.testing.assert_close(probs, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
