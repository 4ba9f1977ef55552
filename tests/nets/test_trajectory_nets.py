"""Networks over trajectories: no look ahead, no look at padding, and what they are told apart by."""

from functools import partial

import pytest
import torch

from genrl.nets.trajectories import FutureTransformer, HistoryTransformer, PooledMLP, Present

FUTURES = {
    "pooled": partial(PooledMLP, width=16),
    "transformer": partial(FutureTransformer, width=16, layers=2, heads=2, dropout=0.0),
}


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_history_depends_on_no_later_step_and_on_every_one_before():
    net = HistoryTransformer(3, 2, width=16, layers=2, heads=2, dropout=0.0)
    states, before = drawn(1, 6, 3).requires_grad_(True), drawn(1, 6, 2, seed=1).requires_grad_(True)
    out = net(states, before)
    assert out.shape == (1, 6, net.dim)
    for gradient in torch.autograd.grad(out[0, 3].square().sum(), (states, before)):
        assert (gradient[0, 4:] == 0).all()
        assert (gradient[0, :4].abs().sum(-1) > 0).all()


def test_the_present_is_all_that_a_markov_policy_sees():
    net, states = Present(3, 2), drawn(2, 6, 3)
    assert (net.dim, net.reach) == (3, 1)
    assert net(states, drawn(2, 6, 2)) is states


@pytest.mark.parametrize("make", FUTURES.values(), ids=FUTURES.keys())
def test_a_future_is_told_from_all_its_steps_and_none_of_the_padding(make):
    net = make(4, 5)
    lengths = torch.tensor([6, 1, 3])
    mask = torch.arange(6) < lengths[:, None]
    steps = drawn(3, 6, 4).requires_grad_(True)
    out = net(steps, mask)
    assert out.shape == (3, 5)
    for row, length in enumerate(lengths.tolist()):
        (gradient,) = torch.autograd.grad(out[row].square().sum(), steps, retain_graph=True)
        assert (gradient[row, :length].abs().sum(-1) > 0).all()
        assert (gradient[row, length:] == 0).all()
        assert (gradient[torch.arange(3) != row] == 0).all()
        alone = net(steps[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], out[row], atol=1e-5, rtol=1e-5)
