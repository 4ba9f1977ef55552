"""MBRCSL: which rollouts it makes, which it keeps, and what it says where it keeps none."""

import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError, ConfigurationError, NothingAcceptedError
from genrl.data.store import load as load_dataset
from genrl.data.store import save as save_dataset
from genrl.learners.bc import BC
from genrl.learners.beso import BESO
from genrl.methods.mbrcsl import MBRCSL
from genrl.methods.method import Block
from genrl.nets.mlp import MLP
from genrl.nets.policy_mlp import PolicyMLP
from genrl.synthesis.generate import Plan
from genrl.synthesis.lead import surpassing
from genrl.synthesis.synthesize import synthesize
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import WORLD_MODEL, InterruptionError, assert_close, linear, walks

BEHAVIOUR = partial(
    BESO, net=partial(PolicyMLP, width=16, layers=1, context=16), history=1, chunk=1, goal_length=0, goal_dropout=0.0
)
EVERYTHING = {"quantile": 0.0, "margin": -1e6}


@pytest.fixture(scope="module")
def parts():
    """A world model and a behaviour of ``linear()``, fitted for a moment."""
    return tuple(fit(part, linear(), 5, progress=False) for part in (WORLD_MODEL(), BEHAVIOUR()))


@pytest.fixture(scope="module")
def everything(parts) -> Episodes:
    """The first 60 rollouts, whatever their returns."""
    return MBRCSL(*parts, linear(), wave=16, **EVERYTHING).synthesize(Block(0, 0, 60))


def test_rollouts_begin_where_the_data_do_and_last_as_long(everything):
    real = linear()
    starts = {tuple(row) for row in real.observations[""][real.observation_starts].tolist()}
    made = everything.observations[""][everything.observation_starts].tolist()
    assert {tuple(row) for row in made} <= starts
    assert len({tuple(row) for row in made}) > 6
    assert everything.lengths.unique().tolist() == [9]
    assert everything.infos["rollout"][everything.transition_starts].tolist() == list(range(60))
    assert everything.infos["disagreement"].shape == everything.rewards.shape


def test_rollouts_last_as_long_as_the_longest_that_is_to_be_surpassed(parts):
    """Whatever the world model was fitted to."""
    short = linear(steps=4)
    assert MBRCSL(*parts, short, wave=16, **EVERYTHING).synthesize(Block(0, 0, 10)).lengths.unique().tolist() == [4]


def test_without_disagreement_the_same_rollouts_come_without_it(parts, everything):
    terse = MBRCSL(*parts, linear(), wave=16, disagreement=False, **EVERYTHING).synthesize(Block(0, 0, 60))
    assert set(terse.infos) == {"rollout"}
    assert_close(terse, replace(everything, infos={"rollout": everything.infos["rollout"]}), atol=1e-4)


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_exactly_those_above_the_threshold_are_kept(parts, everything, share):
    margin = float(everything.returns.quantile(share) - linear().returns.quantile(0.5))
    method = MBRCSL(*parts, linear(), wave=16, quantile=0.5, margin=margin, tries=5)
    better = (everything.returns > method.threshold).nonzero().flatten()
    assert len(better) == pytest.approx(60 * (1 - share), abs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they are few
        kept = method.synthesize(Block(0, 0, 60))
    among = kept.infos["rollout"][kept.transition_starts] < 60
    assert_close(kept.select(among), everything.select(better), atol=1e-5)
    assert (kept.returns > method.threshold).all()


def test_a_block_that_is_not_full_says_so(parts, everything):
    method = MBRCSL(*parts, linear(), wave=16, quantile=0.5, tries=1)
    found = int((everything.returns > method.threshold).sum())
    with pytest.warns(UserWarning, match=f"{found} of 60 episodes were found in 60 rollouts, the most that are tried"):
        assert len(method.synthesize(Block(0, 0, 60))) == found


def test_the_best_of_the_data_is_the_default(parts):
    method = MBRCSL(*parts, linear())
    assert method.threshold == float(linear().returns.max())
    assert (method.horizon, method.tries) == (None, 2000)


def test_nothing_good_enough_says_how_near_it_came(parts, everything, tmp_path):
    method = MBRCSL(*parts, linear(), wave=16, margin=1e6, tries=15)
    best = f"{float(everything.returns.max()):.4g}"
    with pytest.raises(
        NothingAcceptedError, match=rf"Not one of 60 rollouts surpassed .* predicted to have {best}\. Fit"
    ):
        method.synthesize(Block(0, 0, 4))
    save_dataset(linear(), "toy/linear-v0", root=tmp_path)
    stored = MBRCSL(*parts, "toy/linear-v0", wave=16, margin=1e6, tries=15, root=str(tmp_path))
    with pytest.raises(NothingAcceptedError):
        synthesize(stored, "toy/better-v0", Plan(4), root=tmp_path, progress=False)
    with pytest.raises(Exception, match="No data set"):
        load_dataset("toy/better-v0", tmp_path)


def test_rollouts_that_leave_the_data_are_thrown_away_and_counted(parts, everything):
    """Beyond data that reach less far; with slack they are moved back."""
    short = linear()
    short.observations[""].clamp_(-1.0, 1.0)
    strict, loose = (MBRCSL(*parts, short, wave=16, tries=1, slack=slack, **EVERYTHING) for slack in (0.0, 10.0))
    with pytest.warns(UserWarning, match="rollouts left the range of the data") as told:
        made = strict.synthesize(Block(0, 0, 60))
    cut = 60 - len(made)
    assert 0 < cut < 60
    assert any(f"{cut} of 60 rollouts left the range of the data" in str(warning.message) for warning in told)
    assert any(f"{len(made)} of 60 episodes were found" in str(warning.message) for warning in told)
    held = loose.synthesize(Block(0, 0, 60))
    for kept in (made, held):
        assert kept.observations[""].abs().max() <= 1 + 1e-5
        assert kept.lengths.unique().tolist() == [9]
        assert kept.rewards.abs().max() <= linear().rewards.abs().max()
    assert len(held) == 60
    nowhere = linear()
    nowhere.observations[""][nowhere.observation_starts] = 0.0
    nowhere.observations[""].clamp_(-1e-3, 1e-3)
    with (
        pytest.warns(UserWarning, match="4 of 4 rollouts left"),
        pytest.raises(NothingAcceptedError, match="all left the range of the data"),
    ):
        MBRCSL(*parts, nowhere, wave=16, tries=1, slack=0.0).synthesize(Block(0, 0, 4))


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_the_batch_size_changes_nothing_beyond_rounding(parts, batch_size):
    method = MBRCSL(*parts, linear(), wave=16, quantile=0.5)
    one, other = (method.synthesize(Block(0, 1, 6), batch_size=size) for size in (None, batch_size))
    assert_close(one, other, atol=1e-5)
    assert torch.equal(one.infos["rollout"], other.infos["rollout"])


def test_a_block_is_its_seed_and_index(parts):
    method = MBRCSL(*parts, linear(), wave=16, quantile=0.5)
    once = method.synthesize(Block(0, 0, 5))
    torch.manual_seed(1)
    assert_close(once, method.synthesize(Block(0, 0, 5)))
    assert_close(once[:3], method.synthesize(Block(0, 0, 3)))
    for other in (Block(1, 0, 5), Block(0, 1, 5)):
        assert not torch.equal(once.rewards, method.synthesize(other).rewards)


class Stopped(MBRCSL):
    """Ends before a block, as if killed."""

    stop_before: int | None = None

    def synthesize(self, block, conditions=None, **settings):
        if block.index == self.stop_before:
            raise InterruptionError
        return super().synthesize(block, conditions, **settings)


def test_a_killed_synthesis_goes_on_to_the_same_bytes_also_with_other_processes(parts, tmp_path):
    written = []
    save_dataset(linear(), "toy/linear-v0", root=tmp_path)
    for name in ("whole", "killed", "processes"):
        root = tmp_path / name
        method = Stopped(*parts, "toy/linear-v0", wave=16, quantile=0.5, root=str(tmp_path))
        plan, many = Plan(12, block_size=4), 2 if name == "processes" else 1
        if name == "killed":
            method.stop_before = 2
            with pytest.raises(InterruptionError):
                synthesize(method, "toy/better-v0", plan, root=root, progress=False)
            assert not (root / "toy" / "better-v0").exists()
            method.stop_before = None
        path = synthesize(method, "toy/better-v0", plan, root=root, processes=many, progress=False)
        written.append((path / "data" / "main_data.hdf5").read_bytes())
    assert written[0] == written[1] == written[2]
    made = load_dataset("toy/better-v0", tmp_path / "whole")
    assert len(made) == 12
    assert (made.returns > method.threshold).all()


def test_it_survives_a_checkpoint(parts, tmp_path):
    save_dataset(linear(), "toy/linear-v0", root=tmp_path)
    method = MBRCSL(*parts, "toy/linear-v0", quantile=0.5, wave=16, root=str(tmp_path))
    again = load(save(method, tmp_path / "mbrcsl.ckpt"))
    assert_close(method.synthesize(Block(0, 0, 3)), again.synthesize(Block(0, 0, 3)))


def test_a_constant_column_stays_what_it_is():
    data = linear()
    data.observations[""][:, 1] = 0.5
    parts = (fit(part, data, 5, progress=False) for part in (WORLD_MODEL(), BEHAVIOUR()))
    made = MBRCSL(*parts, data, wave=16, **EVERYTHING).synthesize(Block(0, 0, 5))
    assert (made.observations[""][:, 1] == 0.5).all()


def test_goals_that_were_desired_go_along():
    data = walks()
    data = replace(data, rewards=data.observations["observation"][data.observation_rows, 0].clone())
    behaviour = BESO(net=BEHAVIOUR.keywords["net"], history=1, chunk=1, goal_dropout=0.0)
    parts = [fit(part, data, 5, progress=False) for part in (WORLD_MODEL(), behaviour)]
    made = MBRCSL(*parts, data, wave=16, **EVERYTHING).synthesize(Block(0, 0, 5))
    starts, goals = (made.observations[name][made.observation_starts] for name in ("observation", "desired_goal"))
    for start, goal in zip(starts, goals, strict=True):
        row = (data.observations["observation"].float() == start.float()).all(1).nonzero()[0, 0]
        assert torch.equal(data.observations["desired_goal"][row].float(), goal.float())


def test_bad_input_is_named(parts):
    model, behaviour = parts
    flat = replace(linear(), rewards=torch.full_like(linear().rewards, 2.0))
    with pytest.raises(ConfigurationError, match=r"All rewards in the data given are 2: .* nothing to surpass"):
        MBRCSL(model, behaviour, flat).synthesize(Block(0, 0, 2))
    with pytest.raises(
        ConfigurationError, match=r"The data set given has the observation space .* that of the world model"
    ):
        MBRCSL(model, behaviour, walks()).synthesize(Block(0, 0, 2))
    with pytest.raises(ConfigurationError, match="never fitted"):
        MBRCSL(model, BEHAVIOUR(), linear())
    for wrong in ({"quantile": 1.5}, {"slack": -1.0}, {"tries": 0}, {"wave": 0}, {"horizon": 0}):
        with pytest.raises(ConfigurationError):
            MBRCSL(model, behaviour, linear(), **wrong)
    with pytest.raises(ConditionError, match="does not understand the condition 'start'"):
        MBRCSL(model, behaviour, linear()).synthesize(Block(0, 0, 2), Conditions(start=torch.zeros(2, 2)))
    for length in (0, -5):
        with pytest.raises(ConfigurationError, match=f"at least one transition, not {length}"):
            MBRCSL(model, behaviour, linear()).synthesize(Block(0, 0, 2), length=length)
    with pytest.raises(ConfigurationError, match=r"Surpassing takes quantile.* not \{'quantil"):
        surpassing(model, {"guide": behaviour}, "toy/linear-v0", {"quantil": 1}, None)
    clone = fit(BC(net=partial(MLP, width=16)), linear(), 5, progress=False)
    for agents in ({}, {"guide": clone}, {"critic": behaviour}):
        with pytest.raises(ConfigurationError, match="a policy over windows that acts as they do"):
            surpassing(model, agents, "toy/linear-v0", {}, None)
