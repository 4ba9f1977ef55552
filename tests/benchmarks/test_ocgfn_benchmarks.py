"""The benchmarks of OC-GFN: what their figures are made of."""

import numpy as np
import pytest
import torch

from benchmarks import ocgfn_bits, ocgfn_cells, ocgfn_grid, ocgfn_speed, ocgfn_speed_cells
from benchmarks.cells import Cell
from benchmarks.ocgfn_ablations import SHARE, held_out
from benchmarks.ocgfn_cells import compute_bits, compute_grid, fitted, path_probability
from benchmarks.ocgfn_settings import BITS, BITS_ARMS, GRIDS, Sizes
from benchmarks.results import Results
from genrl.gflownets.exact import StateSpace, table
from genrl.gflownets.sampler import terminal

TINY = {"updates": 2, "batch": 8, "asked": 30}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    """Fitted models in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ocgfn_cells, "SHARED", tmp_path_factory.mktemp("models"))
        yield


@pytest.mark.parametrize("arm", ocgfn_grid.ARMS)
def test_every_arm_of_the_grid_runs(arm, tmp_path):
    values = compute_grid(Cell(arm, "grid8", 3, TINY), tmp_path)
    assert all(0 <= value <= 1 for value in values.values())
    assert ("zero_shot_tv" in values) == (arm == "ocgfn")


@pytest.mark.parametrize("arm", BITS_ARMS)
def test_every_arm_of_the_strings_runs(arm, tmp_path):
    values = compute_bits(Cell(arm, "L16", 3, TINY), tmp_path)
    assert 0 < values["success"] < 0.1


def test_the_path_to_a_string_is_as_likely_as_its_draws():
    model = fitted("ot", "L16", 3, Sizes(2, 8))
    words = torch.zeros(2, 16, dtype=torch.int64)
    words[1, ::2] = 1
    chance = path_probability(model, words)
    expected = torch.ones(2, dtype=torch.float64)
    for row, word in enumerate(words):
        asked, states = model.game.encode_outcome(word[None]), torch.full((1, 16), -1)
        for position, letter in enumerate(word):
            held = model.game.env.states_from_tensor(states.clone())
            probs = model.balance.pf.to_probability_distribution(held, model.balance.pf(held, asked)).probs[0]
            expected[row] *= float(probs[letter])
            states[0, position] = letter
    torch.testing.assert_close(chance, expected, rtol=1e-4, atol=0)


def test_what_is_held_out_is_never_learned_from():
    model = fitted("held_out", "grid8", 3, Sizes(2, 8))
    space = StateSpace.of(model.game.env)
    out = space.objects[held_out(space, 3)]
    assert len(out) == round(SHARE * 64)
    made = model.asked(space.objects)
    kept = model.under(made, model.came_to(made))
    assert not (terminal(kept)[:, None] == out).all(-1).any()
    hits = (terminal(made)[:, None] == out).all(-1).any(1)
    assert kept.batch_size == int((~hits).sum())


def test_success_on_the_grid_is_the_chance_of_what_was_asked_for(tmp_path):
    found = compute_grid(Cell("ocgfn", "grid8", 3, TINY), tmp_path)
    model = fitted("ocgfn", "grid8", 3, Sizes(**TINY))
    space = StateSpace.of(model.game.env)
    explored = {tuple(x) for x in model.examples.objects().tolist()}
    chances = []
    for number, x in enumerate(space.objects):
        asked = model.game.encode_outcome(x[None])
        if tuple(x.tolist()) in explored:
            chances.append(float(space.spread(table(space, model.game.env, model.balance.pf, asked))[0, number]))
    assert found["success"] == pytest.approx(np.mean(chances), rel=1e-5)
    assert found["covered"] == len(chances) / 64


def test_figures_have_the_names_that_are_promised():
    cells = {cell: {"success": 0.5, "covered": 1.0, "worst": 0.1} for cell in ocgfn_grid.BENCHMARK.cells}
    extra = {"zero_shot_tv": 0.1, "amortised_tv": 0.2, "uniform_tv": 0.5}
    cells = {cell: values | extra for cell, values in cells.items()}
    figures = ocgfn_grid.aggregate(Results(list(cells), cells))
    for size in GRIDS:
        for name in ("covered", "success_covered", "success_held_out", "zero_shot_tv", "amortised_tv"):
            assert f"{name}.{size}" in figures
    assert "success_positives_only" in figures
    cells = {cell: {"success": 0.5, "above_half": 1.0} for cell in ocgfn_bits.BENCHMARK.cells}
    figures = ocgfn_bits.aggregate(Results(list(cells), cells))
    assert {f"success.{where}.{arm}" for where in ("L16", "L32") for arm in BITS_ARMS} <= set(figures)
    assert set(BITS) == {"L16", "L32", "L64"}
    cells = {
        cell: {"ours": 1.0, "bare": 2.0, "bare_our_sampler": 0.8, "difference": 0.0}
        for cell in ocgfn_speed.BENCHMARK.cells
    }
    figures = ocgfn_speed.aggregate(Results(list(cells), cells))
    assert figures["overhead.b64"] == -0.5
    assert figures["overhead_same_sampler.b1024"] == pytest.approx(0.25)


def test_the_bare_loop_has_the_losses_of_the_fit(monkeypatch):
    monkeypatch.setattr(ocgfn_speed_cells, "CHECKED", 4)
    episodes = ocgfn_cells.data(GRIDS["grid8"], 3)
    assert ocgfn_speed_cells.difference(episodes, 16, 3) < 1e-5
