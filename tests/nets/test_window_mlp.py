"""The window MLP knows rows by their place, sees all of them, and starts as zero."""

import pytest
import torch

from genrl.nets.window_mlp import WindowMLP


@pytest.fixture
def net() -> WindowMLP:
    """With a head and blocks that say something."""
    net = WindowMLP(3, 2, rows=5, width=16, layers=2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    return net


def test_starts_as_zero():
    out = WindowMLP(3, rows=5, width=16)(torch.randn(4, 5, 3), torch.randn(4))
    assert torch.equal(out, torch.zeros(4, 5, 3))


def test_every_output_depends_on_every_input(net):
    x, noise = torch.randn(1, 5, 3, requires_grad=True), torch.randn(1, requires_grad=True)
    condition = torch.randn(1, 2, requires_grad=True)
    out = net(x, noise, condition)
    assert out.shape == (1, 5, 3)
    for entry in out.flatten():
        for gradient in torch.autograd.grad(entry, (x, noise, condition), retain_graph=True):
            assert (gradient != 0).all()


def test_rows_of_a_batch_do_not_mix_and_places_matter(net):
    x, noise, condition = torch.randn(4, 5, 3), torch.randn(4), torch.randn(4, 2)
    together = net(x, noise, condition)
    alone = torch.cat([net(x[i : i + 1], noise[i : i + 1], condition[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(net(x.flip(1), noise, condition), together.flip(1))


def test_a_missing_condition_is_not_zero(net):
    x, noise = torch.randn(4, 5, 3), torch.randn(4)
    missing = net(x, noise, torch.full((4, 2), torch.nan))
    torch.testing.assert_close(net(x, noise, None), missing)
    assert not torch.allclose(net(x, noise, torch.zeros(4, 2)), missing)


def test_every_parameter_learns(net):
    net(torch.randn(8, 5, 3), torch.randn(8), torch.randn(8, 2)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())
