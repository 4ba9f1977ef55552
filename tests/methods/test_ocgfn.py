"""OC-GFN on a grid of sixteen cells, where everything can be summed exactly."""

from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from benchmarks.ocgfn_ablations import PositivesOnly
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.construction import Uniform
from genrl.data.environments import make_env
from genrl.data.errors import ConditionError, ConfigurationError, OutOfSpaceError, UnsupportedSpaceError
from genrl.data.store import load as load_dataset
from genrl.data.verify import verify
from genrl.gflownets.exact import StateSpace, table, total_variation
from genrl.gflownets.sampler import terminal
from genrl.methods.converted_gfn import ConvertedGFN
from genrl.methods.method import Block
from genrl.methods.ocgfn import OCGFN
from genrl.nets.mlp import MLP
from genrl.synthesis.generate import Plan
from genrl.synthesis.synthesize import synthesize
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.gflownets.games import built
from tests.methods.toy_methods import linear

NET = partial(MLP, width=64, layers=3)


def pretrained(kind=OCGFN, steps=150) -> OCGFN:
    model = kind(NET, teleport=0.0, lr=8e-3)
    return fit(model, built(), steps, batch_size=48, val_fraction=0.0, progress=False)


@pytest.fixture(scope="module")
def model() -> OCGFN:
    return pretrained()


def success(model: OCGFN) -> torch.Tensor:
    space = StateSpace.of(model.game.env)
    asked = model.game.encode_outcome(space.objects)
    return space.spread(table(space, model.game.env, model.balance.pf, asked)).diagonal()


def test_it_builds_what_it_is_asked_for(model):
    assert success(model).mean() > 0.85


def test_without_its_own_failures_it_ignores_the_outcome():
    """Positives alone are balanced perfectly by a network that draws all objects evenly, whatever is asked for."""
    blind = pretrained(PositivesOnly, steps=60)
    assert success(blind).mean() < 0.3


def test_turned_to_a_reward_it_draws_in_proportion(model):
    converted = ConvertedGFN(model)
    goal = converted.game.rewards(converted.space.objects)
    assert total_variation(converted.probabilities(), goal) < 0.1
    assert total_variation(torch.ones_like(goal), goal) > 0.2
    made = converted.synthesize(Block(0, 0, 4000))
    x = made.observations[""][made.observation_starts + made.lengths]
    counts = (x[:, None] == converted.space.objects).all(-1).double().mean(0)
    assert total_variation(counts, converted.probabilities()) < 0.05


def test_the_sum_over_outcomes_is_as_written(model):
    """pi_r(s'|s) = sum_y r(y) F(s|y) P_F(s'|s, y) / sum_y r(y) F(s|y), one state and outcome at a time."""
    converted = ConvertedGFN(model)
    space, env, balance = converted.space, model.game.env, model.balance
    found = table(space, env, converted.policy)
    rewards = model.game.rewards(space.objects)
    for row in (0, 5, 9):
        state, above, below = env.states_from_tensor(space.states[row : row + 1]), 0.0, 0.0
        for y, r in zip(space.objects, rewards, strict=True):
            asked = model.game.encode_outcome(y[None])
            flow = r * balance.logF(state, asked).exp().double().squeeze()
            pf = balance.pf.to_probability_distribution(state, balance.pf(state, asked)).probs[0].double()
            above, below = above + flow * pf, below + flow
        torch.testing.assert_close(found[row].double(), above / below, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("make", [lambda model: model, ConvertedGFN], ids=["ocgfn", "converted"])
def test_a_block_is_its_seed_and_index_whatever_the_batch(model, make):
    method = make(model)
    once = method.synthesize(Block(0, 0, 30))
    torch.manual_seed(9)
    for again in (method.synthesize(Block(0, 0, 30)), method.synthesize(Block(0, 0, 30), batch_size=7)):
        assert torch.equal(again.actions[""], once.actions[""])
        torch.testing.assert_close(again.infos["log_pf"], once.infos["log_pf"], atol=1e-5, rtol=0)
    for other in (Block(1, 0, 30), Block(0, 1, 30)):
        assert not torch.equal(method.synthesize(other).lengths, once.lengths)


def test_episodes_are_like_those_of_the_data(model, tmp_path):
    wanted = torch.tensor([[3, 2], [0, 0], [1, 3]]).repeat(40, 1)
    synthesize(model, "grid/asked-v0", Plan(120, conditions=Conditions(outcome=wanted)), root=tmp_path)
    verify("grid/asked-v0", root=tmp_path)
    made = load_dataset("grid/asked-v0", root=tmp_path)
    x = made.observations[""][made.observation_starts + made.lengths]
    assert (x == wanted).all(1).double().mean() > 0.7
    assert torch.equal(made.infos["outcome"][made.transition_starts], wanted)
    torch.testing.assert_close(made.returns, model.game.rewards(x))
    assert made.observation_space == built().observation_space


def test_a_checkpoint_brings_everything_back(model, tmp_path):
    again = load(save(model, tmp_path / "model.ckpt"))
    assert torch.equal(again.examples.actions, model.examples.actions)
    assert torch.equal(again.synthesize(Block(0, 0, 20)).actions[""], model.synthesize(Block(0, 0, 20)).actions[""])


def test_a_killed_fit_ends_with_the_same_bits(tmp_path):
    """Weights, replay and draws: the second half goes on where the first stopped."""
    how = {"batch_size": 16, "val_fraction": 0.0, "progress": False, "enable_checkpointing": True}
    whole = fit(OCGFN(), built(), 20, val_every=5, default_root_dir=tmp_path / "whole", **how)
    keep = ModelCheckpoint(tmp_path, filename="half", every_n_epochs=2, save_top_k=-1)
    fit(OCGFN(), built(), 20, val_every=5, callbacks=[keep], default_root_dir=tmp_path / "first", **how)
    second = OCGFN()
    resumed = fit(second, built(), 20, val_every=5, ckpt_path=tmp_path / "half.ckpt", default_root_dir=tmp_path, **how)
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_the_data_alone_can_be_the_examples():
    own = fit(OCGFN(explorer=None), built(), 3, batch_size=8, val_fraction=0.2, progress=False)
    assert own.exploration is None
    assert len(own.asked(torch.tensor([[1, 1]]))) == 1


def test_the_way_back_can_be_learned():
    own = fit(OCGFN(NET, NET, teleport=0.0), built(), 3, batch_size=8, val_fraction=0.2, progress=False)
    states = own.game.env.states_from_tensor(torch.tensor([[1, 2], [0, 3]]))
    asked = own.game.encode_outcome(torch.tensor([[3, 3], [3, 3]]))
    back = own.balance.pb.to_probability_distribution(states, own.balance.pb(states, asked)).probs
    torch.testing.assert_close(back.sum(1), torch.ones(2))
    assert back[1].tolist() == [0.0, 1.0]  # at the edge there is one parent
    assert back[0, 0] not in (0.0, 0.5, 1.0)


def test_strings_are_built_too():
    own = fit(OCGFN(), built("genrl/bits-v0"), 3, batch_size=8, val_fraction=0.2, progress=False)
    assert terminal(own.asked(torch.ones(5, 8, dtype=torch.int64))).shape == (5, 8)


def test_bad_wishes_are_named(model):
    with pytest.raises(
        OutOfSpaceError, match=r"The outcome \(4, 0\) is outside the environment: entries go from 0 to 3"
    ):
        model.synthesize(Block(0, 0, 1), Conditions(outcome=torch.tensor([[4, 0]])))
    with pytest.raises(ConditionError, match="OCGFN does not understand the condition 'goal'"):
        model.synthesize(Block(0, 0, 1), Conditions(goal=torch.zeros(1, 2)))
    with pytest.raises(ConfigurationError, match="leave the length out"):
        model.synthesize(Block(0, 0, 1), length=4)
    with pytest.raises(ConfigurationError, match="keeps at least one example"):
        OCGFN(replay=0)
    with pytest.raises(ConfigurationError, match="anneal holds two shares"):
        OCGFN(anneal=(0.8, 0.5))
    with pytest.raises(UnsupportedSpaceError, match="does not take observations of the kind"):
        fit(OCGFN(), linear(), 1, progress=False)
    with pytest.raises(ConfigurationError, match="made of a fitted OCGFN"):
        ConvertedGFN(OCGFN())


def test_several_data_sets_with_objects_of_unequal_lengths_are_learned_from_together():
    own = fit(
        OCGFN(NET, explorer=None), [built(), built(seed=1)[:3]], 3, batch_size=8, val_fraction=0.2, progress=False
    )
    assert own.examples.actions.shape[1] == own.game.longest


def test_actions_beyond_16_bits_are_kept():
    options = {"settings": {"word_size": 16, "seq_size": 32, "n_modes": 2}}
    env = make_env("genrl/bits-v0", options)
    data = collect("genrl/bits-v0", Uniform.for_env(env), 6, 0, env_options=options)
    own = OCGFN(net=partial(MLP, width=2, layers=1), explorer=None, replay=8)
    own.prepare(data)
    assert own.examples.actions[:6].flatten().tolist() == data.actions[""].tolist()
