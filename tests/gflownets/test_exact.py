"""Exact distributions beside torchgfn's own listing of states, and beside draws."""

import pytest
import torch
from gfn.env import DiscreteEnv
from gfn.states import DiscreteStates

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


class Line(DiscreteEnv):
    """From 0 to ``top`` by steps of one or two, or of one around a circle; any place is an object."""

    def __init__(self, top: int, circle: bool = False) -> None:
        self.top, self.circle = top, circle
        nothing, start = torch.tensor([-1]), torch.zeros(1, dtype=torch.int64)
        super().__init__(3, start, (1,), dummy_action=nothing, exit_action=torch.tensor([2]), sf=nothing)

    def make_states_class(self):
        env = self

        class Places(DiscreteStates):
            state_shape, s0, sf, n_actions = (1,), env.s0, env.sf, env.n_actions

            def _compute_forward_masks(self):
                left = env.top - self.tensor[..., 0]
                one, two = left >= (0 if env.circle else 1), (left >= 2) & (not env.circle)
                return torch.stack((one, two, torch.ones_like(one)), -1)

            def _compute_backward_masks(self):
                return torch.stack((self.tensor[..., 0] >= 1, self.tensor[..., 0] >= 2), -1)

        return Places

    def step(self, states, actions):
        after = states.tensor + actions.tensor + 1
        return self.states_from_tensor(after % (self.top + 1) if self.circle else after)

    def backward_step(self, states, actions):
        return self.states_from_tensor(states.tensor - actions.tensor - 1)

    def reward(self, final_states):
        return torch.ones(final_states.batch_shape)


def test_a_state_may_be_come_to_by_ways_of_different_length():
    """With even chances a place is come to as often as P(i) = a(i - 1) P(i - 1) + a(i - 2) P(i - 2)."""
    space = StateSpace.of(env := Line(4))
    masks = env.states_from_tensor(space.states).forward_masks.double()
    assert space.longest == 5
    spread = dict(
        zip(space.objects[:, 0].tolist(), space.spread(masks / masks.sum(1, keepdim=True)).tolist(), strict=True)
    )
    come = [1, 1 / 3, 4 / 9, 7 / 27, 7 / 54 + 4 / 27]
    ends = [1 / 3, 1 / 3, 1 / 3, 1 / 2, 1]
    assert spread == pytest.approx({place: come[place] * ends[place] for place in range(5)})
    assert sum(spread.values()) == pytest.approx(1)
    with pytest.raises(ConfigurationError, match="lead back to where they began"):
        StateSpace.of(Line(4, circle=True))


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
