"""The ensemble of the MBRCSL reference, for updates and rollouts in turns with ours; ``benchmarks.dynamics`` asks.

The folder is a checkout of https://github.com/zhaoyizhou1123/mbrcsl, whose code runs as it stands in this process:
``EnsembleDynamics.learn`` for updates, with its own arrays of float64 and its decay in the loss, and ``rollout_simple``
of its script around ``EnsembleDynamics.step`` for rollouts. What its packages import beside (environments, loggers,
transformers) is not needed and not loaded.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.dynamics.ensemble import GaussianEnsemble

REPOSITORY = "https://github.com/zhaoyizhou1123/mbrcsl"
GIVEN = "GENRL_MBRCSL_REFERENCE"
"""Environment variable: the folder of the checkout."""

MISSING = f"The rows of the reference are left out, for it is not here: git clone {REPOSITORY} DIR; --reference DIR."

WIDTH, LAYERS, MEMBERS, ELITES = 200, 4, 7, 5
DECAYS = (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)
RATE, BATCH, BOUNDS_WEIGHT = 1e-3, 256, 0.01
"""The defaults of its script for PointMaze."""

SCRIPT = "examples/pointmaze/run_mbrcsl_maze.py"


class ReferenceEnsemble:
    """The reference's model, trainer and rollouts, on the transitions of some episodes.

    Args:
        folder: a checkout of the reference.
        data: what it is fitted to.

    Attributes:
        dynamics: the reference's ``EnsembleDynamics``.

    Raises:
        SystemExit: the folder is no checkout of the reference.
    """

    def __init__(self, folder: str | Path, data: Episodes) -> None:
        folder = find_reference(folder)
        with _importable(folder):
            modules = importlib.import_module("offlinerlkit.modules.dynamics_module")
            dynamics = importlib.import_module("offlinerlkit.dynamics.ensemble_dynamics")
            scaler = importlib.import_module("offlinerlkit.utils.scaler")
        observations, actions = data.observations[""].numpy(), data.actions[""].numpy()
        rows = data.observation_rows.numpy()
        sizes = observations.shape[1], actions.shape[1]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = modules.EnsembleDynamicsModel(*sizes, [WIDTH] * LAYERS, MEMBERS, ELITES, weight_decays=DECAYS)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        self.dynamics = dynamics.EnsembleDynamics(model, optimizer, scaler.StandardScaler(), _never)
        pairs = observations[rows], actions, observations[rows + 1], data.rewards.numpy()
        names = "observations", "actions", "next_observations", "rewards"
        inputs, self.targets = self.dynamics.format_samples_for_training(dict(zip(names, pairs, strict=True)))
        self.dynamics.scaler.fit(inputs)
        self.inputs = self.dynamics.scaler.transform(inputs)
        self.random = np.random.default_rng(0)
        self._roll_out = _function(folder / SCRIPT, "rollout_simple")

    @property
    def parameters(self) -> int:
        """Numbers that are learned: without the copies of the best weights and the indices of the elites."""
        named = self.dynamics.model.named_parameters()
        return sum(value.numel() for name, value in named if "saved" not in name and name != "elites")

    def learn(self, updates: int) -> float:
        """So many updates by the reference's own ``learn``, on rows drawn anew for each member; the mean loss.

        It draws them once for all and shuffles them between two passes; that and its looks at held-out data are left
        out.
        """
        drawn = self.random.integers(0, len(self.inputs), (MEMBERS, updates * BATCH))
        return self.dynamics.learn(self.inputs[drawn], self.targets[drawn], BATCH, BOUNDS_WEIGHT)

    def roll_out(self, starts: np.ndarray, actions: np.ndarray) -> dict[str, np.ndarray]:
        """What its script stores of rollouts from ``starts`` (B, S) by ``actions`` (B, T, A)."""
        made, _ = self._roll_out(starts, self.dynamics, _Recorded(actions), actions.shape[1])
        return made

    @torch.no_grad()
    def copy(self, ensemble: GaussianEnsemble) -> None:
        """Take over the weights of ours, bounds included."""
        model = self.dynamics.model
        ours: Any = ensemble.net
        for mine, layer in zip(ours.layers, [*model.backbones, model.output_layer], strict=True):
            layer.weight.copy_(mine.weight)
            layer.bias.copy_(mine.bias)
        model.max_logvar.copy_(ensemble.highest)
        model.min_logvar.copy_(ensemble.lowest)

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log variances (M, B, S + 1) for normalised inputs (M, B, S + A)."""
        return self.dynamics.model(inputs)

    def loss(self, inputs: Tensor, targets: Tensor) -> float:
        """Its loss before an update, without weight decay and the bounds' width, of (M, B, ...) normalised numbers."""
        model, optimizer = self.dynamics.model, self.dynamics.optim
        kept = deepcopy(model.state_dict()), deepcopy(optimizer.state_dict())
        whole = self.dynamics.learn(inputs.numpy(), targets.numpy(), inputs.shape[1], BOUNDS_WEIGHT)
        model.load_state_dict(kept[0])
        optimizer.load_state_dict(kept[1])
        with torch.no_grad():
            beside = model.get_decay_loss() + BOUNDS_WEIGHT * (model.max_logvar - model.min_logvar).sum()
        return float(whole) - float(beside)


def find_reference(folder: str | Path) -> Path:
    """The folder, once it is known to be a checkout of the reference.

    Raises:
        SystemExit: it is none.
    """
    if not (Path(folder) / SCRIPT).exists():
        raise SystemExit(f"{folder} is no checkout of {REPOSITORY}: git clone {REPOSITORY} DIR, and give that DIR.")
    return Path(folder).resolve()


def given() -> str:
    """The folder of the checkout where one was given, else ""."""
    return os.environ.get(GIVEN, "")


class _Recorded:
    """A policy that acts as it is told, (B, T, A)."""

    def __init__(self, actions: np.ndarray) -> None:
        self.steps = iter(actions.transpose(1, 0, 2))

    def select_action(self, observations: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """(B, A) whatever comes next."""
        return next(self.steps)


def _never(states: np.ndarray, actions: np.ndarray, following: np.ndarray) -> np.ndarray:
    """(B, 1) bool: nothing ends in this maze."""
    return np.zeros((len(states), 1), bool)


def _function(path: Path, name: str) -> Any:
    """One function of a script that cannot be imported, for it reads its command line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    instead = dict.fromkeys(("EnsembleDynamicsModel", "SimpleDiffusionPolicy"), object)  # in annotations alone
    scope: dict[str, Any] = {"np": np, "defaultdict": defaultdict, "deepcopy": deepcopy, **instead}
    exec(compile("from typing import Dict, Tuple", str(path), "exec"), scope)
    exec(compile(tree, str(path), "exec"), scope)
    return scope[name]


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder first in Python's path; packages without what they would import, and no logger."""
    packages = {f"offlinerlkit.{name}": ModuleType(name) for name in ("modules", "dynamics")}
    for name, package in packages.items():
        package.__path__ = [str(folder / name.replace(".", "/"))]
    instead = packages | {"offlinerlkit.utils.logger": ModuleType("logger")}
    vars(instead["offlinerlkit.utils.logger"])["Logger"] = object
    before = {name: sys.modules.get(name) for name in instead}
    sys.modules |= instead
    sys.path.insert(0, str(folder))
    try:
        base = importlib.import_module("offlinerlkit.dynamics.base_dynamics")
        vars(packages["offlinerlkit.dynamics"])["BaseDynamics"] = base.BaseDynamics
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "offlinerlkit"]:
            del sys.modules[name]
        sys.modules |= {name: module for name, module in before.items() if module is not None}
