"""Relays against their members, and turns against the geometric distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from scipy import stats

from genrl.data.bandit import Misled
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.errors import ConfigurationError
from genrl.data.policies import CallablePolicy, RandomPolicy
from genrl.data.relay import Relay
from genrl.evaluation.policies import make_policy

BODY = "InvertedPendulum-v5"
FORCE = make_env(BODY).action_space


def steady(force):
    """Always the same force."""
    return CallablePolicy(lambda observations: np.full((len(observations), 1), force, np.float32))


class Remembers:
    """Acts by what was earned so far."""

    def __init__(self):
        self.earned = np.zeros(0)

    def reset(self, mask, seeds):
        self.earned = np.where(mask, 0.0, self.earned) if len(self.earned) == len(mask) else np.zeros(len(mask))

    def act(self, observations, conditions=None, deterministic=False):
        return np.sin(self.earned)[:, None].astype(np.float32)

    def receive(self, rewards):
        self.earned = self.earned + rewards


def turns(relay, steps, slots, seed=0):
    """(steps, slots) who acts at each step of endless episodes."""
    relay.reset(np.ones(slots, bool), np.arange(seed, seed + slots))
    acted = []
    for _ in range(steps):
        relay.act(np.zeros((slots, 4)))
        acted.append(relay.infos()["member"])
    return np.stack(acted)


def test_the_action_is_that_of_the_member_who_acts():
    relay = Relay([steady(-1.0), steady(0.5), steady(2.0)], FORCE, every=2)
    played = collect(BODY, relay, 20, 0, num_envs=5)
    member = played.infos["member"].long()
    assert set(member.tolist()) == {0, 1, 2}
    assert torch.equal(played.actions[""][:, 0], torch.tensor([-1.0, 0.5, 2.0])[member])


@pytest.mark.parametrize("every", [1, 4.0, 25])
def test_turns_are_geometric_and_members_are_drawn_evenly(every):
    acted = turns(Relay([steady(0.0)] * 4, FORCE, every), 2000, 20)
    changes = (acted[1:] != acted[:-1]).sum()  # a draw falls on another in three of four
    chance = 0.75 / every
    assert stats.binomtest(int(changes), acted[1:].size, chance).pvalue > 1e-3
    share = np.bincount(acted[:: int(4 * every)].ravel(), minlength=4)
    assert stats.chisquare(share).pvalue > 1e-3


def test_the_data_do_not_depend_on_environments_side_by_side():
    def relay():
        return Relay([RandomPolicy(FORCE), steady(0.3), Remembers()], FORCE, every=3)

    one, many = (collect(BODY, relay(), 7, 11, num_envs=count) for count in (1, 4))
    assert torch.equal(one.rewards, many.rewards)
    assert torch.equal(one.actions[""], many.actions[""])
    assert torch.equal(one.infos["member"], many.infos["member"])
    other = collect(BODY, relay(), 7, 12, num_envs=4)
    assert not torch.equal(other.actions[""][:5], many.actions[""][:5])


def test_members_know_what_others_earned():
    played = collect(BODY, Relay([steady(0.0), Remembers()], FORCE, every=2), 5, 0, num_envs=2)
    for episode in played:
        before = episode.rewards.cumsum(0) - episode.rewards
        mine = episode.infos["member"] == 1
        torch.testing.assert_close(episode.actions[""][mine, 0].double(), before[mine].sin(), atol=1e-6, rtol=0)


def test_a_member_draws_other_numbers_than_its_relay_and_than_other_members():
    """The same actor twice: were their seeds the same, it would not matter whose turn it is."""
    relay = Relay([RandomPolicy(FORCE), RandomPolicy(FORCE)], FORCE)
    relay.reset(np.ones(3, bool), np.arange(3))
    first, second = (member.act(np.zeros((3, 4))) for member in relay.members)
    assert not np.isclose(first, second).any()


def test_members_may_act_in_any_space():
    space = spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(-1, 1, (2,))})
    relay = Relay([RandomPolicy(space), RandomPolicy(space)], space, every=1)
    relay.reset(np.ones(6, bool), np.arange(6))
    acted = [relay.act(np.zeros((6, 1))) for _ in range(4)]
    assert acted[0]["a"].shape == (6,)
    assert acted[0]["b"].shape == (6, 2)


def test_by_name():
    env = make_env("genrl/bandit-v0", {"p": 0.2})
    relay = make_policy("relay", env, {"members": ["misled", "random"], "every": 1})
    assert isinstance(relay.members[0], Misled)
    played = collect("genrl/bandit-v0", relay, 2000, 0, num_envs=50, env_options={"p": 0.2})
    share = played.actions[""].double().mean()
    assert share.item() == pytest.approx((0.2 + 0.5) / 2, abs=0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"members": []}, "at least one member"),
        ({"members": ["random"], "every": 0.5}, "every 1 or more steps, not 0.5"),
        ({"members": ["random"], "every": float("nan")}, "not nan"),
        ({"members": ["nobody"]}, "There is no policy 'nobody'"),
        ({"members": "random"}, "a list"),
        ({}, "members"),
    ],
)
def test_what_cannot_be(options, words):
    with pytest.raises(ConfigurationError, match=words):
        make_policy("relay", make_env(BODY), options)
