"""Times the references' own code in their own environments; ``benchmarks.pgd_speed`` runs it, genrl is not imported.

    PYTHON pgd_speed_reference.py NAME FOLDER TASK SETTINGS

``FOLDER`` is a checkout of the reference, ``SETTINGS`` JSON. Once compiled and warm it prints the parameters of the
reference's network and the multiply-adds of a call for one sample; then, for every line that it reads, it takes one
turn and prints the CPU seconds of a training step or a batch of samples. Only models, losses and samplers are used:
what else the reference imports (gym, wandb, ...) is replaced by empty modules.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple


class Side(NamedTuple):
    """What a turn does, and the size of the network."""

    turn: Callable[[int], Any]
    parameters: int
    multiply_adds: float


def stub(name: str, **content: Any) -> None:
    """An empty module in place of one that is not needed."""
    sys.modules[name] = ModuleType(name)
    for key, value in content.items():
        setattr(sys.modules[name], key, value)


def policy_guided_diffusion(task: str, settings: dict[str, int]) -> Side:
    """EmptyJackson/policy-guided-diffusion, in JAX."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    stub("gym", spaces=ModuleType("gym.spaces"))
    sys.modules["gym"].spaces.Dict = dict  # type: ignore[attr-defined]
    stub("wandb")
    import jax
    from diffusion.diffusion import create_denoiser_train_state
    from util import parse_diffusion_args

    args = parse_diffusion_args(
        [f"--num_features={settings['features']}", f"--diffusion_timesteps={settings['steps']}"]
    )
    key = jax.random.PRNGKey(0)
    state = create_denoiser_train_state(key, settings["observation"], settings["action"], args, 100_000)
    columns = settings["observation"] + settings["action"] + 2  # with reward and done
    turn = _train(args, state, settings, columns) if task == "train" else _sample(args, state, settings, task)

    window = jax.numpy.zeros((settings["horizon"] + 1, columns))
    [cost] = jax.jit(state.apply_fn).lower(state.params, window, jax.numpy.ones(())).compile().cost_analysis()
    parameters = sum(leaf.size for leaf in jax.tree_util.tree_leaves(state.params))
    return Side(lambda number: jax.block_until_ready(turn(jax.random.PRNGKey(number))), parameters, cost["flops"] / 2)


def _train(args: Any, state: Any, settings: dict[str, int], columns: int) -> Callable[[Any], Any]:
    """Steps with averaged weights, each compiled by itself.

    train_diffusion.py has them in a ``lax.scan``, in which XLA takes 40 times as long on a CPU: the faster form counts.
    """
    import jax
    from diffusion.diffusion import make_train_step
    from util import ema_update

    step = make_train_step(args)
    shape = settings["train_steps"], settings["train_batch"], args.trajectory_length, columns
    batches = list(jax.random.normal(jax.random.PRNGKey(1), shape))

    @jax.jit
    def update(state: Any, average: Any, batch: Any, key: Any) -> Any:
        state, loss = step(key, batch, state)
        return state, average.replace(params=ema_update(args, state, average)), loss

    average = state

    def turn(key: Any) -> Any:
        nonlocal state, average
        for batch in batches:
            key, used = jax.random.split(key)
            state, average, loss = update(state, average, batch, used)
        return state.params, average.params, loss

    return turn


def _sample(args: Any, state: Any, settings: dict[str, int], task: str) -> Callable[[Any], Any]:
    """A batch of trajectories, as in diffusion/rollout_generator.py, led by a fresh actor where the task is that."""
    import jax
    from diffusion.diffusion import make_sample_fn
    from models.td3_bc import TanhDeterministicActor

    observation, action = settings["observation"], settings["action"]
    width = {"obs": observation, "action": action, "reward": 1, "done": 1}
    denoised = task == "sample_guided"
    sample = partial(
        make_sample_fn(args, normalize_action_guidance=False, denoised_guidance=denoised, det_guidance=True),
        denoiser_state=state,
        seq_len=settings["horizon"] + 1,
        obs_dim=observation,
        action_dim=action,
        denoiser_norm_stats={name: {"mean": jax.numpy.zeros(n), "std": jax.numpy.ones(n)} for name, n in width.items()},
    )
    if task != "sample":
        actor = TanhDeterministicActor(action)
        weights = actor.init(jax.random.PRNGKey(1), jax.numpy.zeros((1, observation)))
        sample = partial(sample, agent_apply_fn=actor.apply, agent_params=weights)
        sample = partial(sample, policy_guidance_coeff=1.0, policy_guidance_cosine_coeff=0.3)
    batch = jax.jit(jax.vmap(lambda key: sample(rng=key)))
    return lambda key: batch(jax.random.split(key, settings["sample_batch"]))


def synther(task: str, settings: dict[str, int]) -> Side:
    """conglu1997/SynthER, in torch."""
    import accelerate  # noqa: F401  (it looks for wandb, which is replaced after it)
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    for name in ("wandb", "redq", "redq.algos"):
        stub(name)
    stub("redq.algos.core", ReplayBuffer=object)
    stub("synther.online.utils", make_inputs_from_replay_buffer=None)
    from synther.diffusion.denoiser_network import ResidualMLPDenoiser
    from synther.diffusion.elucidated_diffusion import ElucidatedDiffusion, Trainer
    from synther.diffusion.norm import normalizer_factory

    torch.set_num_threads(1)
    data = torch.randn(10_000, 2 * settings["observation"] + settings["action"] + 2)
    net = ResidualMLPDenoiser(data.shape[1], mlp_width=settings["features"], num_layers=settings["layers"])
    model = ElucidatedDiffusion(
        net, normalizer_factory("standard", data), event_shape=[data.shape[1]], num_sample_steps=settings["steps"]
    )
    with FlopCounterMode(display=False) as counter:
        net(data[:1], torch.zeros(1))
    size = sum(parameter.numel() for parameter in net.parameters()), counter.get_total_flops() / 2
    if task == "sample":
        return Side(lambda number: model.sample(settings["sample_batch"], clamp=False, disable_tqdm=True), *size)
    trainer = Trainer(
        model,
        train_batch_size=settings["train_batch"],
        train_lr=3e-4,
        lr_scheduler="cosine",
        use_gpu=False,
        results_folder=tempfile.mkdtemp(),
    )
    batches = data[: settings["train_steps"] * settings["train_batch"]].split(settings["train_batch"])
    return Side(lambda number: [trainer.train_on_batch(batch, use_wandb=False) for batch in batches], *size)


def main() -> None:
    """Warm up, then one turn a line; what the reference itself prints goes where errors go."""
    name, folder, task, settings = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, folder)
    side = {"pgd": policy_guided_diffusion, "synther": synther}[name](task, settings)
    side.turn(0)
    print(json.dumps({"parameters": side.parameters, "multiply_adds": side.multiply_adds}), file=answers, flush=True)
    for number, _ in enumerate(sys.stdin, start=1):
        begun = time.process_time()
        side.turn(number)
        seconds = (time.process_time() - begun) / (settings["train_steps"] if task == "train" else 1)
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


if __name__ == "__main__":
    main()
