"""The table and the picture of errors beside their controls, and the command that prints them."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from genrl.cli import main
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.policies import RandomPolicy
from genrl.data.store import save
from genrl.data.waypoint import WaypointPolicy
from genrl.evaluation.dynamics_error import DynamicsError, dynamics_error, shuffled_actions
from genrl.evaluation.dynamics_report import FLOOR, dynamics_report, error_curves
from genrl.evaluation.likelihood import policy_likelihood
from genrl.learners.td3bc import TD3BC
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.mlp import MLP
from genrl.nets.window_mlp import WindowMLP
from genrl.training.checkpoint import save as save_checkpoint
from genrl.training.fit import fit

MAZE = "PointMaze_UMaze-v3"


@pytest.fixture(scope="module")
def real() -> Episodes:
    policy = WaypointPolicy.for_env(make_env(MAZE), noise=0.3)
    return collect(MAZE, policy, 4, 1000, max_steps=50, env_options={"continuing_task": False})


@pytest.fixture(scope="module")
def synthetic(real) -> Episodes:
    """Real data, a little off."""
    off = real.observations["observation"] + 0.01 * torch.randn(
        real.observations["observation"].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return replace(real, observations={**real.observations, "observation": off})


@pytest.fixture(scope="module")
def learner(real):
    small = partial(MLP, width=8)
    return fit(TD3BC(actor_net=small, critic_net=small), real, 5, progress=False)


@pytest.fixture(scope="module")
def root(real, synthetic, learner, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    save(real, "maze/real-v0", root=folder)
    save(synthetic, "maze/synthetic-v0", root=folder)
    pole = collect("CartPole-v1", RandomPolicy(make_env("CartPole-v1").action_space), 2, seed=1000)
    save(pole, "pole-v0", root=folder)
    save(replace(real, card=DatasetCard()), "nowhere-v0", root=folder)
    save_checkpoint(learner, folder / "learner.ckpt")
    method = TrajectoryDiffusion(net=WindowMLP, horizon=4, overlap=0)
    method.prepare(real)
    save_checkpoint(method, folder / "method.ckpt")
    return folder


def test_the_report_measures_the_data_and_both_controls(real, synthetic, learner):
    report = dynamics_report(synthetic, real, learner, most=120)
    assert list(report.errors) == list(report.likelihoods) == ["data", "real", "real, actions shuffled"]
    assert report.errors["data"].median == dynamics_error(synthetic, real, most=120).median
    assert report.errors["real"].high < 1e-9 < report.errors["data"].median
    assert report.errors["real, actions shuffled"].median > 0.1
    likely = policy_likelihood(learner, synthetic)
    assert report.likelihoods["data"].per_transition == likely.per_transition
    rows = {row[0]: row[1:] for row in report.rows()}
    assert rows["transitions"] == ("120", "120", "120")
    assert rows["density"] == ("Normal(mean, 1)",) * 3
    assert rows["log-likelihood of an action [95 %]"][0] == str(likely.per_transition)
    lines = str(report).splitlines()
    assert len(lines) == 1 + len(report.rows())
    assert len(dynamics_report(synthetic, real, most=10).rows()) < len(rows)


def made(errors: list[float], impossible: int = 0, hidden: int = 0) -> DynamicsError:
    column = np.array(errors)
    count = len(errors) + impossible + hidden
    flags = np.zeros((len(errors), 2), bool)
    return DynamicsError(["x"], column[:, None], column / 2, flags, count, {"odd": impossible}, impossible, hidden)


def test_curves_end_below_one_by_the_share_of_impossible_states():
    measured = {"real": made([0.0, 0.0]), "model": made([0.01, 1.0, 0.1], impossible=1, hidden=4), "none": made([], 2)}
    picture = error_curves(measured)
    left, right = picture.axes
    curves = {line.get_label(): line.get_xydata() for line in left.get_lines()}
    assert curves["real"].tolist() == [[FLOOR, 0.0], [FLOOR, 0.5], [FLOOR, 1.0], [1e6, 1.0]]
    assert curves["model"][1:-1].tolist() == [[0.01, 0.25], [0.1, 0.5], [1.0, 0.75]]
    assert curves["model"][-1].tolist() == [1e6, 0.75]
    assert curves["none"][-1].tolist() == [1e6, 0.0]
    halved = {line.get_label(): line.get_xydata() for line in right.get_lines()}
    assert halved["model"][1:-1, 0].tolist() == [0.005, 0.05, 0.5]
    assert picture.png().startswith(b"\x89PNG")
    assert made([3.0]).median == 3.0
    assert math.isnan(made([]).high)


def test_the_command_prints_the_table_and_draws(root, tmp_path, capsys):
    picture = tmp_path / "pictures" / "errors.png"
    arguments = ["maze/synthetic-v0", "maze/real-v0", "--policy", str(root / "learner.ckpt"), "--root", str(root)]
    assert main(["dynamics", *arguments, "--most", "50", "--out", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "real, actions shuffled" in told
    assert "log-likelihood of an action" in told
    assert picture.stat().st_size > 5000
    assert main(["dynamics", "maze/synthetic-v0", "maze/real-v0", "--most", "50", "--root", str(root)]) == 0
    assert "likelihood" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pole-v0", "pole-v0"], "CartPoleEnv cannot be restored"),
        (["nowhere-v0", "nowhere-v0"], "records no environment"),
        (
            ["maze/synthetic-v0", "maze/real-v0", "--policy", "{root}/method.ckpt"],
            "TrajectoryDiffusion has no likelihood",
        ),
        (["maze/synthetic-v0", "missing-v0"], "No data set 'missing-v0'"),
    ],
)
def test_what_cannot_be_measured_gives_one_sentence(arguments, sentence, root, capsys):
    given = [argument.format(root=root) for argument in arguments]
    assert main(["dynamics", *given, "--root", str(root)]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


def test_more_shuffles_give_about_the_same_control(real):
    first, second = (dynamics_error(shuffled_actions(real, seed), real).median for seed in (0, 1))
    assert first != second
    assert first == pytest.approx(second, rel=0.3)
