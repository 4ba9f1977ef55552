"""The benchmark of window models: one choice changed at a time, distances to a known actor, ratios by seed."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from benchmarks import locomotion_models
from benchmarks import window_models_cells as cells
from benchmarks.cells import Cell
from benchmarks.locomotion_models import Origin, windows
from benchmarks.results import Results
from benchmarks.window_models import BENCHMARK, MEASURES, aggregate, picture
from genrl.data.collect import collect
from genrl.data.normalizers import ZScore
from genrl.data.policies import RandomPolicy


def made_up() -> Results:
    """Arm i has i + 1 times the values of plain, which differ by seed."""
    order = {arm: 1.0 + number for number, arm in enumerate(cells.VARIANTS)} | {"real": 0.5, "longer": 0.8}
    done = {cell: dict.fromkeys(MEASURES, order[cell.arm] * (1 + cell.seed)) for cell in BENCHMARK.cells}
    return Results(list(done), done)


def test_ratios_are_of_the_same_seed():
    results = made_up()
    figures = aggregate(results)
    assert figures["ratio.hopper.heun.error"] == pytest.approx(2.0)
    assert figures["ratio_low.hopper.longer.distance"] == pytest.approx(0.8)
    assert figures["iqm.halfcheetah.plain.impossible"] == pytest.approx(3.0)
    assert not any(".real." in key or ".plain." in key for key in figures if key.startswith("ratio"))
    assert len(picture(results).axes) == 2


@pytest.fixture(autouse=True)
def tanh_in_hopper(monkeypatch):
    """What the actors, which may not be here, would say of themselves."""
    for module in (cells, locomotion_models):
        monkeypatch.setattr(module, "ends_in_tanh", lambda environment: environment == "hopper")


@pytest.mark.parametrize("environment", ["hopper", "halfcheetah"])
def test_one_choice_is_changed_at_a_time(environment):
    plain = windows(Origin(environment, "medium_10", 0))
    for name, fitting in cells.FITTINGS.items():
        changes = fitting.changes(environment)
        one, other = plain.configuration(), windows(Origin(environment, "medium_10", 0), **changes).configuration()
        assert {key for key in one if one[key] != other[key]} == set(changes), name
    assert plain.squash == (environment == "hopper")
    assert cells.FITTINGS["standardised_ends"].changes(environment)["ends"] is ZScore
    assert {name for name, fitting in cells.FITTINGS.items() if fitting.precision != "32-true"} == {"bf16"}
    assert {2 * sampling.steps - 1 for _, sampling in cells.VARIANTS.values()} == {31}


def test_a_cell_is_what_its_settings_say(tmp_path, monkeypatch):
    real, still = hops(), Still()
    monkeypatch.setattr(cells, "real_data", lambda environment, kind: real)
    monkeypatch.setattr(cells, "actor", lambda name: still)
    values = cells.compute(Cell("real", "hopper", 0), tmp_path)
    (actions,) = real.actions.values()
    assert values["distance"] == pytest.approx(float(actions.square().sum(-1).mean()))
    assert values["ended"] == pytest.approx(1000 * len(real) / real.num_transitions)
    assert values["error"] < 1e-6
    tiny = {"updates": 3, "windows": 6}
    exact, half = (cells.compute(Cell(arm, "hopper", 0, tiny), tmp_path) for arm in ("plain", "bf16_sampling"))
    assert exact["distance"] == pytest.approx(half["distance"], rel=0.05)
    assert exact["distance"] != half["distance"]


class Still:
    """An actor that does nothing."""

    def act(self, states, conditions=None, deterministic=False):
        assert deterministic
        return np.zeros((len(states), 3), np.float32)


def hops():
    """Random episodes of Hopper, all of which end in a fall."""
    data = collect("Hopper-v5", RandomPolicy(gym.make("Hopper-v5").action_space), 30, seed=0)
    assert torch.equal(data.terminations.nonzero()[:, 0], data.lengths.cumsum(0) - 1)
    return data
