"""The benchmark of MBRCSL: what its figures are made of, and that every arm is what it is said to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import mbrcsl, mbrcsl_cells, mbrcsl_share, stitch_models
from benchmarks.cells import Cell, grid
from benchmarks.mbrcsl_cells import ARMS, FIGURES, METHODS, compute
from benchmarks.results import Results
from benchmarks.runner import result_file
from benchmarks.stitch_models import Origin
from benchmarks.stitch_settings import Settings
from benchmarks.table import markdown
from genrl.data.journeys import stitching
from genrl.data.stitch_maze import ENV_ID
from genrl.evaluation.evaluate import evaluate

TINY = {"trajectories": 8, "world_width": 16, "world_layers": 1, "world_updates": 4, "behaviour_updates": 4}
TINY |= {"margin": -1000.0, "kept": 3, "tries": 20, "wave": 8, "updates": 2, "imagined": 50, "starts": 2}
TINY |= {"rounds": 2, "quantile": 0.0}


def made_up(seeds: int = 5) -> Results:
    """Method number i returns 10 i + seed; expert 130, without sight 120, and so on."""
    beside = {"expert": 130.0, "without_sight": 120.0, "best_in_data": 65.0}
    beside |= {"predicted": 95.0, "replayed": 90.0, "kept": 100.0, "acceptance": 0.01}
    beside |= {"predicted_last": 115.0, "replayed_last": 100.0}
    done = {}
    for cell in grid(ARMS, seeds=range(seeds)):
        if cell.arm in METHODS:
            done[cell] = {"return": 10.0 * list(METHODS).index(cell.arm) + cell.seed}
        else:
            done[cell] = {name: beside[name] for name in FIGURES[cell.arm]}
    return Results(list(done), done)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Origin:
    """The parts of a seed of the smallest sizes, in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stitch_models, "SHARED", tmp_path_factory.mktemp("models"))
        yield Origin(3, Settings(**TINY))


def test_gains_are_those_of_mbrcsl_over_the_others():
    figures = mbrcsl.aggregate(made_up())
    for place, method in enumerate(METHODS):
        assert figures[f"iqm.{method}"] == pytest.approx(10 * place + 2)
        assert figures[f"low.{method}"] <= figures[f"iqm.{method}"] <= figures[f"high.{method}"]
        if method != mbrcsl.OURS:
            assert figures[f"gain.{method}"] == pytest.approx(-10 * place)
            assert figures[f"gain_low.{method}"] == figures[f"gain_high.{method}"] == pytest.approx(-10 * place)
    assert f"gain.{mbrcsl.OURS}" not in figures
    assert [figures[name] for name in ("expert", "without_sight", "predicted", "replayed")] == [130, 120, 95, 90]
    assert figures["published.mbrcsl"] == 91.5


def test_fewer_arms_give_fewer_figures():
    """And nothing that was not computed here."""
    results = made_up(1)
    some = [cell for cell in results.planned if cell.arm in ("rvs", "expert")]
    figures = mbrcsl.aggregate(Results(some, results.done))
    assert {name.split(".")[0] for name in figures} == {"iqm", "low", "high", "expert"}


def test_its_table_and_its_picture_show_every_method():
    results = made_up()
    table = markdown(result_file(mbrcsl.BENCHMARK, results))
    figure = mbrcsl.picture(results)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == list(METHODS)
    assert all(f"| {method} |" in table for method in METHODS)
    drawn = {line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 2}
    assert (drawn["best of the data"], drawn["expert"]) == (65.0, 130.0)


def test_quick_cells_are_small_cells_of_the_benchmark():
    for cell in mbrcsl.BENCHMARK.quick_cells:
        small = Settings(**cell.settings)
        assert cell.arm in ARMS
        assert small.detours == Settings().detours
        assert small.updates * small.world_updates < 10_000


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_runs(arm, tiny, tmp_path):
    values = compute(Cell(arm, "all", tiny.seed, TINY), tmp_path)
    assert set(values) == set(FIGURES.get(arm, ("return",)))
    assert np.isfinite(list(values.values())).all()


def test_data_tell_nothing_of_the_goal_and_are_drawn_by_the_seed(tiny):
    data = stitch_models.data(tiny)
    real = stitching(8, seed=tiny.seed)
    assert data.infos == {}
    assert torch.equal(data.rewards, real.rewards)
    assert torch.equal(data.observations[""], real.observations[""])
    assert not torch.equal(stitch_models.data(tiny._replace(seed=4)).rewards, real.rewards)


def test_parts_are_made_again_where_what_they_depend_on_changes(tiny):
    other = tiny._replace(settings=replace(tiny.settings, margin=-999.0))
    stitch_models.rollouts(tiny)
    before = set(stitch_models.SHARED.iterdir())
    stitch_models.rollouts(other)
    (new,) = {path for path in stitch_models.SHARED.iterdir() if path.is_dir()} - before
    assert new.name.startswith(f"rollouts1-{tiny.seed}-")


def test_a_round_begins_with_what_the_one_before_kept(tiny):
    assert stitch_models.before(tiny, 1).card.dataset_id == stitch_models.data(tiny).card.dataset_id
    kept, again = stitch_models.rollouts(tiny), stitch_models.before(tiny, 2)
    assert torch.equal(kept.rewards, again.rewards)
    assert float(mbrcsl_cells.last(tiny).returns.min()) > float(kept.returns.min())


def test_mbrcsl_aims_at_the_best_rollout_and_others_at_the_best_of_the_data(tiny):
    for source in (stitch_models.rollouts, stitch_models.data):
        policy = mbrcsl_cells.fitted("rvs", source(tiny), tiny).policy()
        assert policy.target == pytest.approx(float(source(tiny).returns.max()))


def test_all_arms_begin_where_the_expert_does(tiny):
    learner = mbrcsl_cells.fitted("bc", stitch_models.data(tiny), tiny)
    blind = mbrcsl_cells.play(learner.policy(), tiny).episodes
    seeing = mbrcsl_cells.play(mbrcsl_cells.ToTheMiddle(), tiny).episodes
    assert torch.equal(blind.infos["goal"], seeing.infos["goal"])
    starts = [played.observations[""][played.observation_starts] for played in (blind, seeing)]
    assert torch.equal(*starts)


def test_without_sight_the_ball_rests_in_the_middle_of_where_goals_are():
    """119 in the mean, see data/README.md."""
    played = evaluate(mbrcsl_cells.ToTheMiddle(), ENV_ID, 20, 1000)
    last = played.episodes.observations[""][played.episodes.observation_starts + 200, :2]
    assert (last - torch.tensor([1.5, -0.5])).abs().max() < 0.05
    assert abs(played.mean - 119) < 4


def test_a_single_rollout_is_cloned(tiny, tmp_path, monkeypatch):
    """Return-conditioned learning refuses it, for there is no other return."""
    cell = Cell("mbrcsl", "detours50", tiny.seed, TINY)
    assert mbrcsl_share.compute(cell, tmp_path) == compute(cell, tmp_path)
    single = stitch_models.rollouts(tiny)[:1]
    monkeypatch.setattr(mbrcsl_share, "rollouts", lambda origin: single)
    cloned = mbrcsl_share.learned("bc", lambda origin: single)(tiny)
    assert mbrcsl_share.compute(cell, tmp_path) == cloned


def test_shares_are_told_apart():
    """The method number i returns 10 i + 100 times the share; in the data there is 50 times the share."""
    done = {}
    for cell in mbrcsl_share.BENCHMARK.cells:
        share = cell.settings["detours"]
        if cell.arm in mbrcsl_share.ARMS:
            done[cell] = {"return": 10.0 * mbrcsl_share.ARMS.index(cell.arm) + 100 * share}
        else:
            done[cell] = dict.fromkeys(FIGURES[cell.arm], 50 * share)
    results = Results(mbrcsl_share.BENCHMARK.cells, done)
    figures = mbrcsl_share.aggregate(results)
    assert figures["iqm.detours30.rvs"] == pytest.approx(40)
    assert figures["gain.detours90.percent_bc"] == pytest.approx(-20)
    assert figures["best_in_data.detours10"] == pytest.approx(5)
    assert figures["replayed.detours70"] == pytest.approx(35)
    lines = {line.get_label(): line.get_ydata() for line in mbrcsl_share.picture(results).axes[0].lines}
    assert lines["mbrcsl"] == pytest.approx([10, 30, 50, 70, 90])
    assert lines["best of the data"] == pytest.approx([5, 15, 25, 35, 45])


def test_a_share_of_the_cell_is_the_share_of_its_data(tiny):
    """Those that pause never leave the two cells at the start."""
    for cell in mbrcsl_share.BENCHMARK.cells:
        assert cell.environment == f"detours{100 * Settings(**cell.settings).detours:.0f}"
    few = stitch_models.data(tiny._replace(settings=replace(tiny.settings, detours=0.25)))
    x = few.observations[""][:, 0].reshape(8, 201)
    assert (x.amax(1) - x.amin(1) > 1).sum() == 2
