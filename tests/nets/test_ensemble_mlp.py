"""The batched ensemble against its members one by one."""

import torch
import torch.nn.functional as F
from torch import nn

from genrl.nets.ensemble_mlp import EnsembleMLP


def made() -> EnsembleMLP:
    torch.manual_seed(0)
    net = EnsembleMLP(3, 2, 4, width=8, layers=2)
    for layer in net.layers:
        nn.init.normal_(layer.bias)
    return net


def member(net: EnsembleMLP, m: int, x: torch.Tensor) -> torch.Tensor:
    """By torch's own linear layers."""
    *hidden, head = net.layers
    for layer in hidden:
        x = F.silu(F.linear(x, layer.weight[m].T, layer.bias[m, 0]))
    return F.linear(x, head.weight[m].T, head.bias[m, 0])


def test_one_call_is_a_loop_over_the_members():
    net, x = made(), torch.randn(4, 5, 3)
    torch.testing.assert_close(net(x), torch.stack([member(net, m, x[m]) for m in range(4)]))


def test_members_can_be_asked_alone_and_in_any_order():
    net, x = made(), torch.randn(2, 5, 3)
    asked = torch.tensor([3, 1])
    torch.testing.assert_close(net(x, asked), torch.stack([member(net, m, x[i]) for i, m in enumerate((3, 1))]))


def test_no_member_learns_from_the_rows_of_another():
    net = made()
    net(torch.randn(4, 5, 3))[2].sum().backward()
    for layer in net.layers:
        assert layer.weight.grad[2].any()
        assert not layer.weight.grad[[0, 1, 3]].any()


def test_weights_begin_as_in_the_paper():
    """A normal distribution of deviation 1 / (2 sqrt(in)), cut at two deviations: its own deviation is 0.88 of that."""
    weight = EnsembleMLP(100, 100, 7, width=100, layers=1).layers[0].weight
    torch.testing.assert_close(weight.std(), torch.tensor(0.05 * 0.8796), rtol=0.02, atol=0)
    assert weight.abs().max() <= 0.1
    assert not torch.equal(weight[0], weight[1])
