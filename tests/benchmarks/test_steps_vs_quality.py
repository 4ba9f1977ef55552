"""Verdicts on made-up cells, and that a setting takes the network calls that it is said to take."""

import pytest
import torch
from torch import nn

from benchmarks import steps_vs_quality_cells as cells
from benchmarks.results import Results
from benchmarks.steps_vs_quality import BENCHMARK, FLOORS, PAPER, WITHOUT_CHURN, aggregate, picture
from genrl.demo import task
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM


def made_up(quality, seeds=range(5)) -> Results:
    """All cells of hopper; ``quality(solver, calls, measure)`` is how many times worse than 512 calls a point is."""
    planned = [cell for cell in BENCHMARK.cells if cell.environment == "hopper" and cell.seed in seeds]
    done = {}
    for cell in planned:
        calls, run = cell.settings.get("calls", 0), 1 + 0.1 * cell.seed  # training runs differ
        values = {name: run * quality(cell.arm, calls, name) for name in FLOORS}
        done[cell] = values | {f"{name}_error": 0.01 * run for name in FLOORS} | {"parameters": 7.0}
    return Results(planned, done)


def only(better: dict[tuple[str, int], float]):
    """Everything is twice as bad as the two references but for some points."""
    known = {PAPER: 1.0, WITHOUT_CHURN: 1.0} | better
    return lambda solver, calls, name: known.get((solver, calls), 2.0)


def test_the_fewest_calls_that_equal_512_count():
    figures = aggregate(made_up(only({("lms", 32): 1.0, ("dpmpp_2m", 16): 1.02, ("euler", 64): 0.9})))
    assert figures["calls_ratio.hopper"] == 512 / 16
    assert figures["calls_ratio_without_churn.hopper"] == 512 / 16
    found = {key: value for key, value in figures.items() if key.startswith("fewest")}
    assert found == {
        "fewest.lms.hopper": 32,
        "fewest.dpmpp_2m.hopper": 16,
        "fewest.euler.hopper": 64,
        "fewest.heun.hopper": 512,
        "fewest.heun_churn.hopper": 512,
    }
    assert figures["worst.dpmpp_2m.hopper.16"] == pytest.approx(1.02)
    assert figures["at_32.euler.hopper.marginal"] == pytest.approx(2.0)
    assert figures["error.marginal.hopper"] == pytest.approx(0.01)


def test_more_calls_than_32_give_no_key():
    assert not any(key.startswith("calls_ratio") for key in aggregate(made_up(only({("lms", 64): 1.0}))))


@pytest.mark.parametrize("fails", FLOORS)
def test_every_measure_counts(fails):
    figures = aggregate(made_up(lambda solver, calls, name: 1.2 if (calls < 512 and name == fails) else 1.0))
    assert not any(key.startswith("calls_ratio") for key in figures)
    assert figures[f"at_32.lms.hopper.{fails}"] == pytest.approx(1.2)


def test_each_reference_has_a_verdict_of_its_own():
    figures = aggregate(made_up(only({WITHOUT_CHURN: 1.5, ("lms", 8): 1.5})))
    assert "calls_ratio.hopper" not in figures
    assert figures["calls_ratio_without_churn.hopper"] == 512 / 8


def test_one_training_seed_gives_ratios_and_no_verdict():
    figures = aggregate(made_up(only({("lms", 8): 0.5}), seeds=[0]))
    assert not any(key.startswith(("calls_ratio", "fewest")) for key in figures)
    assert figures["worst.lms.hopper.8"] == pytest.approx(0.5)


def test_the_picture_has_a_panel_for_each_measure():
    figure = picture(made_up(only({})))
    assert len([axes for axes in figure.axes if axes.lines]) == len(FLOORS)


class Counting(nn.Module):
    """A network that outputs nothing and counts its calls."""

    calls = 0

    def forward(self, x, noise, condition=None):
        self.calls += 1
        return torch.zeros_like(x)


@pytest.mark.parametrize("calls", [4, 32])
@pytest.mark.parametrize("arm", cells.SOLVERS)
def test_a_setting_takes_its_calls(arm, calls):
    net = Counting()
    cells.SOLVERS[arm](calls)(Denoiser(net, EDM(), EDMPrediction(1.0)), torch.zeros(2, 3), None, BlockNoise(0, 0))
    left = int(arm.startswith(("heun", "dpmpp_2s")))
    if (arm, calls) == ("dpmpp_2s_ancestral", 32):
        left = 4  # three noisy steps are so long that they draw all noise anew, and have no middle
    assert net.calls == calls - left


def test_windows_that_all_end_early_are_the_worst():
    real = task.play(task.Settings(fragments=6, steps=20), 6, seed=0)
    short = task.play(task.Settings(fragments=4, steps=cells.HORIZON - 1), 4, seed=1)
    assert cells.measures(short, real[:4], real[4:], seed=0)["copying"] == cells.NOTHING
    assert cells.measures(real, real[:4], real[4:], seed=0)["copying"] <= 1
