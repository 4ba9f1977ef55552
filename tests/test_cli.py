"""The command line for real: every shipped configuration, every command, and bad input."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from genrl.cli import COMMANDS, at_home, explained, main
from genrl.data.errors import CheckpointError
from genrl.data.store import load as load_data
from genrl.data.store import save as save_data
from genrl.evaluation.policies import nested
from genrl.learners.agent import Agent
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Block, Method
from genrl.methods.tokens import Bins, Tokens
from genrl.training.checkpoint import checkpoint_of, load

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
MAZE, HOPPER = "pointmaze/umaze-waypoint-v0", "mujoco/hopper/medium-v0"
CHEETAH, WALKER = "mujoco/halfcheetah/medium-v0", "mujoco/walker2d/medium-v0"
PLANS = "pointmaze/medium-plans-v0"
STITCH, BETTER = "pointmaze/stitch-v0", "pointmaze/stitch-better-v0"
GRID, BITS = "grid/uniform-v0", "bits/uniform-v0"
KITCHEN, CUBE, PUSHT = "D4RL/kitchen/mixed-v2", "ogbench/cube-single-play-v0", "pusht/human-v0"
WIDTH = 24  # takes as many heads as any configuration has
QUIET = ["--progress", "false"]
LED = ["--method", "{method}", "--episodes", "1", "--out", "a-v0", *QUIET]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Small data sets under the very ids that the configurations name."""
    folder = tmp_path_factory.mktemp("datasets")
    common = ["--root", str(folder), *QUIET]
    maze = ["--env", "PointMaze_UMaze-v3", "--policy", "waypoint", "--policy_options.noise", "0.5"]
    assert main(["collect", *maze, "--episodes", "8", "--max_steps", "40", "--out", MAZE, *common]) == 0
    hopper = ["--env", "Hopper-v5", "--policy", "random", "--episodes", "20", "--out", HOPPER]
    assert main(["collect", *hopper, *common]) == 0
    cheetah = ["--env", "HalfCheetah-v5", "--policy", "random", "--episodes", "8", "--max_steps", "40"]
    assert main(["collect", *cheetah, "--out", CHEETAH, *common]) == 0
    walker = ["--env", "Walker2d-v5", "--policy", "random", "--episodes", "40", "--out", WALKER]
    assert main(["collect", *walker, *common]) == 0
    stitch = ["--env", "genrl/pointmaze-stitch-v0", "--policy", "journeys", "--episodes", "4", "--max_steps", "20"]
    for name in (STITCH, BETTER):
        assert main(["collect", *stitch, "--out", name, *common]) == 0
    few = ["--policy", "random", "--episodes", "3", "--max_steps", "12"]
    assert main(["collect", "--env", "FrankaKitchen-v1", *few, "--out", KITCHEN, *common]) == 0
    assert main(["collect", "--env", "genrl/PushT-v0", *few, "--out", PUSHT, *common]) == 0
    cube = ["--env", "genrl/cube-single-v0", "--env_options.free_play", "true", "--policy", "plan", *few[2:]]
    assert main(["collect", *cube, "--out", CUBE, *common]) == 0
    for env, name in (("genrl/hypergrid-v0", GRID), ("genrl/bits-v0", BITS)):
        assert main(["collect", "--env", env, "--policy", "uniform", "--episodes", "8", "--out", name, *common]) == 0
    plans = Tokens.of(maze := load_data(MAZE, root=folder), Bins(0.25)).encode(maze, count=40)
    save_data(plans, PLANS, root=folder)
    return folder


def short_fit(config: Path, root: Path, runs: Path) -> list[str]:
    """Options that make any configuration's fit short and its networks small."""
    settings = yaml.safe_load(config.read_text())
    options = {f"--model.{net}.width": WIDTH for net in wide(settings["model"]["init_args"])}
    options |= {"--data.root": root, "--data.batches_per_epoch": 3, "--data.batch_size": 8, "--data.val_batches": 1}
    options |= {"--trainer.max_epochs": 1, "--trainer.logger.save_dir": runs, "--trainer.enable_progress_bar": "false"}
    options |= {"--trainer.accelerator": "cpu", "--trainer.enable_model_summary": "false"}
    return ["--config", str(config), *(f"{name}={value}" for name, value in options.items())]


def wide(arguments: dict[str, Any]) -> list[str]:
    """The networks among a model's arguments that have a width."""
    nets = {name: value for name, value in arguments.items() if name.endswith("net") and value}
    return [name for name, value in nets.items() if "width" in value["init_args"]]


@pytest.fixture(scope="module")
def fitted(root, tmp_path_factory) -> dict[str, Path]:
    """Checkpoints of one method and one learner, fitted by the command line."""
    runs = tmp_path_factory.mktemp("runs")
    paths = {}
    for name in ("trajectory_diffusion_pointmaze", "td3bc_pointmaze"):
        config = next(path for path in CONFIGS if path.stem == name)
        assert main(["fit", *short_fit(config, root, runs)]) == 0
        paths[name] = runs / name / "version_0" / "checkpoints" / "last.ckpt"
    return paths


@pytest.fixture(scope="module")
def models(root, tmp_path_factory) -> Callable[[Path], Path]:
    """The checkpoint of a short fit of a configuration, made when first asked for."""
    runs = tmp_path_factory.mktemp("models")

    @cache
    def model(config: Path) -> Path:
        world = config.stem.startswith("world_model")
        assert main(["fit", *short_fit(config, root, runs), *([] if world else ["--model.sampling.steps=2"])]) == 0
        return runs / config.stem / "version_0" / "checkpoints" / ("best.ckpt" if world else "last.ckpt")

    return model


def short_renewals(config: Path, models: Callable[[Path], Path]) -> list[str]:
    """Options for a renewed fit: small generations by the model that the configuration says to fit first."""
    settings = yaml.safe_load(config.read_text())
    for callback in settings["trainer"].get("callbacks", []):
        if callback["class_path"] == "genrl.synthesis.renewal.Renewal":
            named = re.search(r"# Model: genrl fit --config (configs/\S+)", config.read_text())[1]
            source, model = callback["init_args"]["source"]["init_args"], models(config.parents[1] / named)
            part = next(name for name in ("method", "world_model") if name in source)
            assert source[part] == f"runs/{Path(named).stem}"
            model = model.parents[2]  # the folder of the fit, as there
            options = {f"source.{part}": model, "every": 2, "transitions": 20}
            return [f"--trainer.callbacks.{name}={value}" for name, value in options.items()]
    return []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_fits(config: Path, root, models, tmp_path):
    renewals = short_renewals(config, models)
    assert main(["fit", *short_fit(config, root, tmp_path), *renewals]) == 0
    assert bool(renewals) == ("renewal/transitions" in _metrics(tmp_path / config.stem))
    assert ("pgd" in config.stem) == ("renewal/guidance_ratio" in _metrics(tmp_path / config.stem))
    folder = tmp_path / config.stem / "version_0"
    module = load(folder / "checkpoints" / "last.ckpt")
    assert type(module).__name__ == yaml.safe_load(config.read_text())["model"]["class_path"].rpartition(".")[2]
    networks = wide(module.configuration())
    assert networks
    assert all(module.configuration()[network]["init_args"]["width"] == WIDTH for network in networks)
    assert "val_loss" in _metrics(tmp_path / config.stem)
    if isinstance(module, Method):
        if hasattr(module, "sampling"):
            module.sampling = type(module.sampling)(steps=2)
        assert len(module.synthesize(Block(seed=0, index=0, size=2))) == 2
    elif not isinstance(module, LearnedWorld):
        assert isinstance(module, Agent)
        assert module.policy() is not None


def test_a_fit_shows_how_its_policy_does(root, tmp_path):
    config = next(path for path in CONFIGS if path.stem == "td3bc_pointmaze")
    looks = {"every": 3, "episodes": 2, "max_steps": 5}
    options = [f"--trainer.callbacks.{name}={value}" for name, value in looks.items()]
    curve = "--trainer.callbacks+=genrl.evaluation.learning_curve.LearningCurve"
    assert main(["fit", *short_fit(config, root, tmp_path), curve, *options]) == 0
    assert "policy/success" in _metrics(tmp_path / config.stem)


def _metrics(folder: Path) -> str:
    return (folder / "version_0" / "metrics.csv").read_text()


def test_every_method_and_learner_has_a_configuration():
    shipped = {yaml.safe_load(path.read_text())["model"]["class_path"].rpartition(".")[2] for path in CONFIGS}
    methods = {"TrajectoryDiffusion", "TransitionDiffusion", "WorldModel", "DiffusionWorldModel", "OCGFN"}
    over_windows = {"BESO", "FlowPolicy", "SequenceBC", "LatentPlanPolicy", "BehaviorTransformer"}
    assert shipped == methods | over_windows | {
        "BC",
        "CQL",
        "DecisionTransformer",
        "DoC",
        "FutureVAE",
        "GCBC",
        "IQL",
        "PercentBC",
        "RvS",
        "SAC",
        "TD3BC",
    }


def test_options_override_the_file_and_what_the_file_refers_to(capsys):
    config = next(path for path in CONFIGS if path.stem == "trajectory_diffusion_pointmaze")
    options = ["--model.net.width=96", "--model.sampling.steps=5", "--model.seed=7", "--data.data=[a-v0,b-v0]"]
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", str(config), *options, "--print_config"])
    assert end.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    model = printed["model"]["init_args"]
    assert model["net"]["init_args"]["width"] == 96
    assert model["net"]["init_args"]["multipliers"] == [1, 2, 4]  # what was not overridden stays
    assert model["sampling"]["init_args"]["steps"] == 5
    assert model["sampling"]["init_args"]["solver"] == "heun"
    assert printed["data"]["seed"] == 7  # the file says ${model.init_args.seed}
    assert printed["data"]["data"] == ["a-v0", "b-v0"]


def test_a_later_file_overrides_an_earlier_one_and_may_choose_another_class(tmp_path, capsys):
    first = next(path for path in CONFIGS if path.stem == "bc_pointmaze")
    (tmp_path / "later.yaml").write_text(
        "model:\n  init_args:\n    net:\n      class_path: torch.nn.Linear\ndata:\n  batch_size: 3\n"
    )
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(first), "--config", str(tmp_path / "later.yaml"), "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["init_args"]["net"]["class_path"] == "torch.nn.Linear"
    assert printed["data"]["batch_size"] == 3
    assert printed["data"]["batches_per_epoch"] == 1000


def test_data_that_are_not_there_leave_no_run_behind(tmp_path, capsys):
    config = next(path for path in CONFIGS if path.stem == "td3bc_pointmaze")
    assert main(["fit", *short_fit(config, tmp_path / "nowhere", tmp_path)]) == 2
    assert "No data set" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_stands_for_its_newest_checkpoint(tmp_path):
    for version, names in ((2, ["last"]), (10, ["last", "best"]), (11, [])):
        folder = tmp_path / "run" / f"version_{version}" / "checkpoints"
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.ckpt").touch()
    newest = tmp_path / "run" / "version_10" / "checkpoints"
    assert checkpoint_of(tmp_path / "run") == newest / "best.ckpt"
    assert checkpoint_of(tmp_path / "run", ("last.ckpt",)) == newest / "last.ckpt"
    assert checkpoint_of(tmp_path / "run" / "version_2").parent.parent.name == "version_2"
    with pytest.raises(CheckpointError, match=r"no best.ckpt or last.ckpt below .*version_11"):
        checkpoint_of(tmp_path / "run" / "version_11")


def test_home_is_found_in_quotes_and_behind_an_equals_sign(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert [at_home(word) for word in ("~/a b", "--out=~/r.html", "--x=a~b", "~", "--flag", "a=~/b")] == [
        "/home/me/a b",
        "--out=/home/me/r.html",
        "--x=a~b",
        "/home/me",
        "--flag",
        "a=~/b",
    ]


def test_a_saved_configuration_repeats_a_fit_to_the_same_weights(fitted, root, tmp_path):
    folder = fitted["td3bc_pointmaze"].parents[1]
    again = ["--config", str(folder / "config.yaml"), "--trainer.logger.save_dir", str(tmp_path)]
    assert main(["fit", *again]) == 0
    first = torch.load(fitted["td3bc_pointmaze"], weights_only=True)["state_dict"]
    path = tmp_path / "td3bc_pointmaze" / "version_0" / "checkpoints" / "last.ckpt"
    second = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_fit_resumes_to_the_same_weights(root, tmp_path):
    config = next(path for path in CONFIGS if path.stem == "iql_pointmaze")
    options = [*short_fit(config, root, tmp_path), "--trainer.max_epochs=20", "--data.batches_per_epoch=20"]
    checkpoints = [tmp_path / "iql_pointmaze" / f"version_{run}" / "checkpoints" / "last.ckpt" for run in range(3)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen([sys.executable, "-m", "genrl.cli", "fit", *options], env=environment)
    deadline = time.monotonic() + 120
    while not checkpoints[0].exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL  # it had not finished
    assert main(["fit", *options, "--ckpt_path", str(tmp_path / "iql_pointmaze")]) == 0  # its newest version
    assert main(["fit", *options]) == 0
    before, resumed, whole = (torch.load(path, weights_only=True) for path in checkpoints)
    assert before["global_step"] < resumed["global_step"] == whole["global_step"] == 400
    assert all(torch.equal(resumed["state_dict"][name], value) for name, value in whole["state_dict"].items())


def options_of(name: str, root: Path, runs: Path, *more: str) -> list[str]:
    return [*short_fit(next(path for path in CONFIGS if path.stem == name), root, runs), *more]


@pytest.mark.parametrize("looks", ["check_val_every_n_epoch=2", "check_val_every_n_epoch=5", "val_check_interval=2"])
def test_the_last_epoch_is_kept_whenever_held_out_data_are_looked_at(looks, root, tmp_path):
    options = options_of("bc_pointmaze", root, tmp_path, "--trainer.max_epochs=3", f"--trainer.{looks}")
    assert main(["fit", *options]) == 0
    kept = torch.load(tmp_path / "bc_pointmaze" / "version_0" / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 9


def test_no_fit_writes_over_another_or_does_nothing(root, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = [word for word in options_of("bc_pointmaze", root, tmp_path) if "logger" not in word]
    plain += ["--trainer.logger=false"]
    assert main(["fit", *plain]) == 0
    last = tmp_path / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    assert main(["fit", *plain]) == 2
    assert "last.ckpt is of an earlier fit, and this one would write over it" in capsys.readouterr().err
    assert main(["fit", *plain, "--ckpt_path", str(last)]) == 2
    assert "has done 1 epochs, and of 1 none is left" in capsys.readouterr().err
    assert main(["fit", *plain, "--ckpt_path", str(last), "--trainer.max_epochs=-1", "--trainer.max_steps=3"]) == 2
    assert "has done 3 steps, and of 3 none is left: raise --trainer.max_steps" in capsys.readouterr().err
    assert last.read_bytes() == before
    assert main(["fit", *plain, "--ckpt_path", str(last), "--trainer.max_epochs=2"]) == 0
    assert torch.load(last, weights_only=True)["global_step"] == 6


@pytest.mark.parametrize(
    ("config", "option", "sentence"),
    [
        ("world_model_pointmaze", "--data.val_fraction=0", "EarlyStopping goes by 'val_loss', and no episodes are"),
        ("world_model_pointmaze", "--trainer.limit_val_batches=0", "EarlyStopping goes by 'val_loss'"),
        ("td3bc_pointmaze", "--trainer.gradient_clip_val=1.0", "These settings of the Trainer cannot work: Automatic"),
        ("td3bc_pointmaze", "--checkpoint.monitor=val_los", "These settings of the Trainer cannot work: .*val_los"),
        ("td3bc_pointmaze", "--trainer.logger=TensorBoardLogger", "tensorboard"),
    ],
)
def test_settings_that_cannot_work_together_are_told_in_a_sentence(config, option, sentence, root, tmp_path, capsys):
    assert main(["fit", *options_of(config, root, tmp_path, option)]) == 2
    assert re.search(sentence, capsys.readouterr().err.splitlines()[-1])


def test_validate_prints_the_losses_of_a_checkpoint(fitted, capsys):
    checkpoint = fitted["td3bc_pointmaze"]
    config = str(checkpoint.parents[1] / "config.yaml")
    assert main(["validate", "--config", config, "--ckpt_path", str(checkpoint.parents[2])]) == 0
    found = dict(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("val_"))
    row = (checkpoint.parents[1] / "metrics.csv").read_text().split()[-1]
    assert float(found["val_loss"]) == pytest.approx(float(row.split(",")[-1]), rel=1e-4)


def test_collect_stores_what_was_asked_for(root, capsys):
    data = load_data(MAZE, root)
    assert len(data) == 8
    assert data.lengths.tolist() == [40] * 8
    assert data.card.algorithm_name == "waypoint"
    assert json.loads(data.card.env_spec)["id"] == "PointMaze_UMaze-v3"
    assert main(["info", MAZE, "--root", str(root)]) == 0
    told = capsys.readouterr().out
    assert "episodes" in told
    assert "PointMaze_UMaze-v3" in told


def test_verify_accepts_sound_data_and_rejects_damage(root, tmp_path, capsys):
    assert main(["verify", MAZE, "--root", str(root)]) == 0
    out = ["--out", "broken-v0", "--root", str(tmp_path), *QUIET]
    env = ["--env", "PointMaze_UMaze-v3", "--env_options.continuing_task", "false"]
    assert main(["collect", *env, "--policy", "random", "--episodes", "2", "--max_steps", "5", *out]) == 0
    file = tmp_path / "broken-v0" / "data" / "main_data.hdf5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    capsys.readouterr()
    assert main(["verify", "broken-v0", "--root", str(tmp_path)]) == 1
    assert "problems" in capsys.readouterr().out


def test_synthesize_then_report(fitted, root, tmp_path):
    method = ["--method", str(fitted["trajectory_diffusion_pointmaze"]), "--sampling.steps", "3"]
    wishes = ["--start", "[0.5,1.0,0.1,-0.1]", "--length", "12"]
    out = ["--out", "pointmaze/synthetic-v0", "--root", str(root), *QUIET]
    assert main(["synthesize", *method, *wishes, "--episodes", "5", *out]) == 0
    data = load_data("pointmaze/synthetic-v0", root)
    assert len(data) == 5
    assert data.lengths.max() <= 12
    first = data.observations["observation"][data.observation_starts]
    np.testing.assert_allclose(first, [[0.5, 1.0, 0.1, -0.1]] * 5, atol=1e-6)
    page = tmp_path / "report.html"
    assert main(["report", MAZE, "pointmaze/synthetic-v0", "--out", str(page), "--root", str(root)]) == 0
    assert "<img" in page.read_text()


def test_synthesize_is_led_by_a_policy_a_critic_or_an_amplified_return(fitted, root, tmp_path, capsys):
    method, agent = (str(fitted[f"{name}_pointmaze"]) for name in ("trajectory_diffusion", "td3bc"))
    ways = {
        "guided-v0": ["--guide", agent, "--guidance-scale", "20", "--card.author", "[Ann]", "--progress", "true"],
        "published-v0": ["--guide", agent, "--guidance.schedule", "genrl.diffusion.guidance.Published"],
        "climbed-v0": ["--critic", agent, "--guidance_scale=2", "--guidance.normalize=true"],
        "varied-v0": ["--renoise", MAZE, "--renoising.level", "0.3"],
        "plain-v0": [],
    }
    common = ["--method", method, "--sampling.steps", "3", "--episodes", "4", "--root", str(root), *QUIET]
    for name, way in ways.items():
        assert main(["synthesize", *common, *way, "--out", name]) == 0
    assert "guidance_ratio" in capsys.readouterr().out
    made = {name: load_data(name, root) for name in ways}
    assert made["guided-v0"].card.author == ("Ann",)
    plain = made.pop("plain-v0")
    for name, data in made.items():
        assert not torch.equal(data.actions[""], plain.actions[""]), name
    assert json.loads((root / "guided-v0" / "genrl.json").read_text())["provenance"]["synthesized_by"] == (
        "PolicyGuidedDiffusion"
    )


def test_the_stages_of_mbrcsl_follow_one_another(root, tmp_path, capsys):
    """Dynamics, behaviour, rollouts better than the data, a learner of these alone, and what they are really worth."""
    for name in ("world_model_stitch", "beso_stitch"):
        assert main(["fit", *short_fit(CONFIGS[0].parent / f"{name}.yaml", root, tmp_path)]) == 0
    model, behaviour = (str(tmp_path / f"{n}_stitch/version_0/checkpoints/last.ckpt") for n in ("world_model", "beso"))
    rolled = ["--method", model, "--guide", behaviour, "--surpass", STITCH, "--surpassing.wave", "8"]
    out = ["--out", "pointmaze/kept-v0", "--root", str(root), *QUIET]
    counts = ["--episodes", "6", "--block-size", "2", "--surpassing.tries", "20"]
    assert main(["synthesize", *rolled, *counts, "--surpassing.margin", "1e6", *out]) == 2
    assert "Not one of 40 rollouts surpassed a return of" in capsys.readouterr().err
    assert not (root / "pointmaze" / "kept-v0").exists()
    assert main(["synthesize", *rolled, *counts, "--surpassing.margin=-1e6", *out]) == 0
    learner = short_fit(CONFIGS[0].parent / "rvs_stitch.yaml", root, tmp_path)
    assert main(["fit", *learner, "--data.data=pointmaze/kept-v0"]) == 0
    assert main(["replay", "pointmaze/kept-v0", "--root", str(root)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"kept of all rollouts +100.00% of 6", told)
    assert re.search(r"true return, mean .* +\d", told)
    policy = ["--policy", str(tmp_path / "rvs_stitch/version_0/checkpoints/last.ckpt"), "--episodes", "2"]
    assert main(["evaluate", *policy, "--max_steps", "10", *QUIET]) == 0


def test_synthesize_takes_one_condition_per_episode_from_a_file(fitted, root, tmp_path):
    goals = np.array([[0.5, 1.0], [-0.5, 1.0], [1.0, 0.0]])
    np.savez(tmp_path / "wishes.npz", goal=goals)
    method = ["--method", str(fitted["trajectory_diffusion_pointmaze"]), "--sampling.steps", "2"]
    wishes = ["--conditions", str(tmp_path / "wishes.npz"), "--episodes", "3"]
    assert main(["synthesize", *method, *wishes, "--out", "wishes-v0", "--root", str(tmp_path), *QUIET]) == 0
    data = load_data("wishes-v0", tmp_path)
    np.testing.assert_allclose(data.observations["desired_goal"][data.observation_starts], goals, atol=1e-6)


def test_what_others_print_is_not_shown(fitted):
    """Gymnasium-Robotics tells of environments that nobody asked for."""
    call = [
        sys.executable,
        "-m",
        "genrl.cli",
        "evaluate",
        "--policy",
        str(fitted["td3bc_pointmaze"]),
        "--episodes",
        "1",
    ]
    finished = subprocess.run([*call, "--max_steps", "2", *QUIET], capture_output=True, text=True)
    assert finished.returncode == 0
    assert finished.stderr == ""


def test_options_of_a_policy_may_be_nested():
    assert nested({"sampling.steps": 5, "warm": 0.5, "sampling.solver": "heun"}) == {
        "sampling": {"steps": 5, "solver": "heun"},
        "warm": 0.5,
    }


def test_evaluate_takes_the_environment_from_the_checkpoint(fitted, tmp_path, capsys):
    policy = ["--policy", str(fitted["td3bc_pointmaze"]), "--episodes", "3", "--max_steps", "20"]
    assert main(["evaluate", *policy, "--out", str(tmp_path / "result.json"), *QUIET]) == 0
    assert "success rate" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["lengths"] == [20] * 3


def test_a_result_that_cannot_be_stored_is_printed_first(tmp_path):
    played = [
        "evaluate",
        "--policy",
        "random",
        "--env",
        "CartPole-v1",
        "--episodes",
        "2",
        "--out",
        "result.json",
        *QUIET,
    ]
    (tmp_path / "result.json").write_text("older")
    finished = subprocess.run(
        [sys.executable, "-m", "genrl.cli", *played],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
    )
    assert finished.returncode == 2
    assert re.search(r"return, mean ± std +\d", finished.stdout)
    assert finished.stderr.splitlines() == [
        "genrl evaluate: result.json cannot be written (File too large); make room, or name another file."
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert (tmp_path / "result.json").read_text() == "older"


def test_blocks_without_room_are_told_and_leave_no_part_behind(fitted, tmp_path):
    made = ["synthesize", "--method", str(fitted["trajectory_diffusion_pointmaze"]), "--episodes", "8", "--out", "a-v0"]
    finished = subprocess.run(
        [sys.executable, "-m", "genrl.cli", *made, "--sampling.steps", "2", "--root", str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert finished.returncode == 2
    assert "has no space for it or is not writable" in finished.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_error_of_the_system_is_told_whether_or_not_it_names_a_file(tmp_path):
    with pytest.raises(OSError, match="space") as full, open("/dev/full", "w", buffering=1) as file:
        file.write("one line\n")
    assert explained(full.value) == "No space left on device."
    with pytest.raises(OSError, match="directory") as missing:
        (tmp_path / "nowhere").read_text()
    assert explained(missing.value) == f"{tmp_path / 'nowhere'}: No such file or directory."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["colect"], "there is no command 'colect'"),
        (["info"], "required: dataset_id"),
        (["info", "no-version"], "is not a data set id"),
        (["info", "missing-v0"], "No data set 'missing-v0'"),
        (["collect", "--env", "Nowhere-v0", "--policy", "random", "--episodes", "1", "--out", "a-v0"], "Nowhere"),
        (["collect", "--env", "Hopper-v5", "--policy", "rndm", "--episodes", "1", "--out", "a-v0"], "no policy 'rndm'"),
        (["collect", "--env", "Hopper-v5", "--policy", "random", "--episodes", "0", "--out", "a-v0"], "at least 1"),
        (["collect", "--env", "Hopper-v5", "--policy", "random", "--episode", "1", "--out", "a-v0"], "--episode"),
        (["evaluate", "--policy", "random"], "name one with --env"),
        (["evaluate", "--policy", "nowhere.ckpt"], "There is no checkpoint at nowhere.ckpt"),
        (["evaluate", "--policy", "."], "There is no best.ckpt or last.ckpt below ."),
        (["synthesize", "--method", "a/b-v0", "--episodes", "1", "--out", "a-v0"], "is read by genrl.load_dataset"),
        (["synthesize", "--method", "{learner}", "--episodes", "1", "--out", "a-v0"], "A TD3BC makes no data"),
        (["synthesize", *LED, "--guide", "{method}"], "The guide must be a learner"),
        (["synthesize", *LED, "--guide", "{learner}", "--critic", "{learner}"], "cannot be led by guide and critic"),
        (["synthesize", *LED, "--guidance-scale", "2"], "give --guide or --critic"),
        (["synthesize", *LED, "--guide", "nowhere.ckpt"], "There is no checkpoint at nowhere.ckpt"),
        (["synthesize", *LED, "--renoise", "missing-v0"], "No data set 'missing-v0'"),
        (["synthesize", *LED, "--surpassing.tries", "5"], "name data with --surpass"),
        (["synthesize", *LED, "--sampling.steps", "abc"], "a whole number, not 'abc'"),
        (["synthesize", *LED, "--length", "0"], "length must be at least 1, not 0"),
        (["synthesize", *LED, "--conditions", "nowhere.npz"], "There is no file nowhere.npz"),
        (["synthesize", *LED, "--conditions", "w.npz", "--goal", "[0,0]"], "w.npz says what each episode is asked for"),
        (["synthesize", *LED, "--renoise", "a-v0", "--renoising.levl", "1"], "level, amplify and weight"),
        (["evaluate", "--policy", "{method}"], "does not act"),
        (["fit", "--config", "{config}", "--model.overlap=99"], "An overlap of 99 rows does not fit"),
        (["fit", "--config", "{config}", "--model.overlp=9"], "overlp"),
        (["fit", "--config", "{config}", "--trainer.max_epochs=few"], "trainer.max_epochs"),
        (["fit", "--config", "{config}", "--data.data=missing-v0"], "No data set 'missing-v0'"),
        (["fit", "--config", "{config}", "--trainer.precision=foo"], "'bf16' or null, not foo;"),
        (["fit", "--config", "{config}", "--trainer.precision=foo"], "trainer.precision: wanted 64, 32, 16, "),
        (["fit", "--config", "{config}", "--model.net=torch.nn.Nope"], "module 'torch.nn' has no attribute 'Nope'"),
        (["fit", "--config", "{config}", "--data.weights=x"], "data.weights: wanted list[float] or null, not x;"),
        (["collect", "--card.ref_min_score", "nan"], "card.ref_min_score: wanted float or null, not nan;"),
        (["fit", "--config", "{config}", "--trainer.max_epochs=0"], "give --trainer.max_epochs"),
        (["fit", "--config", "{config}", "--trainer.devices=1x"], "settings of the Trainer cannot work"),
        (["fit", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["validate", "--config", "{config}"], "--ckpt_path"),
        (["report", "a-v0", "b-v0", "--out", "."], "is a folder"),
        (["dynamics", "a-v0", "b-v0", "--out", "errors.txt"], "errors.txt names no kind of picture"),
        (["evaluate", "--policy", "random", "--env", "Hopper-v5", "--out", "."], "is a folder"),
        (["evaluate", "--policy", "random", "--env", "Hopper-v5", "--out", "{learner}/a.json"], "is a file"),
    ],
)
def test_bad_input_gives_one_sentence(arguments, sentence, fitted, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    places = {"learner": fitted["td3bc_pointmaze"], "method": fitted["trajectory_diffusion_pointmaze"]}
    places["config"] = next(path for path in CONFIGS if path.stem == "trajectory_diffusion_pointmaze")
    capsys.readouterr()
    assert main([argument.format(**places) for argument in arguments]) == 2
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("genrl")]
    assert sentence in told
    assert "Traceback" not in told


@pytest.mark.parametrize("spec", ["{", "[1]", '{"id": "Nope-v3"}'])
def test_a_data_set_whose_environment_cannot_be_read_gives_one_sentence(spec, root, tmp_path, capsys):
    data = load_data(MAZE, root)
    save_data(replace(data, card=replace(data.card, env_spec=spec)), "odd-v0", root=tmp_path)
    policy = ["evaluate", "--policy", "random", "--data", "odd-v0", "--episodes", "1"]
    commands = [policy, ["dynamics", "odd-v0", "odd-v0"], ["replay", "odd-v0"]]
    if "id" not in spec:  # what needs no more than the id is content with it
        page = str(tmp_path / "report.html")
        commands += [
            [*policy, "--env", "CartPole-v1"],
            ["report", "odd-v0", "odd-v0", "--out", page],
            ["info", "odd-v0"],
        ]
    for command in commands:
        assert main([*command, "--root", str(tmp_path)]) == 2
        assert "'odd-v0': the env_spec in its metadata is not" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "begun"),
    [
        ("collect", ".genrl-*/new"),
        ("fit", "*/version_0/checkpoints/last.ckpt"),
        ("synthesize", ".genrl-blocks/*/*.safetensors"),
    ],
)
def test_an_interrupted_command_ends_in_one_sentence(command, begun, fitted, root, tmp_path):
    endless = ["--env", "CartPole-v1", "--policy", "random", "--episodes", "1000000", "--out", "a-v0", *QUIET]
    endless += ["--root", str(tmp_path)]
    if command == "fit":
        config = next(path for path in CONFIGS if path.stem == "bc_pointmaze")
        endless = [*short_fit(config, root, tmp_path), "--trainer.max_epochs=1000000"]
    if command == "synthesize":
        endless = ["--method", str(fitted["trajectory_diffusion_pointmaze"]), "--episodes", "1000000", *endless[-6:]]
        endless += ["--block_size", "8", "--sampling.steps", "2", "--processes", "2"]
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"  # whoever started this
    call = [sys.executable, "-c", f"{start}; from genrl.cli import main; sys.exit(main())", command, *endless]
    process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(begun)) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert told.splitlines()[-1] == f"genrl {command}: interrupted; what was complete by then is kept."
    assert "Traceback" not in told
    assert not [path for path in tmp_path.rglob(".*") if path.name != ".genrl-blocks"]


def test_data_are_not_overwritten_unless_asked(root, capsys):
    again = ["collect", "--env", "PointMaze_UMaze-v3", "--policy", "random", "--episodes", "1", "--out", MAZE]
    assert main([*again, "--root", str(root), *QUIET]) == 2
    assert "exists" in capsys.readouterr().err
    assert len(load_data(MAZE, root)) == 8


def test_help_lists_every_command(capsys):
    assert main([]) == 0
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"genrl {name}" in capsys.readouterr().out


def test_a_reader_who_has_seen_enough_is_no_error():
    code = "from genrl.cli import main; raise SystemExit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"BrokenPipe" not in process.stderr.read()
    assert process.wait() == 0
