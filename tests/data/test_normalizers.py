import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from genrl.data.errors import AlignmentError, EmptyDatasetError, NonFiniteError
from genrl.data.normalizers import GaussianQuantile, Identity, MinMax, Quantile, ZScore

ALL = (Identity, ZScore, MinMax, Quantile, GaussianQuantile)
FITTED = ALL[1:]


def random_data(rows=4000, seed=0):
    """Normal, skewed, two-valued, mostly zero, constant, tiny and large dimensions."""
    g = torch.Generator().manual_seed(seed)
    normal = torch.randn(rows, generator=g)
    return torch.stack(
        [
            normal,
            normal.exp(),
            (normal > 1).float(),
            normal.clamp(min=1.0),
            torch.full_like(normal, 0.1),
            1e-4 * normal,
            1e3 + normal,
        ],
        dim=1,
    )


@pytest.mark.parametrize("cls", ALL)
def test_the_inverse_is_exact(cls):
    data = random_data()
    normalizer = cls(7).fit(data)
    fresh = random_data(seed=1)  # with values beyond the fitted range
    error = (normalizer.denormalize(normalizer.normalize(fresh)) - fresh).abs()
    scale = fresh.abs().amax(0) + data.amax(0) - data.amin(0)
    assert (error.amax(0) <= 2e-5 * scale).all()


@pytest.mark.parametrize("cls", ALL)
@settings(max_examples=50, deadline=None)
@given(
    data=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.integers(1, 3)),
        elements=st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, 1.0]),
    )
)
def test_the_inverse_is_exact_for_any_data(cls, data):
    x = torch.from_numpy(data)
    normalizer = cls(x.shape[1]).fit(x)
    y = normalizer.normalize(x)
    assert y.isfinite().all()
    largest = x.abs().amax(0)
    constant = x.amax(0) - x.amin(0) <= 2e-6 * largest
    scale = torch.where(constant, largest + 1, largest)  # a constant dimension is shifted to units of its own
    assert ((normalizer.denormalize(y) - x).abs() <= 3e-5 * scale + 1e-30).all()


@pytest.mark.parametrize("cls", FITTED)
def test_maps_rise_strictly(cls):
    data = random_data()
    normalizer = cls(7).fit(data)
    span = torch.linspace(-1, 2, 500, dtype=torch.float64)[:, None]
    line = data.amin(0).double() + span * (data.amax(0) - data.amin(0)).clamp(min=1e-3).double()
    normalizer = normalizer.double()
    assert (normalizer.normalize(line).diff(dim=0) > 0).all()
    assert (normalizer.denormalize(span.expand(-1, 7)).diff(dim=0) > 0).all()


def test_zscore_against_numpy():
    data = random_data()
    y = ZScore(7).fit(data).normalize(data)
    varying = [0, 1, 2, 3, 5, 6]
    reference = stats.zscore(data[:, varying].double().numpy())
    np.testing.assert_allclose(y[:, varying].numpy(), reference, atol=2e-3, rtol=1e-3)
    np.testing.assert_allclose(y[:, [0, 1, 2, 3]].numpy(), reference[:, :4], atol=1e-5)


def test_minmax_reaches_both_ends():
    data = random_data()
    y = MinMax(7).fit(data).normalize(data)
    for d in (0, 1, 2, 3, 5):
        assert y[:, d].aminmax() == pytest.approx((-1, 1), abs=1e-5)


@pytest.mark.parametrize("cls", FITTED)
def test_constant_dimensions_are_shifted_only(cls):
    x = torch.tensor([[3.0, 1e6], [3.0, 1e6]])
    normalizer = cls(2).fit(x)
    torch.testing.assert_close(normalizer.normalize(x), torch.zeros(2, 2))
    torch.testing.assert_close(normalizer.denormalize(torch.tensor([[0.5, 0.5]])), torch.tensor([[3.5, 1e6 + 0.5]]))


def test_quantile_is_the_empirical_distribution_function():
    data = random_data(20_000)[:, [0, 1, 5]]
    y = Quantile(3).fit(data).normalize(data)
    for d in range(3):
        assert stats.kstest(y[:, d].numpy(), stats.uniform(-1, 2).cdf).statistic < 0.005
        reference = 2 * stats.rankdata(data[:, d].numpy()) / len(data) - 1
        np.testing.assert_allclose(y[:, d].numpy(), reference, atol=0.01)


def test_gaussian_quantile_is_normal():
    data = random_data(20_000)[:, [0, 1, 5]]
    y = GaussianQuantile(3).fit(data).normalize(data)
    for d in range(3):
        assert stats.kstest(y[:, d].numpy(), "norm").statistic < 0.005
    assert y.abs().max() < 4


def test_two_values_go_to_the_two_ends():
    x = torch.tensor([[0.0]] * 90 + [[1.0]] * 10)
    assert Quantile(1).fit(x).normalize(torch.tensor([[0.0], [1.0]])).squeeze().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("cls", ALL)
def test_a_fresh_instance_takes_over_the_state(cls):
    data = random_data()
    fitted, fresh = cls(7).fit(data), cls(7)
    torch.testing.assert_close(fresh.normalize(data), data, atol=1e-4, rtol=1e-6)  # the identity before
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh.normalize(data), fitted.normalize(data))
    assert not list(fresh.parameters())


@pytest.mark.parametrize("cls", ALL)
def test_leading_axes_and_gradients(cls):
    normalizer = cls(7).fit(random_data())
    x = random_data(24).reshape(2, 3, 4, 7)
    torch.testing.assert_close(normalizer.normalize(x).reshape(24, 7), normalizer.normalize(x.reshape(24, 7)))
    y = torch.full((5, 7), 0.3, requires_grad=True)
    normalizer.denormalize(y).sum().backward()
    assert (y.grad > 0).all()


@pytest.mark.parametrize("cls", ALL)
def test_no_dimensions(cls):
    assert cls(0).fit(torch.zeros(5, 0)).normalize(torch.zeros(3, 0)).shape == (3, 0)


@pytest.mark.parametrize("cls", ALL)
def test_bad_data_are_named(cls):
    with pytest.raises(AlignmentError, match=r"\(N, 2\)"):
        cls(2).fit(torch.zeros(4, 3))
    with pytest.raises(EmptyDatasetError):
        cls(2).fit(torch.zeros(0, 2))
    with pytest.raises(NonFiniteError, match="Dimension 1"):
        cls(2).fit(torch.tensor([[0.0, torch.nan]]))
