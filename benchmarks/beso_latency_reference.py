"""The BESO reference's own agent, for one action of it in turns with ours; ``benchmarks.beso_latency`` asks for it.

    python -m benchmarks.beso_latency_reference --reference DIR

``DIR`` is a checkout of https://github.com/intuitive-robots/beso, whose code runs as it stands in this process. Its
Kitchen network (9.4 M parameters on 11 tokens) has random weights, for speed does not depend on them, and acts
through the agent's ``predict`` as its evaluation does: three steps on the linear grid, contexts of four observations
and three actions, goals of two observations. Its imports that inference does without are replaced by empty modules.

Around every action the agent clones its weights, copies the averaged ones over them and copies the first back.
``exchange`` False spares it that, by its own switch ``use_ema``: the same actions wherever the two are equal, as they
are once weights have been loaded.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

REPOSITORY = "https://github.com/intuitive-robots/beso"
GIVEN = "GENRL_BESO_REFERENCE"
"""Environment variable: the folder of the checkout."""

OBSERVATION, ACTION, GOALS, WINDOW = 30, 9, 2, 4  # Franka Kitchen
WIDTH, LAYERS, HEADS = 360, 6, 6
SIGMA_MIN, SIGMA_MAX, SIGMA_DATA = 0.005, 1.0, 0.5
STEPS = 3

MISSING = f"The rows of the reference are left out, for it is not here: git clone {REPOSITORY} DIR; --reference DIR."

_AGENT = "beso.agents.diffusion_agents."
_NETWORK = {
    "_target_": f"{_AGENT}k_diffusion.score_gpts.DiffusionGPT",
    "state_dim": OBSERVATION,
    "action_dim": ACTION,
    "goal_conditioned": True,
    "embed_dim": WIDTH,
    "n_layers": LAYERS,
    "n_heads": HEADS,
    "goal_seq_len": GOALS,
    "obs_seq_len": WINDOW,
    "sigma_vocab_size": STEPS,
    "embed_pdrob": 0,
    "attn_pdrop": 0.3,
    "resid_pdrop": 0,
    "goal_drop": 0.1,
    "time_embedding_fn": {},  # never used
    "linear_output": True,
    "device": "cpu",
}
_SETTINGS = {
    "model": {
        "_target_": f"{_AGENT}k_diffusion.score_wrappers.GCDenoiser",
        "sigma_data": SIGMA_DATA,
        "inner_model": _NETWORK,
    },
    "input_encoder": {
        "_target_": "beso.agents.input_encoders.obs_encoder.NoEncoder",
        "device": "cpu",
        "state_modality": "observation",
        "goal_modality": "goal_observation",
    },
    "optimization": {"_target_": "torch.optim.AdamW", "lr": 1e-4},
    "lr_scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 100, "gamma": 0.99},
    "obs_modalities": ["observation"],
    "goal_modalities": ["goal_observation"],
    "target_modality": "action",
    "train_method": "steps",
    "max_train_steps": 40_000,
    "max_epochs": 500,
    "eval_every_n_steps": 4000,
    "goal_conditioned": True,
    "pred_last_action_only": False,
    "num_sampling_steps": STEPS,
    "sampler_type": "ddim",
    "rho": 5.0,
    "sigma_data": SIGMA_DATA,
    "sigma_min": SIGMA_MIN,
    "sigma_max": SIGMA_MAX,
    "sigma_sample_density_type": "loglogistic",
    "sigma_sample_density_mean": -0.6,
    "sigma_sample_density_std": 1.6,
    "decay": 0.999,
    "update_ema_every_n_steps": 1,
    "window_size": WINDOW,
    "goal_window_size": GOALS,
    "device": "cpu",
}
"""What the reference's configurations come to for Kitchen."""


class ReferenceBESO:
    """The reference's agent, its contexts full, so that every action costs the same.

    Args:
        folder: a checkout of the reference.
        batch: B, how many environments it acts in; its evaluation has one.
        sampler: one of the reference's names; ``"euler_ancestral"`` is its evaluation's, ``"ddim"`` its agent's.
        guidance: lambda of classifier-free guidance, 1 for the conditional model alone; 1.5 in its configuration.
        exchange: exchange the weights for their average and back around every action, as the reference does.

    Attributes:
        calls: bare calls of the network that an action takes.
        parameters: of the network.

    Raises:
        SystemExit: the folder is no checkout of the reference.
    """

    def __init__(
        self,
        folder: str | Path,
        batch: int = 1,
        *,
        sampler: str = "euler_ancestral",
        guidance: float = 1.0,
        exchange: bool = True,
    ) -> None:
        self.sampler = sampler
        self.agent, self.net = _build(find_reference(folder), guidance, exchange)
        self.calls = STEPS if guidance in (0, 1) else 2 * STEPS
        self.parameters = sum(parameter.numel() for parameter in self.net.parameters())
        generator = torch.Generator().manual_seed(0)
        self.batch = {
            "observation": torch.randn(batch, OBSERVATION, generator=generator),
            "goal_observation": torch.randn(batch, GOALS, OBSERVATION, generator=generator),
        }
        self.window = (
            torch.randn(batch, WINDOW, OBSERVATION, generator=generator),
            torch.randn(batch, WINDOW, ACTION, generator=generator),
            self.batch["goal_observation"],
            torch.ones(batch),
        )
        for _ in range(WINDOW):
            self.act()

    def act(self) -> Tensor:
        """(B, ACTION), one action by the agent's own ``predict``, called as its evaluation calls it."""
        return self.agent.predict(
            self.batch, new_sampler_type=self.sampler, new_sampling_steps=STEPS, extra_args={}, noise_scheduler="linear"
        )

    @torch.inference_mode()
    def call(self) -> Tensor:
        """(B, WINDOW, ACTION), one bare call of the network on a full window."""
        return self.net(*self.window)

    def bare(self) -> None:
        """As many bare calls of the network as an action takes."""
        for _ in range(self.calls):
            self.call()


def find_reference(folder: str | Path) -> Path:
    """The folder, once it is known to be a checkout of the reference.

    Raises:
        SystemExit: it is none.
    """
    if not (Path(folder) / "beso" / "agents" / "diffusion_agents" / "beso_agent.py").exists():
        raise SystemExit(f"{folder} is no checkout of {REPOSITORY}: git clone {REPOSITORY} DIR, and give that DIR.")
    return Path(folder).resolve()


def given() -> str:
    """The folder of the checkout where one was given, else ""."""
    return os.environ.get(GIVEN, "")


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of a turn of each side, which alternate; a tenth more turns go ahead to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    warm_up = rounds // 10 + 1
    for number in range(warm_up + rounds):
        for name, turn in sides.items():
            begun = time.process_time()
            turn()
            if number >= warm_up:
                taken[name].append(time.process_time() - begun)
    return {name: median(seconds) for name, seconds in taken.items()}


def _build(folder: Path, guidance: float, exchange: bool) -> tuple[Any, torch.nn.Module]:
    """The agent as the reference's evaluation makes it, and the bare network within."""
    data = np.random.default_rng(0).uniform(-1, 1, (1000, OBSERVATION + ACTION)).astype(np.float32)
    with _importable(folder), torch.random.fork_rng():
        agent_module = importlib.import_module(f"{_AGENT}beso_agent")
        guided = importlib.import_module(f"{_AGENT}k_diffusion.classifier_free_sampler")
        scaling = importlib.import_module("beso.networks.scaler.scaler_class")
        if not Path(str(agent_module.__file__)).is_relative_to(folder):
            raise SystemExit(f"This process has the reference of {agent_module.__file__} already, so not {folder}'s.")
        torch.manual_seed(0)
        agent = agent_module.BesoAgent(use_ema=exchange, **_SETTINGS)
    scaler = scaling.Scaler(data[:, :OBSERVATION], data[:, OBSERVATION:], scale_data=False, device="cpu")
    agent.get_scaler(scaler)
    agent.set_bounds(scaler)
    net = agent.model.inner_model
    if guidance != 1:
        agent.model = guided.ClassifierFreeSampleModel(agent.model, cond_lambda=guidance)
    agent.model.eval()
    return agent, net


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder first in Python's path, and stand-ins for the packages whose work inference does without."""
    instead: dict[str, dict[str, Any]] = {
        "wandb": {},
        "torchsde": {},
        "torchdiffeq": {"odeint": None},
        "hydra": {"utils": ModuleType("hydra.utils")},
    }
    instead["hydra"]["utils"].instantiate = _instantiate
    before = {name: sys.modules.get(name) for name in instead}
    for name, content in instead.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def _instantiate(settings: Mapping[str, Any], **more: Any) -> Any:
    """Hydra's ``instantiate`` as far as the reference needs it: what ``_target_`` names, called with the rest."""
    module, name = settings["_target_"].rsplit(".", 1)
    rest = {key: value for key, value in settings.items() if key != "_target_"}
    return getattr(importlib.import_module(module), name)(**rest, **more)


def main() -> None:
    """Milliseconds of an action and of its bare calls, as JSON."""
    parser = argparse.ArgumentParser(description="One action of the BESO reference's own agent.")
    parser.add_argument("--reference", required=True, metavar="DIR", help=f"a checkout of {REPOSITORY}")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for batch, rounds in ((1, options.rounds), (64, options.rounds // 10)):
        for sampler, guidance in (("euler_ancestral", 1.0), ("ddim", 1.0), ("euler_ancestral", 1.5)):
            whole = ReferenceBESO(options.reference, batch, sampler=sampler, guidance=guidance)
            spared = ReferenceBESO(options.reference, batch, sampler=sampler, guidance=guidance, exchange=False)
            sides = {"action": whole.act, "without_exchange": spared.act, "bare": spared.bare}
            taken = {name: round(1000 * seconds, 3) for name, seconds in in_turns(sides, rounds).items()}
            row = {"batch": batch, "sampler": sampler, "guidance": guidance, "calls": whole.calls}
            print(json.dumps(row | {"parameters": whole.parameters} | taken))


if __name__ == "__main__":
    main()
