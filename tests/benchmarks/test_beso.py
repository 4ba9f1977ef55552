"""What the figures of the play benchmarks are made of, on made-up cells whose answers are known."""

import numpy as np
import pytest

from benchmarks import beso, beso_latency, beso_steps
from benchmarks.cells import Cell
from benchmarks.results import Results


def steps_results(few: float, many: float, seeds: int = 5) -> Results:
    """Episodes that score ``many`` after 50 steps and ``few`` of that after 3, half of them nothing at all."""
    done = {}
    for seed in range(seeds):
        for arm, settings in beso_steps.ARMS:
            score = many * (few if arm == f"{beso_steps.SOLVER}3" else 1.0)
            episodes = {name: 2 * score * (e % 2) for e, name in enumerate(beso_steps.EPISODES)}
            done[Cell(arm, "pusht", seed, settings)] = {"score": score} | episodes
    return Results(list(done), done)


def test_retention_is_the_ratio_of_all_scores():
    figures = beso_steps.aggregate(steps_results(0.9, 0.4))
    assert figures["retention_3_of_50.pusht"] == pytest.approx(0.9)
    assert figures["retention_low.pusht"] == pytest.approx(0.9)  # each pair has the same ratio
    assert figures["score.pusht.ddim50"] == pytest.approx(0.4)
    assert figures["lambda.pusht.l125"] == pytest.approx(0.4)


def test_small_scores_give_no_retention():
    figures = beso_steps.aggregate(steps_results(0.9, 0.2))
    assert figures["score_of_50.pusht"] == pytest.approx(0.2)
    assert not any(name.startswith("retention") for name in figures)


def test_the_lower_end_lies_below_where_pairs_differ():
    results, rng = steps_results(1.0, 0.5), np.random.default_rng(0)
    done = {cell: {name: float(rng.uniform(0, 1)) for name in values} for cell, values in results.done.items()}
    figures = beso_steps.aggregate(Results(results.planned, done))
    assert 0.8 < figures["retention_low.pusht"] < figures["retention_3_of_50.pusht"] < 1.2


def test_pictures_are_drawn_of_what_is_there():
    assert len(beso_steps.picture(steps_results(0.9, 0.4)).axes) == 2
    cells = {Cell(arm, "cube", seed): {"score": 0.1 * seed} for arm in beso.LEARNERS for seed in range(3)}
    results = Results(list(cells), cells)
    assert len(beso.picture(results).axes) == 1
    assert beso.aggregate(results)["iqm.cube.flow"] == pytest.approx(0.1)
    assert beso.aggregate(results)["gain.cube.flow"] == pytest.approx(0.0)


def test_the_reference_gives_its_own_rows():
    turns = {"ours": 2.0, "bare": 1.6, "parameters": 10.0}
    loops = dict.fromkeys(beso_latency.SCHEDULERS, 3.0)
    theirs = {"reference": 5.0, "reference_spared": 2.4, "reference_bare": 2.0, "reference_parameters": 11.0}
    done = {
        Cell("turns", "kitchen-batch1"): turns | loops,
        Cell("guided", "kitchen-batch1"): turns,
        Cell("turns", "reference-batch1"): turns | loops | theirs,
        Cell("guided", "reference-batch1"): turns | theirs,
    }
    figures = beso_latency.aggregate(Results(list(done), done))
    assert figures["overhead.batch1"] == pytest.approx(1.25)
    assert figures["ratio.beso_reference"] == pytest.approx(2.5)
    assert figures["beside_reference.batch1_guided.ratio_spared"] == pytest.approx(1.2)
    assert figures["beside_reference.batch1.limit_fraction"] == pytest.approx(0.8)
    assert figures["schedulers.edm_euler.kitchen_batch1"] == pytest.approx(1.5)


def test_rows_without_their_reference_are_told(monkeypatch):
    monkeypatch.delenv(beso_latency.GIVEN, raising=False)
    assert beso_latency.REPOSITORY in beso_latency.obstacle(Cell("turns", "reference-batch1"))
    assert beso_latency.obstacle(Cell("turns", "kitchen-batch1")) == ""
