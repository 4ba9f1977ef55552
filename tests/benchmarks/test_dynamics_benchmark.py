"""The benchmark of dynamics: what errors are measured by, what ratios are of, a reference that is not there."""

import os

import numpy as np
import pytest
import torch

from benchmarks import dynamics, stitch_models
from benchmarks.cells import Cell
from benchmarks.dynamics_cells import ARMS, HORIZONS, apart, compute, paper_model, pieces, require_equal
from benchmarks.dynamics_reference import GIVEN, REPOSITORY, ReferenceEnsemble, _function, given
from benchmarks.results import Results
from benchmarks.runner import result_file
from benchmarks.table import markdown
from genrl.data.episodes import Episodes
from genrl.data.journeys import stitching

TINY = {"trajectories": 4, "world_width": 16, "world_layers": 1, "world_updates": 4, "fresh": 1}


@pytest.fixture(scope="module")
def real() -> Episodes:
    return stitching(4, seed=7)


def made_up() -> Results:
    """Arm i is off by i + seed / 10 at the first horizon, ten times that at the next, and so on."""
    done = {}
    for cell in dynamics.BENCHMARK.cells:
        if cell.arm in ARMS:
            place = 1 + list(ARMS).index(cell.arm) + cell.seed / 10
            done[cell] = {f"h{horizon}": place * 10**power for power, horizon in enumerate(HORIZONS)}
            done[cell] |= {f"high_{name}": 2 * value for name, value in done[cell].items()}
        else:
            done[cell] = {"ours": 2.0, "reference": 6.0, "bare": 1.5, "parameters": 10, "reference_parameters": 10}
            done[cell] |= {"bare_and_step": 1.8} if cell.environment == "train" else {"telling": 4.0}
    return Results(list(done), done)


# errors


@pytest.mark.parametrize("horizon", [1, 30, 200])
def test_pieces_follow_one_another_within_their_episode(real, horizon):
    """30 does not divide 200, so that 20 steps of every episode are left out."""
    start, actions, end = pieces(real, horizon)
    each = 200 // horizon
    assert start.shape == end.shape == (4 * each, 4)
    assert actions.shape == (4 * each, horizon, 2)
    states = real.observations[""].unflatten(0, (4, 201))
    for number in (0, each - 1, each, 4 * each - 1):
        episode, place = divmod(number, each)
        assert torch.equal(start[number], states[episode, place * horizon].double())
        assert torch.equal(end[number], states[episode, (place + 1) * horizon].double())
        first = 200 * episode + place * horizon
        assert torch.equal(actions[number], real.actions[""][first : first + horizon])


@pytest.mark.parametrize("horizon", [1, 50, 200])
def test_the_simulator_comes_back_to_what_was_recorded(real, horizon):
    off = apart(None, real, real, horizon)
    assert len(off) == 4 * 200 // horizon
    assert off.max() < 1e-6


def test_an_error_is_in_standard_deviations_of_real_changes(real):
    """Of a prediction that is off by one standard deviation in one of four columns: a half."""
    _, _, end = pieces(real, 50)
    start, _, _ = pieces(real, 50)
    spread = (end - start).std(0, correction=0)
    off = apart(lambda states, actions: end + spread * torch.tensor([0, 1, 0, 0]), real, real, 50)
    assert off == pytest.approx(np.full(16, 0.5), abs=1e-6)
    unchanged = apart(lambda states, actions: states, real, real, 50)
    assert unchanged == pytest.approx(((end - start) / spread).square().mean(1).sqrt().numpy(), abs=1e-5)


def test_every_arm_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(stitch_models, "SHARED", tmp_path)
    for arm in ARMS:
        values = compute(Cell(arm, "error", 3, TINY), tmp_path)
        assert set(values) == {f"{kind}h{horizon}" for horizon in HORIZONS for kind in ("", "high_")}
        assert np.isfinite(list(values.values())).all()
        assert (max(values.values()) < 1e-6) == (arm == "recorded")


# figures


def test_figures_are_what_their_keys_say():
    figures = dynamics.aggregate(made_up())
    assert figures["error.diffusion.h10"] == pytest.approx(10 * (2 + 0.2))
    assert figures["error90.diffusion.h10"] == pytest.approx(2 * figures["error.diffusion.h10"])
    assert figures["error_low.ensemble.h1"] < figures["error.ensemble.h1"] < figures["error_high.ensemble.h1"]
    for task in ("train", "rollout"):
        assert (figures[f"ratio.{task}"], figures[f"attainable.{task}"]) == (3.0, 4.0)
        assert figures[f"limit_fraction.{task}"] == 0.75
    assert figures["limit_fraction.train_with_step"] == pytest.approx(0.9)
    assert figures["ratio.rollout_with_disagreement"] == 1.5
    assert figures["updates_per_second.ours"] == 0.5
    assert figures["transitions_per_second.reference"] == pytest.approx(40_000 / 6)


def test_its_table_and_its_picture_show_every_model():
    results = made_up()
    table = markdown(result_file(dynamics.BENCHMARK, results))
    assert all(f"| {arm} |" in table for arm in ARMS)
    lines = {line.get_label(): line.get_ydata() for line in dynamics.picture(results).axes[0].lines}
    assert lines["ensemble"] == pytest.approx([1.2, 12, 120, 1200])
    assert lines["ensemble, 90 %"] == pytest.approx([2.4, 24, 240, 2400])


def test_errors_alone_give_no_speed():
    results = made_up()
    some = [cell for cell in results.planned if cell.environment == "error"]
    figures = dynamics.aggregate(Results(some, results.done))
    assert {name.split(".")[0] for name in figures} == {"error", "error_low", "error_high", "error90"}


# reference


def test_only_speed_needs_the_reference(monkeypatch):
    monkeypatch.delenv(GIVEN, raising=False)
    for cell in dynamics.BENCHMARK.cells:
        wanted = dynamics.obstacle(cell)
        assert (f"git clone {REPOSITORY}" in wanted) == (cell.arm == "turns")
    monkeypatch.setenv(GIVEN, "folder")
    assert not any(dynamics.obstacle(cell) for cell in dynamics.BENCHMARK.cells)


def test_a_folder_that_is_no_checkout_is_refused_with_the_way_to_get_one(tmp_path, real):
    with pytest.raises(SystemExit, match=f"no checkout of {REPOSITORY}: git clone"):
        ReferenceEnsemble(tmp_path, real)


def test_a_function_is_taken_from_a_script_that_would_read_its_command_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import nowhere\nraise SystemExit\n\ndef twice(x: Dict) -> Tuple:\n    return np.add(x, x)\n")
    assert _function(script, "twice")(3) == 6


@pytest.mark.skipif(not os.environ.get(GIVEN), reason=f"{GIVEN} names no checkout")
def test_the_reference_says_the_same_with_the_same_weights_and_no_other(real):
    model = paper_model()
    model.prepare(real)
    theirs = ReferenceEnsemble(given(), real)
    require_equal(model, theirs)
    theirs.copy = lambda ensemble: None
    with torch.no_grad():
        model.ensemble.highest.fill_(-1.0)  # a narrower variance
    with pytest.raises(RuntimeError, match="log variances differ"):
        require_equal(model, theirs)
