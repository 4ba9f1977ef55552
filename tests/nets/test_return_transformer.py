"""What each output of the Decision Transformer's network depends on."""

import pytest
import torch

from genrl.nets.return_transformer import ReturnTransformer

K, S, A, OUT = 4, 3, 2, 5


@pytest.fixture(scope="module")
def net() -> ReturnTransformer:
    torch.manual_seed(0)
    made = ReturnTransformer(S, A, OUT, 10, width=16, layers=2, heads=2).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_an_output_sees_returns_and_states_up_to_its_own_and_the_actions_before_it(net):
    inputs = [torch.randn(1, K, requires_grad=True), torch.randn(1, K, S, requires_grad=True)]
    inputs.append(torch.randn(1, K, A, requires_grad=True))
    outputs = net(*inputs, torch.arange(K)[None])
    assert outputs.shape == (1, K, OUT)
    for step in range(K):
        gradients = torch.autograd.grad(outputs[0, step].sum(), inputs, retain_graph=True)
        seen = [gradient.reshape(K, -1).abs().sum(1) > 0 for gradient in gradients]
        assert seen[0].tolist() == seen[1].tolist() == [place <= step for place in range(K)]
        assert seen[2].tolist() == [place < step for place in range(K)]


def test_steps_after_a_window_change_nothing_and_times_beyond_the_last_are_alike(net):
    returns, states, actions = torch.randn(2, K), torch.randn(2, K, S), torch.randn(2, K, A)
    times = torch.arange(K).expand(2, K)
    whole = net(returns, states, actions, times)
    torch.testing.assert_close(net(returns[:, :2], states[:, :2], actions[:, :2], times[:, :2]), whole[:, :2])
    late = net(returns, states, actions, times + 6)  # up to time 9
    assert not torch.allclose(late, whole)
    torch.testing.assert_close(net(returns, states, actions, times + 9), net(returns, states, actions, times * 0 + 9))
