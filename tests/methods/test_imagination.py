"""Rollouts of a policy in a world model: what it does, where it starts, where it stops, and how it is stored."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.store import load as load_data
from genrl.learners.bc import BC
from genrl.learners.gcbc import GCBC
from genrl.learners.iql import IQL
from genrl.learners.td3bc import TD3BC
from genrl.methods.imagination import Imagination
from genrl.methods.method import Block
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.nets.mlp import MLP
from genrl.synthesis.generate import Plan, sample
from genrl.synthesis.synthesize import synthesize
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import WORLD_MODEL, assert_close, equal_weights, line, linear, walks

SMALL = partial(MLP, width=16)
POLICIES = {
    "bc": partial(BC, net=SMALL),
    "td3bc": partial(TD3BC, actor_net=SMALL, critic_net=SMALL),
    "iql": partial(IQL, actor_net=SMALL, critic_net=SMALL, value_net=SMALL),
}


def quickly(module, data):
    return fit(module, data, 5, progress=False)


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return quickly(WORLD_MODEL(), linear())


@pytest.fixture(scope="module", params=POLICIES.values(), ids=POLICIES.keys())
def imagination(model, request) -> Imagination:
    return Imagination(model, quickly(request.param(), linear()), horizon=6)


def test_without_disagreement_the_same_episodes_come_without_it(imagination):
    terse = Imagination(imagination.world_model, imagination.policy, 6, disagreement=False)
    got, expected = terse.synthesize(Block(0, 0, 20)), imagination.synthesize(Block(0, 0, 20))
    assert got.infos == {}
    assert_close(got, replace(expected, infos={}), atol=1e-4)


def test_the_actions_are_the_policys_own(imagination):
    """Against the policy as it acts in an environment."""
    mode = Imagination(imagination.world_model, imagination.policy, 6, stochastic=False)
    made = mode.synthesize(Block(0, 0, 5))
    states = made.observations[""][made.observation_rows].numpy()
    acted = torch.from_numpy(imagination.policy.policy().act(states, deterministic=True))
    torch.testing.assert_close(made.actions[""], acted, atol=1e-5, rtol=0)
    drawn = imagination.synthesize(Block(0, 0, 5)).actions[""]
    assert torch.equal(drawn, made.actions[""]) != imagination.policy.stochastic


def test_actions_are_drawn_from_the_policys_gaussian(model):
    policy = quickly(POLICIES["iql"](), linear())
    with torch.no_grad():
        policy.log_std.fill_(-2.0)
    start = torch.tensor([0.3, -0.2]).expand(4000, 2)
    made = Imagination(model, policy).synthesize(Block(0, 0, 4000), Conditions(start=start), length=1)
    error = made.actions[""] - policy.mean(start)
    torch.testing.assert_close(error.std(), torch.tensor(-2.0).exp(), rtol=0.05, atol=0)
    torch.testing.assert_close(error.mean(), torch.tensor(0.0), atol=0.01, rtol=0)


def test_rollouts_begin_at_the_kept_states(imagination):
    made = imagination.synthesize(Block(0, 0, 40))
    kept = {tuple(row) for row in imagination.world_model.start_states.tolist()}
    first = made.observations[""][made.observation_starts]
    assert {tuple(row) for row in first.tolist()} <= kept
    assert len(first.unique(dim=0)) > 20


def test_the_length_is_the_horizon_or_what_is_asked_for(imagination):
    assert imagination.synthesize(Block(0, 0, 3)).lengths.tolist() == [6] * 3
    made = imagination.synthesize(Block(0, 0, 3), length=50)
    assert made.lengths.tolist() == [50] * 3
    assert made.truncations.sum() == 3
    assert not made.terminations.any()
    assert_close(
        made.select([0]), imagination.synthesize(Block(0, 0, 1), length=50), atol=1e-5
    )  # a row is the same in any batch


def test_it_ends_where_the_model_does():
    model = fit(WorldModel(net=partial(EnsembleMLP, width=32, layers=2), lr=3e-3), line(), 400, progress=False)
    made = Imagination(model, quickly(BC(net=SMALL), line()), 30).synthesize(Block(0, 0, 200))
    assert made.terminations.sum() == 200
    ends = made.observations[""][made.observation_starts + made.lengths]
    inside = torch.ones(len(made.observations[""]), dtype=torch.bool)
    inside[made.observation_starts + made.lengths] = False
    assert (ends > 0.97).float().mean() > 0.95
    assert (made.observations[""][inside] < 1.03).float().mean() > 0.99


def test_columns_that_never_changed_keep_their_start():
    data = linear()
    data.observations[""][:, 1] = 0.5
    made = Imagination(quickly(WORLD_MODEL(), data), quickly(BC(net=SMALL), data)).synthesize(
        Block(0, 0, 4), Conditions(start=torch.tensor([[0.1, 0.5], [0.2, 0.5], [0.3, 0.7], [0.4, 0.9]])), length=3
    )
    assert torch.equal(
        made.observations[""][:, 1].reshape(4, 4), torch.tensor([[0.5], [0.5], [0.7], [0.9]]).expand(4, 4)
    )


def test_how_far_the_members_are_apart_is_told(imagination):
    made = imagination.synthesize(Block(0, 0, 4))
    told = made.infos["disagreement"]
    assert told.shape == (24,)
    ensemble = imagination.world_model.ensemble
    states, actions = made.observations[""][made.observation_rows], made.actions[""]
    again = ensemble.step(states, actions, torch.zeros(24, ensemble.noise_dim)).info["disagreement"]
    torch.testing.assert_close(told, again, atol=1e-5, rtol=0)


# goals


class Watched(nn.Module):
    """A policy that remembers what it saw."""

    stochastic = False

    def __init__(self, spec) -> None:
        super().__init__()
        self.spec, self.seen = spec, []
        self.observer = SimpleNamespace(dim=5, normalize=lambda columns: columns)

    def forward(self, observations):
        self.seen.append(observations)
        return observations[:, :2]

    def decide(self, outputs, uniform):
        return {"": outputs.clamp(-1, 1)}


def test_the_policy_sees_the_goal_of_its_start_all_along_and_so_do_the_data():
    model = quickly(WORLD_MODEL(), walks())
    policy = Watched(model.spec)
    made = Imagination(model, policy).synthesize(Block(0, 0, 6), length=4)
    seen = torch.stack(policy.seen)  # (T, B, S + G)
    pairs = {tuple(row) for row in torch.cat((model.start_states, model.start_goals), -1).tolist()}
    assert {tuple(row) for row in seen[0].tolist()} <= pairs
    assert torch.equal(seen[..., 3:], seen[:1, :, 3:].expand(4, 6, 2))
    torch.testing.assert_close(
        seen[..., :3].transpose(0, 1).flatten(0, 1), made.observations["observation"][made.observation_rows].float()
    )
    pursued = seen[0, :, 3:].repeat_interleave(made.lengths + 1, 0)
    assert torch.equal(made.observations["desired_goal"].float(), pursued)


def test_a_policy_that_learned_goals_in_hindsight_may_act():
    data = walks()
    made = Imagination(quickly(WORLD_MODEL(), data), quickly(GCBC(net=SMALL), data)).synthesize(Block(0, 0, 3))
    assert len(made) == 3


# divergence


def exploding(model: WorldModel, rows: float) -> Imagination:
    """A model in which a share of the data's range is out of bounds."""
    narrow = load_copy(model)
    narrow.high[0] = narrow.start_states[:, 0].quantile(rows)
    return Imagination(narrow, quickly(BC(net=SMALL), linear()), horizon=6)


def load_copy(model: WorldModel) -> WorldModel:
    again = WORLD_MODEL()
    again.assemble(model.spec)
    again.load_state_dict(model.state_dict())
    return again.requires_grad_(False)


def test_rollouts_that_leave_the_data_are_cut_off_and_named(model):
    some = exploding(model, 0.8)
    with pytest.warns(
        UserWarning, match=r"\d+ of 50 rollouts left the range of the data .*\(rows \d+, .*fit the world"
    ):
        made = some.synthesize(Block(0, 0, 50))
    assert 10 < len(made) < 50  # those that never took a step are left out
    assert made.lengths.min() < 6
    first = torch.ones(len(made.observations[""]), dtype=torch.bool)
    first[made.observation_starts] = False
    assert (made.observations[""][first, 0] <= some.world_model.high[0]).all()
    assert made.truncations.sum() == len(made)


def test_rows_keep_their_names_in_any_batch(model):
    some = exploding(model, 0.8)

    def named(batch_size: int) -> set[str]:
        with pytest.warns(UserWarning, match="rollouts left") as told:
            some.synthesize(Block(0, 0, 12), batch_size=batch_size)
        lists = [str(each.message).partition("(rows ")[2].partition(")")[0] for each in told]
        return {row for rows in lists for row in rows.split(", ")}

    assert named(12) == named(3) == named(1)


def test_where_nothing_takes_a_step_it_says_so(model):
    with (
        pytest.raises(ConfigurationError, match="Not one rollout took a single step"),
        pytest.warns(UserWarning, match="20 of 20"),
    ):
        exploding(model, 0.0).synthesize(Block(0, 0, 20), Conditions(start=torch.full((20, 2), 3.0)))


# storing and writing


def test_a_checkpoint_holds_both_parts(imagination, tmp_path):
    again = load(save(imagination, tmp_path / "both.ckpt"))
    assert equal_weights(imagination, again)
    assert again.configuration() == imagination.configuration()
    assert_close(again.synthesize(Block(0, 0, 5)), imagination.synthesize(Block(0, 0, 5)))


def test_a_data_set_is_the_same_from_two_processes(model, tmp_path):
    imagination = Imagination(model, quickly(POLICIES["iql"](), linear()), horizon=5)
    plan = Plan(7, seed=3, block_size=3)
    for name, processes in (("one-v0", 1), ("two-v0", 2)):
        synthesize(imagination, name, plan, root=tmp_path, processes=processes, progress=False)
    one, two = (load_data(name, tmp_path) for name in ("one-v0", "two-v0"))
    assert_close(one, two)
    assert torch.equal(one.infos["disagreement"], two.infos["disagreement"])
    first = sample(imagination, 7, 3).observations[""][0]
    assert torch.equal(first, one.observations[""][0])
    assert one.card.algorithm_name == "Imagination"


# refusals


def test_parts_that_do_not_belong_together_are_refused(model):
    policy = quickly(BC(net=SMALL), linear())
    with pytest.raises(ConfigurationError, match="WorldModel was never fitted"):
        Imagination(WORLD_MODEL(), policy)
    with pytest.raises(ConfigurationError, match="BC was never fitted"):
        Imagination(model, BC())
    with pytest.raises(ConfigurationError, match="fit both to data of one environment"):
        Imagination(model, quickly(BC(net=SMALL), walks()))
    with pytest.raises(ConfigurationError, match="sees 4 columns of state and goal, the world model's data have 2"):
        Imagination(model, quickly(GCBC(net=SMALL), linear()))
    with pytest.raises(ConfigurationError, match="at least one transition"):
        Imagination(model, policy, horizon=0)
    with pytest.raises(ConfigurationError, match="Imagination has nothing to fit"):
        fit(Imagination(model, policy), linear(), 3, progress=False)


def test_bad_wishes_are_refused(imagination):
    with pytest.raises(ConfigurationError, match="at least one transition"):
        imagination.synthesize(Block(0, 0, 3), length=0)
    with pytest.raises(ConditionError, match="does not understand the condition 'goal'"):
        imagination.synthesize(Block(0, 0, 3), Conditions(goal=torch.zeros(3, 2)))


def test_a_card_is_that_of_the_models_data(imagination):
    spec = imagination.world_model.spec
    assert imagination.spec is spec
    assert sample(imagination, 2).card == replace(
        spec.card, algorithm_name="Imagination", description="Synthetic episodes by Imagination, trained on own data."
    )
