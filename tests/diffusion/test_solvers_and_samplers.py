"""Samplers against closed forms and against diffusers."""

import math

import pytest
import torch
from scipy import stats

from benchmarks.sampler_references import COMPARISONS, Gaussian, Mixture, SmoothNet, exact_std, unchurned
from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.grids import karras, on_path, uniform
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, VP, CondOT, CosineVP
from genrl.diffusion.samplers import SAMPLERS, ancestral, dpmpp_2m, dpmpp_2m_sde, dpmpp_2s, euler, heun, lms

PATHS = [EDM(), VP(), CosineVP(), CondOT()]
CHURN = {"s_churn": 80.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}
DETERMINISTIC = {
    "euler": 1,
    "heun": 2,
    "dpm_2": 2,
    "dpmpp_2s": 2,
    "dpmpp_2m": 2,
    "lms": 2,
}  # lms starts at first order, which costs it the rest


@pytest.mark.parametrize("name", COMPARISONS)
def test_diffusers_agrees(name):
    with torch.no_grad():
        ours, theirs = COMPARISONS[name]()
    assert float((ours - theirs).abs().max()) <= 1e-5


def even(n: int) -> torch.Tensor:
    """Even steps in ln(sigma / alpha) between two levels."""
    return torch.logspace(math.log10(3.0), math.log10(0.3), n + 1, dtype=torch.float64)


def graded(n: int) -> torch.Tensor:
    """The same after steps that double from 1 / n^3: a method that starts at low order loses nothing there."""
    first = torch.cat((torch.zeros(1), 2.0 ** torch.arange(-3 * math.log2(n), 0.5 - math.log2(n)))).double()
    return torch.cat((10 ** (math.log10(3.0) - first), even(n)[2:]))


def order_of(sampler, path, levels=even, **options) -> float:
    """The exponent of the error's fall with the number of steps, on the smooth part of an exactly solved flow."""
    exact = Gaussian(path, mean=0.7, std=0.6)
    start, end = on_path(torch.tensor([3.0, 0.3]), path)
    x = torch.tensor([[-2.0], [0.5], [4.0]], dtype=torch.float64)
    truth = exact.flow(x, start, end)
    errors, counts = [], (32, 64, 128, 256)
    for n in counts:
        grid = on_path(levels(n), path)
        errors.append(float((sampler(exact, x, grid, **options) - truth).abs().max()))
    return -stats.linregress([math.log(n) for n in counts], [math.log(e) for e in errors]).slope


@pytest.mark.parametrize("path", PATHS, ids=repr)
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_every_solver_has_its_order_on_every_path(name, path):
    assert order_of(SAMPLERS[name], path) == pytest.approx(DETERMINISTIC[name], abs=0.25)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_linear_multistep_has_the_order_asked_for(order):
    assert order_of(lms, EDM(), graded, order=order) == pytest.approx(order, abs=0.4)


@pytest.mark.parametrize(
    ("sampler", "options", "order"),
    [
        (ancestral, {}, 1),
        (dpmpp_2m_sde, {}, 2),
        (heun, {"s_churn": 10.0}, 1),
        (dpmpp_2s, {"eta": 1.0}, 2),
        (dpmpp_2s, {"eta": 1.0, "s_tmax": 1.0}, 2),
    ],
    ids=["ancestral", "dpmpp_2m_sde", "heun", "dpmpp_2s", "dpmpp_2s-below-1"],
)
def test_stochastic_solvers_reach_the_right_spread(sampler, options, order):
    """Weak order: of the exact standard deviation, from noise levels at which the start is a sample too."""
    errors, counts = [], (16, 32, 64, 128)
    for n in counts:
        grid = even(n)
        x = torch.zeros(n + 1, 1, dtype=torch.float64)
        x[0] = math.sqrt(1 + 3.0**2)
        spread = float(sampler(Gaussian(EDM()), x, grid, None, unit_noise, **options).norm())
        errors.append(abs(spread - math.sqrt(1 + 0.3**2)))
    slope = -stats.linregress([math.log(n) for n in counts], [math.log(e) for e in errors]).slope
    assert slope > order - 0.3


def test_noise_is_drawn_only_below_its_limit():
    """A step is noisy from ``s_tmax`` on: nowhere it is the deterministic solver, everywhere the ancestral form."""
    x, grid = torch.full((3, 1), 80.0, dtype=torch.float64), karras(12)

    def made(**options):
        return dpmpp_2s(Gaussian(EDM()), x, grid, None, BlockNoise(0, 0), **options)

    assert torch.equal(made(eta=1.0, s_tmax=0.0), made())
    assert torch.equal(made(eta=1.0, s_tmax=80.0), made(eta=1.0))
    level = float(grid[8])
    above = dpmpp_2s(Gaussian(EDM()), x, grid[:9], None)
    below = dpmpp_2s(Gaussian(EDM()), above, grid[8:], None, BlockNoise(0, 0), eta=1.0)
    torch.testing.assert_close(made(eta=1.0, s_tmax=level), below)


def unit_noise(step, like):
    noise = torch.zeros_like(like)
    noise[step] = 1.0
    return noise


@pytest.mark.parametrize(
    ("steps", "ours", "theirs"), [(16, 1.13, 2.10), (32, 1.05, 1.34), (64, 1.02, 1.13), (256, 1.01, 1.03)]
)
def test_churned_heun_keeps_the_spread_that_the_reference_rule_inflates(steps, ours, theirs):
    grid = karras(steps)
    assert exact_std(heun, grid, **CHURN) == pytest.approx(ours, abs=0.02 if steps == 16 else 0.006)
    assert exact_std(unchurned, grid, **CHURN) == pytest.approx(theirs, abs=0.006)


def test_the_reference_rule_collapses_at_first_order():
    assert exact_std(unchurned, karras(256), correct=False, **CHURN) == pytest.approx(0.06, abs=0.005)


def test_the_spread_found_without_sampling_is_that_of_samples():
    x = 80 * BlockNoise(0, 0).normal(0, (200_000, 1))
    samples = heun(Gaussian(EDM()), x, karras(16), None, BlockNoise(0, 0), **CHURN)
    assert float(samples.std()) == pytest.approx(exact_std(heun, karras(16), **CHURN), abs=0.006)


@pytest.mark.parametrize("path", PATHS, ids=repr)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_of_a_gaussian_have_its_mean_and_spread(name, path):
    grid = on_path(karras(100), path)
    noise = BlockNoise(1, 2)
    x = path.sigma(grid[0]) * noise.normal(0, (20_000, 1), torch.float64)
    samples = SAMPLERS[name](Gaussian(path, 2.0, 0.5), x, grid, None, noise)
    assert float(samples.mean()) == pytest.approx(2.0, abs=0.03)
    assert float(samples.std()) == pytest.approx(0.5, abs=0.05 if name == "ancestral" else 0.03)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_of_a_mixture_have_its_distribution(name):
    mixture = Mixture(EDM(), (-2.0, 1.0), (0.3, 0.6))
    noise = BlockNoise(3, 0)
    samples = SAMPLERS[name](mixture, 80 * noise.normal(0, (4000, 1), torch.float64), karras(120), None, noise)
    cdf = lambda v: (stats.norm.cdf(v, -2.0, 0.3) + stats.norm.cdf(v, 1.0, 0.6)) / 2  # noqa: E731
    assert stats.kstest(samples.flatten().numpy(), cdf).statistic < 0.03


@pytest.mark.parametrize("name", SAMPLERS)
def test_all_paths_take_the_same_way_where_theory_says_so(name):
    """EDM and VP differ by a scale alone; flow matching too for solvers that work in sigma / alpha."""
    noise = BlockNoise(0, 0)
    eps = noise.normal(0, (50, 2), torch.float64)
    results = []
    for path in (EDM(), VP(), CosineVP(), *([CondOT()] if name not in ("heun", "dpm_2", "lms") else [])):
        grid = on_path(karras(10), path)
        exact = Gaussian(path, 0.3, 0.8)
        results.append(SAMPLERS[name](exact, path.sigma(grid[0]) * eps, grid, None, noise))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], atol=1e-7, rtol=1e-7)


def test_flow_matching_starts_at_pure_noise():
    eps = BlockNoise(0, 0).normal(0, (20_000, 1), torch.float64)
    for name, sampler in SAMPLERS.items():
        samples = sampler(Gaussian(CondOT(), 1.0, 0.5), eps, uniform(64), None, BlockNoise(0, 0))
        assert float(samples.mean()) == pytest.approx(1.0, abs=0.03), name
        assert float(samples.std()) == pytest.approx(0.5, abs=0.04), name


def test_eta_goes_from_ddim_to_ancestral():
    denoiser, x, noise = Gaussian(EDM()), 80 * BlockNoise(0, 0).normal(0, (8, 2)), BlockNoise(0, 0)
    grid = karras(10)
    torch.testing.assert_close(
        euler(denoiser, x, grid, None, noise, eta=1.0), ancestral(denoiser, x, grid, None, noise)
    )
    torch.testing.assert_close(dpmpp_2m_sde(denoiser, x, grid, eta=0.0), dpmpp_2m(denoiser, x, grid))


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_is_the_denoised_estimate_itself(name):
    denoiser = Denoiser(SmoothNet(), EDM(), EDMPrediction(0.5))
    x = 80 * BlockNoise(0, 0).normal(0, (8, 3))
    sampled = SAMPLERS[name](denoiser, x, torch.tensor([80.0, 0.0]), None, BlockNoise(0, 0))
    torch.testing.assert_close(sampled, denoiser(x, torch.tensor(80.0)).detach())


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_network_is_called_once_a_step_and_twice_by_single_step_solvers(name):
    calls = []
    net = SmoothNet()
    net.register_forward_hook(lambda *_: calls.append(1))
    x = torch.ones(2, 3)
    SAMPLERS[name](Denoiser(net, EDM(), EDMPrediction()), x, karras(9), None, BlockNoise(0, 0))
    assert len(calls) == (17 if name in ("heun", "dpm_2", "dpmpp_2s") else 9)


@pytest.mark.parametrize("name", SAMPLERS)
def test_preconditioned_and_plain_denoisers_go_the_same_way(name):
    """The folded tables against calls of the denoiser as any function."""
    denoiser = Denoiser(SmoothNet().double(), EDM(), EDMPrediction(0.5))

    def plain(x, t, condition=None):
        return denoiser(x, t, condition)

    plain.path = EDM()
    noise = BlockNoise(0, 0)
    x = 80 * noise.normal(0, (8, 3), torch.float64)
    options = CHURN if name == "heun" else {}
    folded, called = (SAMPLERS[name](d, x, karras(12), None, noise, **options) for d in (denoiser, plain))
    torch.testing.assert_close(folded, called, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_batch_size_changes_no_row(name):
    denoiser = Denoiser(SmoothNet(dim=32), EDM(), EDMPrediction(0.5))
    noise = BlockNoise(4, 1)
    options = CHURN if name == "heun" else {}

    def draw(part, rows):
        return SAMPLERS[name](denoiser, 80 * part.normal(0, (rows, 32)), karras(8), None, part, **options)

    whole = draw(noise, 700)  # so many numbers that noise is not drawn ahead
    parts = torch.cat((draw(noise, 5), draw(noise.part(5), 295), draw(noise.part(300), 400)))
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_inputs_are_left_alone_and_results_may_be_trained_on(name):
    denoiser = Denoiser(SmoothNet(), EDM(), EDMPrediction())
    x = 80 * BlockNoise(0, 0).normal(0, (4, 3))
    before = x.clone()
    first = SAMPLERS[name](denoiser, x, karras(5), None, BlockNoise(0, 0))
    assert torch.equal(x, before)
    kept = first.clone()
    SAMPLERS[name](denoiser, x, karras(5), None, BlockNoise(1, 0))
    assert torch.equal(first, kept)
    assert not first.is_inference()
    (torch.nn.Parameter(torch.ones(3)) * first).sum().backward()


def test_a_wrapper_may_turn_gradients_on():
    """As guidance does: the gradient of a function of the state, within sampling."""
    denoiser = Denoiser(SmoothNet(), EDM(), EDMPrediction())
    seen = []

    def guided(x, t, condition=None):
        with torch.enable_grad():
            x = x.requires_grad_()
            estimate = denoiser(x, t, condition)
            (gradient,) = torch.autograd.grad(estimate.square().sum(), x)
        seen.append(gradient)
        return (estimate - gradient).detach()

    guided.path = EDM()
    x = 80 * BlockNoise(0, 0).normal(0, (4, 3))
    result = heun(guided, x, karras(4))
    assert result.isfinite().all()
    assert len(seen) == 7
    assert all(gradient.any() for gradient in seen)


def test_stochastic_samplers_ask_for_noise():
    denoiser, x = Gaussian(EDM()), torch.randn(4, 1, generator=torch.Generator().manual_seed(0))
    for sampler, options in ((ancestral, {}), (dpmpp_2m_sde, {}), (heun, CHURN), (euler, {"eta": 0.5})):
        with pytest.raises(ConfigurationError, match="noise"):
            sampler(denoiser, x, karras(8), **options)


def test_draws_are_numbered_from_one_and_no_more_than_steps():
    steps = []

    def noise(step, like):
        steps.append(step)
        return torch.zeros_like(like)

    heun(Gaussian(EDM()), torch.ones(3, 2), karras(9), None, noise, s_churn=80.0)
    assert steps == list(range(1, 10))


@pytest.mark.parametrize("grid", [[1.0], [1.0, 1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [1.0, math.nan]])
def test_grids_that_do_not_fall_are_refused(grid):
    with pytest.raises(ConfigurationError, match="grid"):
        euler(Gaussian(EDM()), torch.zeros(1, 1), torch.tensor(grid))


def test_grids_outside_a_path_are_refused():
    with pytest.raises(ConfigurationError, match=r"CosineVP\(offset=0\.008\)"):
        euler(Gaussian(CosineVP()), torch.zeros(1, 1), torch.tensor([1.5, 0.5, 0.0]))


def test_an_empty_batch_stays_empty():
    assert euler(Gaussian(EDM()), torch.zeros(0, 3), karras(4)).shape == (0, 3)
