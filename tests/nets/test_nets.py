"""Denoiser networks: shapes, conditions with gaps, what each output may depend on, gradients."""

import math

import pytest
import torch
from torch import Tensor, nn

from genrl.nets.embedding import SinusoidalEmbedding
from genrl.nets.mlp import MLP, DenoisingMLP
from genrl.nets.residual_mlp import ResidualMLP
from genrl.nets.temporal_transformer import TemporalTransformer
from genrl.nets.temporal_unet import TemporalUNet

SEQUENCE_NETS = {
    "unet": lambda dim, condition_dim=0: TemporalUNet(dim, condition_dim, width=16, groups=4),
    "unet5": lambda dim, condition_dim=0: TemporalUNet(dim, condition_dim, width=8, multipliers=(1, 1), kernel=5),
    "transformer": lambda dim, condition_dim=0: TemporalTransformer(dim, condition_dim, width=32, layers=2),
}
VECTOR_NETS = {
    "residual": lambda dim, condition_dim=0: ResidualMLP(dim, condition_dim, width=64, layers=2),
    "mlp": lambda dim, condition_dim=0: DenoisingMLP(dim, condition_dim, width=32),
}
NETS = SEQUENCE_NETS | VECTOR_NETS


def seeded(make, *sizes: int) -> nn.Module:
    """A network in which the layers that start at zero have weights too."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make(*sizes).eval()
        for parameter in net.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.2)
    return net


def batch(name: str, rows: int = 5, horizon: int = 8, dim: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (rows, horizon, dim) if name in SEQUENCE_NETS else (rows, dim)
    x = torch.randn(shape, generator=generator)
    return x, torch.randn(rows, generator=generator), torch.randn(rows, 4, generator=generator)


@pytest.mark.parametrize("name", SEQUENCE_NETS)
@pytest.mark.parametrize("horizon", [1, 2, 3, 7, 8, 17, 32, 33])
def test_any_horizon_goes_in_and_comes_out(name, horizon):
    x, noise, condition = batch(name, horizon=horizon)
    net = seeded(NETS[name], 3, 4)
    assert net(x, noise, condition).shape == x.shape


@pytest.mark.parametrize("features", [1, 7, 8])
def test_waves_of_an_odd_number_end_with_a_zero(features):
    noise, even = torch.linspace(-1, 1, 5), features // 2 * 2
    waves = SinusoidalEmbedding(features)(noise)
    assert waves.shape == (5, features)
    assert torch.equal(waves[:, :even], SinusoidalEmbedding(even)(noise))
    assert not waves[:, even:].any()


def test_a_horizon_beyond_the_longest_is_named():
    net = TemporalTransformer(3, max_horizon=8)
    with pytest.raises(ValueError, match="max_horizon=8"):
        net(torch.zeros(1, 9, 3), torch.zeros(1))


@pytest.mark.parametrize("name", ["unet", "transformer", "residual"])
def test_a_fresh_network_puts_out_nothing(name):
    x, noise, _ = batch(name)
    assert not NETS[name](3)(x, noise).any()


@pytest.mark.parametrize("name", NETS)
def test_a_row_of_nan_is_no_condition(name):
    x, noise, condition = batch(name)
    net = seeded(NETS[name], 3, 4)
    free = net(x, noise)
    condition[2] = math.nan
    mixed = net(x, noise, condition)
    torch.testing.assert_close(mixed[2], free[2])
    assert not torch.isclose(mixed[[0, 1, 3, 4]], free[[0, 1, 3, 4]]).all(-1).any()


@pytest.mark.parametrize("name", NETS)
def test_zero_differs_from_not_given(name):
    x, noise, condition = batch(name)
    net = seeded(NETS[name], 3, 4)
    gap = condition.clone()
    gap[:, 1], condition[:, 1] = math.nan, 0.0
    assert not torch.allclose(net(x, noise, gap), net(x, noise, condition))


@pytest.mark.parametrize("name", NETS)
def test_gradients_reach_every_parameter_and_stay_finite_beside_gaps(name):
    x, noise, condition = batch(name)
    condition[0], condition[1, 2] = math.nan, math.nan
    net = seeded(NETS[name], 3, 4)
    net(x, noise, condition).square().sum().backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize("name", NETS)
def test_rows_of_a_batch_do_not_meet(name):
    x, noise, condition = batch(name)
    net = seeded(NETS[name], 3, 4)
    whole = net(x, noise, condition)
    alone = torch.cat([net(x[i : i + 1], noise[i : i + 1], condition[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_the_noise_level_counts(name):
    x, noise, _ = batch(name)
    net = seeded(NETS[name], 3)
    assert (net(x, noise) - net(x, noise + 0.1)).abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("name", NETS)
def test_a_network_without_condition_refuses_one(name):
    x, noise, condition = batch(name)
    with pytest.raises(ValueError, match="condition_dim"):
        NETS[name](3)(x, noise, condition)


@pytest.mark.parametrize("name", SEQUENCE_NETS)
def test_both_ends_of_a_window_see_each_other(name):
    x, noise, _ = batch(name, rows=1, horizon=16)
    net = seeded(NETS[name], 3)
    for seen, changed in ((0, 15), (15, 0)):
        other = x.clone()
        other[:, changed] += 1.0
        assert not torch.allclose(net(x, noise)[:, seen], net(other, noise)[:, seen], rtol=0, atol=1e-7)


def test_a_causal_transformer_sees_no_later_row():
    x, noise, _ = batch("transformer", horizon=9)
    net = seeded(lambda: TemporalTransformer(3, width=32, layers=2, causal=True))
    other = x.clone()
    other[:, 5:] += 1.0
    before, after = net(x, noise), net(other, noise)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_a_transformer_without_positions_commutes_with_permutations():
    x, noise, _ = batch("transformer", horizon=9)
    net = seeded(NETS["transformer"], 3)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(net(x[:, order], noise), net(x, noise)[:, order])
    nn.init.zeros_(net.position)
    torch.testing.assert_close(net(x[:, order], noise), net(x, noise)[:, order])


def test_dropout_acts_in_training_alone():
    x, noise, _ = batch("transformer")
    net = seeded(lambda: TemporalTransformer(3, width=32, layers=1, dropout=0.5))
    torch.testing.assert_close(net(x, noise), net(x, noise))
    with torch.random.fork_rng():
        net.train()
        assert not torch.allclose(net(x, noise), net(x, noise))


def test_an_mlp_has_the_layers_asked_for():
    net = MLP(5, 2, width=16, layers=3, activation=nn.Tanh, layer_norm=True, dropout=0.1)
    kinds = [type(module).__name__ for module in net]
    assert kinds == ["Linear", "LayerNorm", "Tanh", "Dropout"] * 3 + ["Linear"]
    assert sum(p.numel() for p in MLP(5, 2, width=16, layers=2).parameters()) == 6 * 16 + 17 * 16 + 17 * 2
    assert MLP(5, 2, layers=0)(torch.zeros(4, 7, 5)).shape == (4, 7, 2)


@pytest.mark.parametrize("name", NETS)
def test_a_network_can_learn_to_denoise_one_sample(name):
    """The sample is the target at every noise level: a constant, which biases alone can reach."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = NETS[name](3)
        sample = batch(name, rows=1)[0]
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(200):
            noise = torch.randn(16)
            noisy = sample + noise.reshape(16, *[1] * (sample.ndim - 1)).exp() * torch.randn(16, *sample.shape[1:])
            error = (net(noisy, noise) - sample).square().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
    assert error < 0.25 * sample.square().mean()


def test_a_short_row_by_itself_is_denoised():
    """Group normalisation of single values: torch refuses them in evaluation, too."""
    net = seeded(lambda dim, condition_dim: TemporalUNet(dim, condition_dim, width=8, groups=8), 3, 0).eval()
    rows, times = torch.randn(3, 1, 3), torch.ones(3)
    torch.testing.assert_close(net(rows[:1], times[:1], None), net(rows, times, None)[:1])
