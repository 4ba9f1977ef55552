"""The policies' MLP sees its whole window and its context, and takes the place of the transformer."""

import pytest
import torch

from genrl.nets.policy_mlp import PolicyMLP
from genrl.nets.policy_transformer import Observed, PolicyTransformer


@pytest.fixture
def net() -> PolicyMLP:
    torch.manual_seed(0)
    return PolicyMLP(4, 3, 2, 5, history=2, chunk=2, goal_length=1, width=16, context=12)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_it_takes_and_gives_what_the_transformer_does(net):
    like = PolicyTransformer(4, 3, 2, 5, 2, 2, 1, width=16, layers=1, heads=2)
    observed = Observed(draw(6, 2, 4), draw(6, 1, 3))
    for actions, noise in ((draw(6, 3, 2), draw(6)), (None, None)):
        assert net(actions, noise, observed).shape == like(actions, noise, observed).shape == (6, 3, 5)


def test_every_output_depends_on_every_input(net):
    actions, noise, states, goals = (x.requires_grad_() for x in (draw(1, 3, 2), draw(1), draw(1, 2, 4), draw(1, 1, 3)))
    out = net(actions, noise, Observed(states, goals))
    for entry in out.flatten():
        for gradient in torch.autograd.grad(entry, (actions, noise, states, goals), retain_graph=True):
            assert (gradient != 0).all()


def test_rows_do_not_mix_and_a_goal_that_is_not_given_is_not_zero(net):
    actions, noise, observed = draw(4, 3, 2), draw(4), Observed(draw(4, 2, 4), draw(4, 1, 3))
    together = net(actions, noise, observed)
    row = slice(2, 3)
    alone = net(actions[row], noise[row], Observed(observed.states[row], observed.goals[row]))
    torch.testing.assert_close(together[row], alone)
    missing, zero = (observed._replace(goals=torch.full((4, 1, 3), value)) for value in (torch.nan, 0.0))
    assert net(actions, noise, missing).isfinite().all()
    assert not torch.allclose(net(actions, noise, missing), net(actions, noise, zero))


def test_every_parameter_learns_without_goals_too():
    net = PolicyMLP(4, 0, 2, 2, history=1, chunk=1, goal_length=0, width=16, layers=3)
    net(draw(8, 1, 2), draw(8), Observed(draw(8, 1, 4), draw(8, 0, 0))).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())
