"""The table of supported spaces against what really happens; forecasts; the look for copies at the end of a fit."""

import re
import time
import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback, ProgressBar

from genrl.data.arrays import from_arrays
from genrl.data.checks import check
from genrl.data.copying import CopyingWarning
from genrl.data.episodes import Episodes
from genrl.data.errors import UnsupportedSpaceError
from genrl.learners.bc import BC
from genrl.learners.decision_transformer import DecisionTransformer
from genrl.learners.doc import DoC
from genrl.learners.future_vae import FutureVAE
from genrl.learners.gcbc import GCBC
from genrl.learners.iql import IQL
from genrl.learners.percent_bc import PercentBC
from genrl.learners.rvs import RvS
from genrl.learners.td3bc import TD3BC
from genrl.methods.copying import CopyingCheck
from genrl.methods.diffusion_world_model import DiffusionWorldModel
from genrl.methods.imagination import Imagination
from genrl.methods.method import Block, Method
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.methods.world_model import WorldModel
from genrl.training.fit import fit
from genrl.training.forecast import Forecast
from genrl.training.space_support import kind, support_table
from tests.methods.toy_methods import METHODS, box, linear

EVERY = [
    TrajectoryDiffusion,
    TransitionDiffusion,
    WorldModel,
    DiffusionWorldModel,
    BC,
    GCBC,
    TD3BC,
    IQL,
    PercentBC,
    RvS,
    DecisionTransformer,
    DoC,
    FutureVAE,
]
LEAVES = {
    "bounded Box": box(2, 1.0),
    "unbounded Box": box(2),
    "integer Box": gym.spaces.Box(0, 9, (2,), np.int64),
    "image": gym.spaces.Box(0, 255, (4, 4), np.uint8),
    "Discrete": gym.spaces.Discrete(3, start=1),
    "MultiDiscrete": gym.spaces.MultiDiscrete([2, 3]),
    "MultiBinary": gym.spaces.MultiBinary(2),
}


def episodes(observation: gym.Space, action: gym.Space) -> Episodes:
    observation.seed(0)
    action.seed(0)
    return from_arrays(
        [_rows(observation, 4) for _ in range(2)],
        [_rows(action, 3) for _ in range(2)],
        [np.zeros(3), np.ones(3)],
        observation_space=observation,
        action_space=action,
    )


def _rows(space: gym.Space, count: int):
    if isinstance(space, gym.spaces.Dict):
        return {key: _rows(child, count) for key, child in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_rows(child, count) for child in space.spaces)
    return np.stack([np.asarray(space.sample()) for _ in range(count)])


def nested(leaf: gym.Space) -> gym.Space:
    return gym.spaces.Dict({"deep": gym.spaces.Tuple([leaf])})


def make(cls: type):
    nets = {name: 16 for name in ("net", "actor_net", "critic_net", "value_net") if hasattr(cls(), name)}
    defaults = cls()
    short = {"horizon": 2, "overlap": 1} if cls is TrajectoryDiffusion else {}
    return cls(**short, **{name: partial(getattr(defaults, name), width=width) for name, width in nets.items()})


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("role", ["observations", "actions"])
@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("wrap", [lambda leaf: leaf, nested], ids=["plain", "nested"])
def test_the_table_is_true(cls, role, name, wrap):
    leaf = LEAVES[name]
    assert kind(leaf) == name
    plain = box(1, 1.0)
    data = episodes(wrap(leaf), plain) if role == "observations" else episodes(plain, wrap(leaf))
    taken = getattr(cls.takes, role)
    if name in taken:
        module = make(cls)
        module.prepare(data)
        if isinstance(module, TrajectoryDiffusion):
            module.sampling = Sampling(steps=2)
        if isinstance(module, WorldModel):
            policy = make(BC)
            policy.prepare(data)
            module = Imagination(module, policy, horizon=2)
        if isinstance(module, Method):
            check(module.synthesize(Block(0, 0, 3)), "made")  # inside the spaces, whatever the weights
        return
    with pytest.raises(UnsupportedSpaceError) as refusal:
        make(cls).prepare(data)
    assert re.match(rf"{cls.__name__} does not take {role} of the kind {name} ", str(refusal.value))
    assert all(other in str(refusal.value) for other in taken)
    assert ("deep/0" in str(refusal.value)) == (wrap is nested)


def test_every_class_has_its_row():
    table = support_table(EVERY)
    assert [row[0] for row in table] == [cls.__name__ for cls in EVERY]
    rows = {row[0]: row for row in table}
    assert rows["IQL"][2] == "bounded Box"
    assert "Discrete" in rows["TrajectoryDiffusion"][2]
    assert not any("image" in part for row in table for part in row)


class Lines(ProgressBar):
    """Keeps what is printed above a progress bar."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def print(self, *args, **_) -> None:
        self.lines.extend(map(str, args))

    def disable(self) -> None: ...


class Slow(Callback):
    def on_train_batch_start(self, *_) -> None:
        time.sleep(0.005)


def test_a_long_fit_is_forecast_in_one_sentence():
    lines = Lines()
    module = METHODS["trajectory-mlp"]()
    extra = [lines, Slow(), Forecast(warmup=5, timed=15, shortest=0.5)]
    fit(module, linear(), 200, progress=False, callbacks=extra, enable_progress_bar=True)
    (line,) = lines.lines
    size = sum(parameter.numel() for parameter in module.parameters())
    found = re.match(r"([\d,]+) parameters, (\d+) more batches of ([\d.]+) ms, about ([\d.]+) minutes; .*GB", line)
    assert found, line
    assert found[1] == f"{size:,}"
    assert found[2] == "180"
    assert 5 < float(found[3]) < 500
    assert float(found[4]) == pytest.approx(180 * float(found[3]) / 60_000, abs=0.06)


def test_a_short_fit_is_not_forecast():
    lines = Lines()
    callbacks = [lines, Forecast()]
    fit(METHODS["trajectory-mlp"](), linear(), 30, progress=False, callbacks=callbacks, enable_progress_bar=True)
    assert lines.lines == []


def test_a_method_that_copies_is_warned_of():
    """Synthesis is replaced by the training data themselves, then by episodes that nobody has seen."""
    method, data = METHODS["trajectory-mlp"](), linear(60)
    assert any(isinstance(callback, CopyingCheck) for callback in method.configure_callbacks())

    class Copies(TrajectoryDiffusion):
        def synthesize(self, block: Block, conditions=None, *, length=None, batch_size=None) -> Episodes:
            return self.answer

    module = Copies(**{name: getattr(method, name) for name in method.configuration()})
    module.answer = data
    with pytest.warns(CopyingWarning, match="the model repeats its data"):
        fit(module, data, 2, progress=False, val_fraction=0.3)
    # honest data; nothing, or too little, held out to compare with
    for answer, fraction in ((linear(60, seed=9), 0.3), (data, 0.0), (data, 0.05)):
        module = Copies(**{name: getattr(method, name) for name in method.configuration()})
        module.answer = answer
        with warnings.catch_warnings():
            warnings.simplefilter("error", CopyingWarning)
            fit(module, data, 2, progress=False, val_fraction=fraction)
