"""Samplers: what they cost beside the bare network, how exact they are, and that diffusers agrees.

``overhead.SOLVER.NET`` is the time of sampling over that of as many calls of the bare network: the method's temporal
U-Net at batch 256, and a small MLP at batch 1 as a policy would run it. Preconditioning and noise count as overhead.
Both are timed in turns, in inference mode, on one thread; ``overhead_in_3_steps`` is the same for the shortest of runs,
where what happens once a run weighs most. ``std_error.SOLVER.STEPS`` is how far the standard deviation of samples of
N(0, 1) is from 1, with its exact denoiser and without sampling error; ``reference`` is the churn rule of the
policy-guided diffusion reference, which starts Euler's step from the wrong state, and ``reference_euler`` its
first-order form.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cells import Cell, grid
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.sampler_references import exact_std, max_diff_to_diffusers, unchurned
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.grids import karras
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM
from genrl.diffusion.samplers import ancestral, dpmpp_2m, dpmpp_2m_sde, euler, heun, lms
from genrl.nets.mlp import DenoisingMLP
from genrl.nets.temporal_unet import TemporalUNet

CHURN: dict[str, Any] = {"s_churn": 80.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}
Sampler = Callable[..., Tensor]
SOLVERS: dict[str, Sampler] = {
    "euler": euler,
    "ancestral": ancestral,
    "heun": heun,
    "heun_churn": partial(heun, **CHURN),
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "lms": lms,
}
REFERENCE: dict[str, Sampler] = {
    "reference": partial(unchurned, **CHURN),
    "reference_euler": partial(unchurned, correct=False, **CHURN),
}
COLUMNS, ROWS = 16, 33  # Hopper's, in a window of 32 transitions
NETS: dict[str, dict[str, Any]] = {
    "mlp1": {"shape": (1, 20), "steps": 64, "rounds": 100},
    "unet256": {"shape": (256, ROWS, COLUMNS), "steps": 2, "rounds": 12},
}
STD_STEPS = (16, 32, 64, 256)


def network(name: str) -> nn.Module:
    """The method's temporal U-Net at its default size, or an MLP of 3 x 256."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return (TemporalUNet(COLUMNS) if name == "unet256" else DenoisingMLP(20, width=256, layers=3)).eval()


def overhead(solver: str, name: str, steps: int, rounds: int, seed: int) -> float:
    """Median over rounds of sampling's time over that of the bare calls just before and after it."""
    net, sampler = network(name), SOLVERS[solver]
    denoiser, times = Denoiser(net, EDM(), EDMPrediction()), karras(steps)
    x = 80 * BlockNoise(seed, 0).normal(0, NETS[name]["shape"])
    level = torch.zeros(len(x))
    calls = 2 * steps - 1 if solver.startswith("heun") else steps

    def bare() -> float:
        with torch.inference_mode():
            begun = time.perf_counter()
            for _ in range(calls):
                net(x, level)
            return time.perf_counter() - begun

    def sampling(turn: int) -> float:
        noise = BlockNoise(seed, turn)
        begun = time.perf_counter()
        sampler(denoiser, x, times, None, noise)
        return time.perf_counter() - begun

    bare(), sampling(0)
    before, ratios = bare(), []
    for turn in range(1, rounds + 1):
        taken, after = sampling(turn), bare()
        ratios.append(taken / mean((before, after)))
        before = after
    return median(ratios)


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """One solver on one network, its spread, or the differences to diffusers."""
    if cell.environment in NETS:
        settings = NETS[cell.environment]
        values = {"overhead": overhead(cell.arm, cell.environment, settings["steps"], settings["rounds"], cell.seed)}
        if cell.environment == "mlp1":
            values["overhead_in_3_steps"] = overhead(cell.arm, cell.environment, 3, 4 * settings["rounds"], cell.seed)
        return values
    if cell.environment == "gaussian":
        sampler = (SOLVERS | REFERENCE)[cell.arm]
        return {f"std_error_{steps}": abs(exact_std(sampler, karras(steps)) - 1) for steps in STD_STEPS}
    return max_diff_to_diffusers()


def aggregate(results: Results) -> dict[str, float]:
    """Medians over the runs."""
    figures: dict[str, float] = {}
    for place in results.environments:
        for arm in dict.fromkeys(cell.arm for cell in results.done if cell.environment == place):
            for key in results.done[results.cells(arm, place)[0]]:
                value = median(results.values(arm, key, place).tolist())
                if place == "gaussian":
                    figures[f"std_error.{arm}.{key.removeprefix('std_error_')}"] = value
                elif place == "diffusers":
                    figures[f"diff_to_diffusers.{key}"] = value
                else:
                    figures[f"{key}.{arm}.{place}"] = value
    differences = [value for key, value in figures.items() if key.startswith("diff_to")]
    return figures | ({"max_diff_to_diffusers": max(differences)} if differences else {})


EXACT = grid([*SOLVERS, *REFERENCE], ["gaussian"]) + grid(["all"], ["diffusers"])

BENCHMARK = Benchmark(
    name="samplers",
    cells=grid(SOLVERS, NETS, range(3)) + EXACT,
    compute=compute,
    aggregate=aggregate,
    quick_cells=grid(SOLVERS, ["mlp1"]) + grid(["dpmpp_2m_sde"], ["unet256"]) + EXACT,
    code=["benchmarks/samplers.py", "benchmarks/sampler_references.py", "genrl/diffusion/*.py", "genrl/nets/*.py"],
    settings={
        "nets": NETS,
        "unet": "TemporalUNet at its default size, 1.7 M parameters (policy-guided diffusion: 178 M)",
        "mlp": "3 x 256 and an embedding of the noise level",
        "grid": "karras, sigma 0.002 to 80, rho 7",
        "churn": CHURN,
    },
    statistical=False,
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
