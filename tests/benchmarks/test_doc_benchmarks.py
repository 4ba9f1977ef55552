"""The benchmarks of DoC: what their figures are made of, and that every arm is what it is said to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from benchmarks import doc_bandit, doc_cells, doc_consistency, doc_frozenlake, doc_luck, doc_mujoco, doc_teleport
from benchmarks.cells import Cell, CellStore
from benchmarks.doc_cells import compute
from benchmarks.doc_settings import BANDITS, HOPPERS, HOPPERS_ALONE, HOPPERS_BOLD, LAKES, LEARNERS, PLACES, SIZES
from benchmarks.information import conditional_information, dealt_anew, foreseen
from benchmarks.results import Results
from benchmarks.runner import result_file
from benchmarks.table import markdown
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import concatenate
from genrl.data.value_iteration import Tables
from genrl.evaluation.statistics import interquartile_mean

TINY = {"trajectories": 30, "updates": 2, "batch": 8, "starts": 3}
MODULES = (doc_bandit, doc_frozenlake, doc_consistency, doc_mujoco, doc_luck, doc_teleport)
BENCHMARKS = [module.BENCHMARK for module in MODULES]


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    """Fitted learners in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doc_cells, "SHARED", tmp_path_factory.mktemp("models"))
        yield


def made_up(cells, value) -> Results:
    """``value(cell)`` for every cell."""
    return Results(cells, {cell: value(cell) for cell in cells})


@pytest.mark.parametrize("where", ["p10", "lake4-slip33-eps30"])
@pytest.mark.parametrize("arm", LEARNERS["bandit"])
def test_every_arm_runs(arm, where, tmp_path):
    values = compute(Cell(arm, where, 3, TINY), tmp_path)
    assert np.isfinite(list(values.values())).all()
    assert 0 <= values["return"] <= 1
    assert ("predicted" in values) == (arm not in ("bc", "percent_bc"))
    assert ("mi" in values) == (where == "p10" and arm not in ("bc", "percent_bc", "dt"))


def test_what_is_predicted_is_the_worth_of_the_best_latent_at_the_start(tmp_path):
    """A lake has one start, and of 100 candidates each of four equally likely categories is one."""
    where, sizes = "lake4-slip33-eps30", replace(SIZES["lake"], **TINY)
    learner = doc_cells.fitted("doc", where, 3, sizes)
    with torch.no_grad():
        s_0 = learner.observer({"": torch.zeros(1, dtype=torch.int64)}).expand(4, -1)
        best = learner.model.V(torch.eye(4), s_0).max()
    worth = learner.returns.normalizer.denormalize(best[None])
    assert compute(Cell("doc", where, 3, TINY), tmp_path)["predicted"] == pytest.approx(float(worth), abs=1e-6)


def test_all_arms_have_the_luck_of_their_seed():
    place, sizes = PLACES["p20"], replace(SIZES["bandit"], starts=40)
    first, second, third = (doc_cells.play(_Always(arm), place, seed, sizes) for arm, seed in ((0, 2), (0, 2), (0, 3)))
    assert np.array_equal(first.returns, second.returns)
    assert not np.array_equal(first.returns, third.returns)


class _Always:
    def __init__(self, arm: int) -> None:
        self.arm = arm

    def reset(self, mask, seeds):
        pass

    def act(self, observations, conditions=None, deterministic=False):
        return np.full(len(observations), self.arm)


def test_data_that_teach_nothing_are_drawn_again():
    """Four episodes of nearly random walks on a lake of 64 cells: hardly ever does one arrive."""
    sizes = replace(SIZES["lake"], trajectories=4)
    for seed in range(3):
        returns = doc_cells.data("lake8-slip0-eps50", seed, sizes).returns
        assert returns.min() == 0 < returns.max()


@pytest.mark.parametrize("p", [0.1, 0.4])
def test_what_latents_tell_of_the_luck_is_counted(p):
    """All of it, nothing, and the arm alone, against entropies."""
    counts = {(0, 0): (1 - p) * (1 - p), (0, 1): (1 - p) * p, (1, 0): p * p, (1, 1): p * (1 - p)}
    rows = [pair for pair, share in counts.items() for _ in range(round(100 * share))]
    actions, rewards = torch.tensor(rows).T
    told_all = torch.nn.functional.one_hot(rewards, 3).float()
    assert conditional_information(told_all, actions, rewards).item() == pytest.approx(entropy([p, 1 - p]), abs=1e-6)
    for nothing in (torch.nn.functional.one_hot(actions, 3).float(), torch.full((len(rows), 3), 1 / 3)):
        assert conditional_information(nothing, actions, rewards).item() == pytest.approx(0, abs=1e-9)
    half = (told_all + 1 / 3) / 2
    assert 0 < conditional_information(half, actions, rewards) < entropy([p, 1 - p])


def test_outcomes_dealt_anew_keep_to_their_causes_and_tell_nothing():
    generator = torch.Generator().manual_seed(0)
    causes = torch.randint(5, (20_000,), generator=generator)
    outcomes = 3 * causes + torch.randint(3, causes.shape, generator=generator)  # each cause has three of its own
    anew = dealt_anew(causes, outcomes, generator)
    for cause in range(5):
        there = causes == cause
        assert torch.equal(anew[there].sort().values, outcomes[there].sort().values)
    told = torch.nn.functional.one_hot(outcomes % 3)
    assert conditional_information(told, causes, outcomes).item() == pytest.approx(np.log(3), abs=1e-3)
    assert conditional_information(told, causes, anew).item() == pytest.approx(0, abs=1e-3)


def test_what_the_ice_does_is_what_its_table_says():
    """On ice with a slip of 2/3, an action leads to three sides alike: log 3, or less beside an edge."""
    where = "lake8-slip67-eps50"
    episodes = doc_cells.data(where, 0, replace(SIZES["lake"], trajectories=200))
    causes, outcomes = doc_luck.steps(episodes)
    assert torch.equal(causes % 4, episodes.actions[""].long())
    table = make_env(LAKES[where].env, LAKES[where].settings).unwrapped.P
    for cause, outcome in zip(causes.tolist()[:500], outcomes.tolist()[:500], strict=True):
        assert outcome in {following for _, following, _, _ in table[cause // 4][cause % 4]}
    sure = torch.nn.functional.one_hot(outcomes)
    assert 0.9 * np.log(3) < conditional_information(sure, causes, outcomes) <= np.log(3)


def test_what_is_foreseen_is_what_was_told_of_the_noise():
    """y = sin x + noise, of which half the variance is told, or none."""
    generator = torch.Generator().manual_seed(0)
    x, luck, more, nothing = torch.randn(4, 4000, 1, generator=generator)
    outcomes = x.sin() + (luck + more) / 2
    for told, share in ((luck, 0.5), (nothing, 0.0)):
        assert foreseen(told, x, outcomes, generator, updates=300) == pytest.approx(share, abs=0.08)


def test_luck_told_where_there_is_luck():
    def value(cell):
        return {"told": 0.1 * (1 + doc_luck.ON_ICE.index(cell.arm)) + 0.01 * cell.seed, "is": 1.0}

    results = made_up(doc_luck.BENCHMARK.cells, value)
    figures = doc_luck.aggregate(results)
    assert figures["iqm.lake8.slip67.eps50.no_term"] == pytest.approx(0.22)
    assert figures["iqm.hopper.noise100.future_vae"] == pytest.approx(0.32)
    assert figures["ice.lake8.slip67.eps30"] == figures["noise.hopper.noise100"] == 1.0
    assert "| lake8.slip67.eps70 | " in markdown(result_file(doc_luck.BENCHMARK, results))
    titles = [panel.get_title(loc="left") for panel in doc_luck.picture(results).axes]
    assert "hopper, noise100" in titles


def test_gaps_on_the_bandit():
    """DoC is off by 0.01 (seed + 1) below the optimum, arm number i earns 0.1 i."""

    def value(cell):
        optimum = 1 - BANDITS[cell.environment].settings["p"]
        earned = optimum - 0.01 * (cell.seed + 1) if cell.arm == "doc" else 0.1 * doc_bandit.ARMS.index(cell.arm)
        return {"return": earned, "mi": 0.02, "latents": 1.5}

    results = made_up(doc_bandit.BENCHMARK.cells, value)
    figures = doc_bandit.aggregate(results)
    for where in ("p05", "p10", "p20", "p30", "p40"):
        assert figures[f"gap.{where}"] == pytest.approx(0.055)
        assert figures[f"worst_gap.{where}"] == pytest.approx(0.1)
        assert figures[f"optimum.{where}"] == 1 - int(where[1:]) / 100
        assert figures[f"random_posterior.{where}"] == pytest.approx(0.1 * doc_bandit.ARMS.index("random_posterior"))
    table = markdown(result_file(doc_bandit.BENCHMARK, results))
    assert "| p40 | 0.055 | 0.1 |" in table
    lines = {line.get_label(): line.get_ydata() for line in doc_bandit.picture(results).axes[0].lines}
    np.testing.assert_allclose(lines["optimum"], [0.95, 0.9, 0.8, 0.7, 0.6])
    some = [cell for cell in results.planned if cell.environment == "p05" or cell.seed < 3]
    unfinished = Results(results.planned, {cell: results.done[cell] for cell in some})
    lines = {line.get_label(): line.get_ydata() for line in doc_bandit.picture(unfinished).axes[0].lines}
    assert len(lines["doc"]) == 5


def test_scores_and_gains_on_the_lakes():
    def value(cell):
        return {"return": 0.5 - 0.1 * doc_frozenlake.ARMS.index(cell.arm) + 0.01 * cell.seed}

    some = {"lake4-slip33-eps50", "lake4-slip67-eps50", "lake8-slip0-eps30", "lake8-slip67-eps70"}
    results = made_up([cell for cell in doc_frozenlake.BENCHMARK.cells if cell.environment in some], value)
    figures = doc_frozenlake.aggregate(results)
    assert figures["iqm.lake4.slip33.eps50.doc"] == pytest.approx(interquartile_mean(0.5 + 0.01 * np.arange(5)))
    assert figures["gain.lake8.slip0.eps30.dt"] == pytest.approx(0.1)
    assert figures["optimum.lake4.slip67"] == pytest.approx(0.744, abs=1e-3)
    assert "| lake8.slip67.eps70 | " in markdown(result_file(doc_frozenlake.BENCHMARK, results))
    panels = doc_frozenlake.picture(results).axes
    assert [panel.get_title(loc="left") for panel in panels][-1] == "8 x 8, epsilon 0.7"


def test_errors_are_of_what_was_expected():
    def value(cell):
        return {"return": 0.5, "predicted": 0.5 + (0.1 if cell.seed % 2 else -0.1) * (1 if cell.arm == "doc" else 3)}

    results = made_up(doc_consistency.BENCHMARK.cells, value)
    figures = doc_consistency.aggregate(results)
    assert figures["error.hopper.noise50.doc"] == pytest.approx(0.1)
    assert figures["error.p05.dt"] == pytest.approx(0.3)
    assert figures["bias.p05.dt"] == pytest.approx(-0.06)
    assert len(doc_consistency.picture(results).axes) == 5


def test_consistency_takes_what_another_benchmark_has_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(doc_consistency, "REPOSITORY", tmp_path)
    stored, fresh = Cell("doc", "lake4-slip33-eps30", 3, TINY), Cell("doc", "lake4-slip33-eps30", 4, TINY)
    lakes = doc_frozenlake.BENCHMARK
    store = CellStore(tmp_path / "benchmarks" / "cells" / lakes.name / "reported", lakes.fingerprint())
    store.write(stored, {"return": 0.25, "predicted": 7.0}, 1.0)
    assert doc_consistency.compute(stored, tmp_path) == {"return": 0.25, "predicted": 7.0}
    assert doc_consistency.compute(fresh, tmp_path) == compute(fresh, tmp_path)


def test_hopper_has_a_row_for_its_data():
    def value(cell):
        return {"return": 1000.0 + 100 * cell.seed - (500 if cell.arm == "data" else 0)}

    results = made_up(doc_mujoco.BENCHMARK.cells, value)
    figures = doc_mujoco.aggregate(results)
    assert figures["iqm.hopper.noise100.doc"] == 1200
    assert figures["data.hopper.noise0"] == 700
    titles = [panel.get_title(loc="left") for panel in doc_mujoco.picture(results).axes]
    assert titles[:3] == ["hopper, noise0", "hopper, noise50", "hopper, noise100"]


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_cells_and_quick_cells_are_what_there_is(benchmark):
    assert benchmark.fingerprint()
    for cell in (*benchmark.cells, *benchmark.quick_cells):
        place = PLACES[cell.environment]
        assert cell.arm in LEARNERS[place.family] or cell.arm == "data"
    for cell in benchmark.quick_cells:
        assert replace(SIZES[PLACES[cell.environment].family], **cell.settings).updates <= 400


@pytest.fixture(scope="module")
def guided():
    """12 episodes by the teleport maze's guides, cut short."""
    place, settings = PLACES[doc_teleport.TELEPORT], {"max_episode_steps": 120}
    guides = [behaviour(make_env(place.env, settings)) for behaviour in place.behaviours]
    return concatenate([collect(place.env, each, 3, seed=0, num_envs=3, env_options=settings) for each in guides])


def test_what_comes_before_a_teleport_is_found(guided):
    found = doc_teleport.before_teleports(guided)
    expected = set(), set()
    for index, episode in enumerate(guided):
        places, start = episode.observations["observation"].numpy(), int(guided.transition_starts[index])
        for step in np.flatnonzero(np.abs(np.diff(places, axis=0)).max(1) > 1):
            locked_in = np.allclose(places[step + 1], (24, 0), atol=2)  # the cell without a way out
            expected[int(locked_in)].update(range(start + max(step - doc_teleport.AHEAD, 0), start + step))
    assert all(expected)
    for rows, known in zip(found, expected, strict=True):
        assert set(rows.tolist()) == known
    assert guided.returns_to_go()[found[1]].sum() == 0


def test_who_goes_round_is_known_by_the_place_in_the_data(guided):
    going_round, others = doc_teleport.first_steps(guided)
    assert (len(going_round), len(others)) == (3, 9)
    teleported = torch.cat(doc_teleport.before_teleports(guided))
    assert teleported.max() < going_round[0]


def test_luck_and_choice_are_told_for_latents_alone():
    def value(cell):
        told = {"luck": 0.1, "choice": 0.2, "is_luck": 0.6, "is_choice": 0.4}
        return {"return": 0.1 * cell.seed} | (told if cell.arm in doc_teleport.LATENT else {})

    results = made_up(doc_teleport.BENCHMARK.cells, value)
    figures = doc_teleport.aggregate(results)
    assert figures["iqm.teleport.luck.doc"] == pytest.approx(0.1)
    assert figures["iqm.teleport.return.dt"] == pytest.approx(0.2)
    assert figures["is.teleport.choice"] == pytest.approx(0.4)
    assert "iqm.teleport.luck.dt" not in figures
    assert [panel.get_title(loc="left") for panel in doc_teleport.picture(results).axes] == ["luck", "choice", "return"]
    assert "luck" in markdown(result_file(doc_teleport.BENCHMARK, results))


def test_places_are_what_their_names_say():
    for where, place in BANDITS.items():
        assert Tables.of(make_env(place.env, place.settings)).optimum(1) == pytest.approx(1 - int(where[1:]) / 100)
    for where, place in LAKES.items():
        side, slip, epsilon = where.split("-")
        env = make_env(place.env, place.settings)
        assert env.observation_space.n == int(side.removeprefix("lake")) ** 2
        assert round(100 * (1 - env.unwrapped.P[0][1][1][0])) == int(slip.removeprefix("slip"))
        assert place.behaviours[0](env).epsilon == int(epsilon.removeprefix("eps")) / 100
    for where, place in (HOPPERS | HOPPERS_ALONE | HOPPERS_BOLD).items():
        assert make_env(place.env, place.settings).get_wrapper_attr("sigma") == int(where.split("noise")[1]) / 100
