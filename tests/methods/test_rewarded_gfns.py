"""GFlowNets fitted to a reward, against exact sums over all trajectories of small environments."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback

import genrl
from genrl.data.conditions import Conditions
from genrl.data.construction import Game, Uniform
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError, ConfigurationError, OracleError
from genrl.data.setting import Setting
from genrl.gflownets.balances import DB, TB, SubTB
from genrl.gflownets.exact import StateSpace, table, total_variation
from genrl.gflownets.objects import ObjectSet
from genrl.gflownets.outcomes import OutcomeModel
from genrl.gflownets.rewards import BitModes, Constant, GridModes
from genrl.methods.amortised_gfn import AmortisedGFN
from genrl.methods.flow_network import FlowNetwork
from genrl.methods.method import Block
from genrl.methods.ocgfn import OCGFN
from genrl.methods.rewarded_gfn import RewardedGFN
from genrl.nets.mlp import MLP
from tests.methods.toy_methods import assert_close

GRID = {"settings": {"ndim": 2, "height": 3, "validate_modes": False}}
TWO = GridModes(3, corners=[[0, 0], [1, 1]], R1=1.0, R2=0.0)
NARROW = partial(MLP, width=64, layers=2)


def data(**settings: Any) -> Episodes:
    name = "genrl/hypergrid-v0" if "ndim" in settings["settings"] else "genrl/bits-v0"
    env = genrl.make_env(name, settings)
    return genrl.collect(name, Uniform.for_env(env), 256, seed=0, env_options=settings)


@pytest.fixture(scope="module")
def grid() -> Episodes:
    return data(**GRID)


def short(module: RewardedGFN, episodes: Episodes, steps: int) -> RewardedGFN:
    return genrl.fit(module, episodes, steps, batch_size=48, val_fraction=0.0, progress=False)


def distance(method: RewardedGFN) -> float:
    """Total variation from the reward's distribution."""
    space, game = StateSpace.of(method.game.env), method.game
    drawn = space.spread(table(space, game.env, method.policy))
    return total_variation(drawn, method.game.rewards(space.objects))


@pytest.mark.parametrize("balance", [TB, DB, SubTB])
def test_a_network_from_scratch_comes_to_the_distribution_of_the_reward(grid, balance):
    fitted = short(FlowNetwork(balance, NARROW, TWO, lr=5e-3), grid, 100 if balance is TB else 140)
    fresh = FlowNetwork(balance, NARROW, TWO)
    fresh.prepare(grid)
    assert distance(fitted) < 0.03 < 0.15 < distance(fresh)
    assert int(fitted.asked.asked) <= 9


def test_rewards_that_were_asked_for_stay_so_when_a_fit_returns_to_its_best_weights(grid):
    class Spy(Callback):
        def on_train_end(self, trainer, pl_module) -> None:
            self.asked = int(pl_module.asked.asked)

    spy, held = Spy(), {"val_fraction": 0.2, "val_every": 5, "patience": 2, "progress": False}
    big = data(settings={"ndim": 2, "height": 16, "validate_modes": False})
    fitted = genrl.fit(FlowNetwork(TB, NARROW, lr=0.3), big, 60, batch_size=8, callbacks=[spy], **held)
    assert int(fitted.asked.asked) == spy.asked > 0
    assert len(fitted.asked) == spy.asked


@pytest.fixture(scope="module")
def ocgfn(grid) -> OCGFN:
    return genrl.fit(
        OCGFN(NARROW, explorer=None, teleport=0.0, lr=4e-3),
        grid,
        150,
        batch_size=64,
        val_fraction=0.0,
        progress=False,
    )


@pytest.fixture(scope="module")
def amortised(grid, ocgfn) -> AmortisedGFN:
    return short(AmortisedGFN(ocgfn, NARROW, TWO, lr=5e-3), grid, 150)


def test_amortised_sums_come_near_the_distribution_of_the_reward(amortised, grid, ocgfn):
    fresh = AmortisedGFN(ocgfn, NARROW, TWO)
    fresh.prepare(grid)
    assert distance(amortised) < 0.1 < 0.15 < distance(fresh)


def test_the_pre_trained_part_is_not_trained(amortised, ocgfn, grid):
    before = {name: value.clone() for name, value in ocgfn.state_dict().items()}
    short(AmortisedGFN(ocgfn, NARROW, TWO), grid, 3)
    assert all(torch.equal(value, before[name]) for name, value in ocgfn.state_dict().items())
    assert not any(parameter.requires_grad for parameter in ocgfn.parameters())


def test_it_goes_on_from_one_reward_to_another(ocgfn, grid):
    """Weights go along, queries do not; a constant reward asks for nothing that would cost."""
    even = short(AmortisedGFN(ocgfn, NARROW, Constant()), grid, 30)
    turned = even.turned_to(TWO)
    assert all(torch.equal(value, dict(turned.n.named_parameters())[name]) for name, value in even.n.named_parameters())
    assert int(turned.asked.asked) == 0
    assert distance(short(turned, grid, 60)) < distance(even.turned_to(TWO))


def test_probabilities_of_outcomes_sum_to_one(amortised):
    """Over all outcomes, and the draws come as often as they say."""
    q: OutcomeModel = amortised.q
    outcomes = StateSpace.of(amortised.game.env).objects
    state, action = torch.tensor([[1, 1]]), torch.tensor([0])
    p = q.log_prob(outcomes, state.expand(9, -1), action.expand(9)).exp()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0), rtol=1e-5, atol=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = q.sample(state.expand(20_000, -1), action.expand(20_000))
    share = (drawn[:, None] == outcomes).all(-1).float().mean(0)
    assert float((share - p).abs().sum() / 2) < 0.03


@pytest.mark.parametrize("kind", ["flow", "amortised"])
def test_a_block_is_its_seed_and_index_whatever_the_batch_size(kind, amortised, grid):
    method = amortised if kind == "amortised" else short(FlowNetwork(TB, NARROW, TWO), grid, 5)
    once = method.synthesize(Block(0, 0, 7))
    for size in (1, 3, 100):
        assert_close(once, method.synthesize(Block(0, 0, 7), batch_size=size), atol=1e-5)
    assert not torch.equal(once.actions[""], method.synthesize(Block(0, 1, 7)).actions[""])
    last = once.transition_starts + once.lengths - 1
    objects = once.observations[""][once.observation_starts + once.lengths]
    torch.testing.assert_close(once.rewards[last].double(), TWO(objects), rtol=1e-6, atol=0)
    with pytest.raises(ConditionError, match="does not understand the condition 'outcome'"):
        method.synthesize(Block(0, 0, 2), Conditions(outcome=torch.zeros(2, 2)))
    with pytest.raises(ConfigurationError, match="leave the length out"):
        method.synthesize(Block(0, 0, 2), length=3)


@pytest.mark.parametrize("kind", ["flow", "amortised"])
def test_a_checkpoint_brings_back_policy_reward_and_what_was_asked(kind, amortised, grid, tmp_path):
    method = amortised if kind == "amortised" else short(FlowNetwork(SubTB, NARROW, TWO, replay=0.5), grid, 5)
    back = genrl.load(genrl.save(method, tmp_path / "model.ckpt"))
    assert back.reward == TWO
    assert int(back.asked.asked) == int(method.asked.asked) > 0
    assert_close(method.synthesize(Block(3, 0, 9)), back.synthesize(Block(3, 0, 9)))


def test_what_is_made_says_which_reward_it_was_made_for(amortised):
    made = genrl.sample(amortised, 5, seed=0)
    assert Game.of(made.card).reward == TWO


def test_a_set_tells_exact_probabilities_where_there_is_one_way_to_an_object():
    bits = data(settings={"word_size": 2, "seq_size": 8, "n_modes": 1})
    method = short(FlowNetwork(TB, NARROW, BitModes(["01101100"], word=2), lr=5e-3), bits, 60)
    found = ObjectSet.of(method.synthesize(Block(0, 0, 400)))
    space = StateSpace.of(method.game.env)
    exact = space.spread(table(space, method.game.env, method.policy))
    which = (found.objects[:, None] == space.objects).all(-1).float().argmax(1)
    torch.testing.assert_close(found.log_probabilities.exp(), exact[which], rtol=1e-4, atol=0)
    assert found.objects[0].tolist() == [1, 2, 3, 0]
    assert int(found.counts.sum()) == 400
    assert torch.equal(found.rewards, found.rewards.sort(descending=True).values)


@dataclass(frozen=True)
class Broken(Setting):
    """Fails for one object."""

    def __call__(self, objects: torch.Tensor) -> torch.Tensor:
        if bool((objects == 2).all(1).any()):
            raise RuntimeError("the laboratory is closed")
        return torch.ones(len(objects))


def test_bad_input_is_refused_by_name(grid, ocgfn):
    with pytest.raises(OracleError, match="the laboratory is closed"):
        short(FlowNetwork(TB, NARROW, Broken()), grid, 50)
    with pytest.raises(ConfigurationError, match="frozen dataclass"):
        short(FlowNetwork(TB, NARROW, lambda objects: torch.ones(len(objects))), grid, 1)
    for wrong in ({"epsilon": 2.0}, {"replay": 1.0}, {"queries": 0}):
        with pytest.raises(ConfigurationError, match="share from 0 to 1"):
            FlowNetwork(TB, NARROW, TWO, **wrong)
    with pytest.raises(ConfigurationError, match="hindsight is a share"):
        AmortisedGFN(ocgfn, NARROW, TWO, hindsight=2.0)
    with pytest.raises(ConfigurationError, match="fit or load it first"):
        AmortisedGFN(OCGFN(), NARROW, TWO)
    other = data(settings={"ndim": 2, "height": 5, "validate_modes": False})
    with pytest.raises(ConfigurationError, match="environment that it was fitted to"):
        short(AmortisedGFN(ocgfn, NARROW, TWO), other, 1)
