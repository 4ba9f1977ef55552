"""Sampling beside torchgfn's own sampler, and draws that belong to their row."""

import pytest
import torch
from gfn.samplers import Sampler

from genrl.diffusion.noise import BlockNoise
from genrl.gflownets.estimators import conditional_policy, policy
from genrl.gflownets.explorer import NET
from genrl.gflownets.replay import Replay, actions_of
from genrl.gflownets.sampler import BlockDraw, replayed, sample, terminal
from tests.gflownets.games import IDS, game


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
@pytest.mark.parametrize("env", IDS)
def test_it_draws_what_torchgfn_draws(env, epsilon):
    own = game(env)
    pf = policy(own, NET)
    torch.manual_seed(3)
    theirs = Sampler(pf).sample_trajectories(own.env, n=50, epsilon=epsilon)
    torch.manual_seed(3)
    ours = sample(own.env, pf, 50, epsilon=epsilon)
    assert torch.equal(ours.states.tensor, theirs.states.tensor)
    assert torch.equal(ours.actions.tensor, theirs.actions.tensor)
    assert torch.equal(ours.terminating_idx, theirs.terminating_idx)
    assert torch.equal(terminal(ours), theirs.terminating_states.tensor)


def test_conditions_stay_with_their_rows():
    own = game()
    pf, conditions = conditional_policy(own, NET), torch.randn(30, own.outcome_columns)
    torch.manual_seed(3)
    theirs = Sampler(pf).sample_trajectories(own.env, n=30, conditions=conditions)
    torch.manual_seed(3)
    ours = sample(own.env, pf, 30, conditions)
    assert torch.equal(ours.actions.tensor, theirs.actions.tensor)
    assert torch.equal(ours.states.conditions, theirs.states.conditions)


@pytest.mark.parametrize("env", IDS)
def test_actions_lead_through_the_same_states_again(env):
    own = game(env)
    made = sample(own.env, policy(own, NET), 40)
    again = replayed(own.env, actions_of(made))
    assert torch.equal(again.states.tensor, made.states.tensor)
    assert torch.equal(again.actions.tensor, made.actions.tensor)
    assert torch.equal(again.terminating_idx, made.terminating_idx)


def test_draws_belong_to_their_row():
    own = game()
    pf = policy(own, NET)
    noise = BlockNoise(0, 0)
    whole = actions_of(sample(own.env, pf, 20, draw=BlockDraw(noise, 20)))
    torch.manual_seed(8)
    part = actions_of(sample(own.env, pf, 7, draw=BlockDraw(noise.part(5), 7)))
    assert torch.equal(part, whole[5:12, : part.shape[1]])


def test_draws_follow_the_distribution():
    own = game()
    pf = policy(own, NET)
    first = actions_of(sample(own.env, pf, 20_000, draw=BlockDraw(BlockNoise(1, 0), 20_000)))[:, 0]
    states = own.env.reset((1,))
    expected = pf.to_probability_distribution(states, pf(states)).probs[0]
    found = first.bincount(minlength=3) / len(first)
    torch.testing.assert_close(found, expected.detach(), atol=0.012, rtol=0)


def test_the_oldest_make_room():
    own = game()
    replay = Replay(own, 5)
    paths = [torch.tensor([[0] * k + [2]]) for k in range(4)]
    for path in [*paths, *paths]:
        replay.add(path)
    assert len(replay) == 5
    assert sorted(replay.objects()[:, 0].tolist()) == [0, 1, 2, 3, 3]
    assert set(replayed(own.env, replay.draw(50)).terminating_states.tensor[:, 0].tolist()) <= {0, 1, 2, 3}
