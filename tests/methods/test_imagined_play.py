"""Policies over windows, rolled out in a world model: their episodes are those of the policy itself."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.diffusion.noise import BlockNoise
from genrl.learners.bc import BC
from genrl.learners.beso import BESO
from genrl.learners.rvs import RvS
from genrl.methods.imagination import Imagination
from genrl.methods.imagined_futures import ImaginedFutures
from genrl.methods.imagined_play import ImaginedPlay, seeds_of
from genrl.methods.mbrcsl import MBRCSL
from genrl.methods.method import Block
from genrl.methods.steered import Guidance
from genrl.methods.world_model import WorldModel
from genrl.nets.mlp import MLP
from genrl.nets.policy_transformer import PolicyTransformer
from genrl.synthesis.generate import sample
from genrl.synthesis.lead import lead
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, WORLD_MODEL, linear, walks

NET = partial(PolicyTransformer, width=16, layers=1, heads=2)


def quickly(module, data):
    return fit(module, data, 5, progress=False)


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return quickly(WORLD_MODEL(), linear())


@pytest.fixture(scope="module", params=[0.1, 0.0], ids=["free", "goals"])
def player(request) -> BESO:
    return quickly(BESO(net=NET, history=3, chunk=2, goal_dropout=request.param), linear())


def wishes(count: int) -> Conditions:
    return Conditions(goal=torch.linspace(-1, 1, 2 * count).reshape(count, 2))


def test_the_actions_are_the_policys_own(model, player):
    """Against the policy as it acts in an environment that shows it the same observations."""
    play = ImaginedPlay(model, player, horizon=6)
    made = play.synthesize(Block(3, 1, 5), wishes(5))
    drawn = BlockNoise(3, 1)(0, torch.empty(5, 1 + model.learned.noise_dim))[:, :1]
    policy = player.policy(together=5)
    policy.reset(np.ones(5, bool), seeds_of(drawn))
    assert made.lengths.tolist() == [6] * 5
    seen, done = made.observations[""].view(5, 7, 2).numpy(), made.actions[""].view(5, 6, 1)
    for step in range(6):
        acted = policy.act(seen[:, step], wishes(5))
        torch.testing.assert_close(torch.from_numpy(acted), done[:, step], atol=1e-5, rtol=0)


def test_without_a_goal_it_is_free_or_refuses(model, player):
    play = ImaginedPlay(model, player, horizon=4)
    if player.goal_free:
        assert len(sample(play, 3, seed=0)) == 3
    else:
        with pytest.raises(ConditionError, match="give the condition 'goal'"):
            play.synthesize(Block(0, 0, 3))


def test_goals_that_were_desired_or_asked_for_are_followed_and_those_of_the_data():
    data = walks()
    world = quickly(WORLD_MODEL(), data)
    play = ImaginedPlay(world, quickly(BESO(net=NET, goal_dropout=0.0), data), horizon=4)
    desired = {tuple(goal) for goal in world.start_goals.tolist()}
    made = play.synthesize(Block(0, 0, 3)).observations["desired_goal"].float()
    assert {tuple(goal) for goal in made.tolist()} <= desired
    goal = torch.tensor([[0.5, 1.0], [-0.5, 1.0], [2.0, 0.0]])
    made = play.synthesize(Block(0, 0, 3), Conditions(goal=goal))
    assert torch.equal(made.observations["desired_goal"].float(), goal.repeat_interleave(made.lengths + 1, 0))
    free = ImaginedPlay(world, quickly(BESO(net=NET, goal_length=0), data), horizon=4).synthesize(Block(0, 0, 3))
    ends = free.observations["achieved_goal"][free.observation_starts + free.lengths]
    assert torch.equal(free.observations["desired_goal"][free.observation_starts], ends)


def test_blocks_do_not_depend_on_the_batch_and_survive_a_checkpoint(model, player, tmp_path):
    play = ImaginedPlay(model, player, horizon=4, execute=1)
    whole = play.synthesize(Block(0, 0, 6), wishes(6))
    parts = play.synthesize(Block(0, 0, 6), wishes(6), batch_size=4)
    torch.testing.assert_close(parts.actions[""], whole.actions[""], atol=1e-5, rtol=0)
    again = load(save(play, tmp_path / "play.ckpt")).synthesize(Block(0, 0, 6), wishes(6))
    assert torch.equal(again.actions[""], whole.actions[""])


def test_bad_goals_and_horizons_are_refused(model, player):
    with pytest.raises(ConditionError, match=r"must be \(3, 2\)"):
        ImaginedPlay(model, player).synthesize(Block(0, 0, 3), Conditions(goal=torch.zeros(3, 5)))
    near = walks(bound=20.0)
    play = ImaginedPlay(quickly(WORLD_MODEL(), near), quickly(BESO(net=NET), near))
    with pytest.raises(ConditionError, match="'goal' lies outside the observation space at 'achieved_goal' in row 0"):
        play.synthesize(Block(0, 0, 1), Conditions(goal=torch.full((1, 2), 20.1)))
    with pytest.raises(ConfigurationError, match="at least one transition"):
        ImaginedPlay(model, player, horizon=0)


def test_a_world_model_is_led_by_either_kind_of_policy_and_a_diffusion_model_by_one(model, player):
    assert isinstance(lead(model, {"guide": player}, Guidance()), ImaginedPlay)
    reactive = quickly(BC(net=partial(MLP, width=16)), linear())
    assert type(lead(model, {"guide": reactive}, Guidance())) is Imagination
    with pytest.raises(ConfigurationError, match="cannot lead a diffusion model"):
        lead(quickly(METHODS["trajectory-mlp"](), linear()), {"guide": player}, Guidance())


def test_whole_numbers_are_remembered_as_they_are_carried_out():
    """And states of whole numbers are gone on from as they are seen."""
    rng = np.random.default_rng(0)
    data = from_arrays(
        list(rng.integers(-3, 4, (30, 9, 1))),
        list(rng.integers(0, 6, (30, 8, 1))),
        list(rng.normal(size=(30, 8))),
        observation_space=gym.spaces.Box(-9, 9, (1,), np.int64),
        action_space=gym.spaces.Box(0, 5, (1,), np.int64),
    )
    model, player = quickly(WORLD_MODEL(), data), fit(BESO(net=NET, history=3, goal_length=0), data, 60, progress=False)
    made = ImaginedPlay(model, player, horizon=6).synthesize(Block(3, 1, 16))
    assert made.lengths.tolist() == [6] * 16
    policy = player.policy(together=16)
    policy.reset(
        np.ones(16, bool), seeds_of(BlockNoise(3, 1)(0, torch.empty(16, 1 + model.dynamics().noise_dim))[:, :1])
    )
    seen, done = made.observations[""].view(16, 7, 1).numpy(), made.actions[""].view(16, 6, 1)
    assert all(torch.equal(torch.from_numpy(policy.act(seen[:, step])), done[:, step]) for step in range(6))


def test_policies_of_another_kind_are_refused_by_name(model, player):
    bc = quickly(BC(net=partial(MLP, width=8)), linear())
    rvs = quickly(RvS(net=partial(MLP, width=8)), linear())
    for refused, words in (
        (lambda: ImaginedPlay(model, bc), "ImaginedPlay takes a policy over windows .* not a BC"),
        (lambda: Imagination(model, rvs), "Imagination takes a learner that acts on the present state .* not a RvS"),
        (lambda: ImaginedFutures(model, player), "ImaginedFutures takes a learner of latent futures, .* not a BESO"),
        (lambda: MBRCSL(model, bc, linear()), "MBRCSL takes a policy over windows .* not a BC"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            refused()
