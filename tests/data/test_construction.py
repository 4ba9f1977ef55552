"""torchgfn's environments as Gymnasium's: the same objects, rewards and rules, and data sets like any."""

import numpy as np
import pytest
import torch
from gfn.gym import HyperGrid
from gymnasium.utils.env_checker import check_env
from scipy.stats import chisquare

from genrl.data.construction import Construction, Game, Uniform
from genrl.data.environments import make_env
from genrl.data.errors import ConfigurationError, OracleError, OutOfSpaceError, UnsupportedSpaceError
from genrl.data.store import load, save
from genrl.data.verify import verify
from tests.gflownets.games import BITS, GRID, IDS, built, game


@pytest.mark.parametrize("env", IDS)
def test_gymnasium_finds_nothing_to_complain_of(env):
    made = make_env(env, IDS[env]).unwrapped
    made.action_space.sample = lambda: 0  # its own samples do not know which actions can be taken
    check_env(made, skip_render_check=True)


@pytest.mark.parametrize("env", IDS)
def test_episodes_build_objects_and_earn_their_rewards(env):
    data, own = built(env), game(env)
    ends = data.observation_starts + data.lengths
    objects = data.observations[""][ends]
    assert torch.equal(objects, data.observations[""][ends - 1])  # the exit changes nothing
    assert (data.actions[""][data.transition_starts + data.lengths - 1] == own.actions - 1).all()
    torch.testing.assert_close(data.returns, own.env.reward(own.env.states_from_tensor(objects)).double())
    assert data.terminations.sum() == len(data)
    for path, space in (("", data.observation_space),):
        assert all(space.contains(row.numpy()) for row in data.observations[path])


def test_even_actions_are_even():
    data = built(episodes=600)
    first = data.actions[""][data.transition_starts]
    assert chisquare(np.bincount(first, minlength=3)).pvalue > 1e-3


def test_a_stored_data_set_is_whole_and_says_which_game_it_is(tmp_path):
    save(built("genrl/bits-v0"), "bits/uniform-v0", root=tmp_path)
    assert verify("bits/uniform-v0", root=tmp_path).episodes == 40
    again = Game.of(load("bits/uniform-v0", root=tmp_path).card)
    assert (again.size, again.low, again.high, again.longest, again.actions) == (8, -1, 1, 9, 3)


def test_an_action_that_cannot_be_taken_is_refused():
    env = Construction(**GRID)
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    with pytest.raises(OutOfSpaceError, match=r"Action 0 cannot be taken in \(3, 0\); \[1, 2\] can"):
        env.step(0)


def half(objects: torch.Tensor) -> torch.Tensor:
    return objects.sum(1) / 2


class Broken:
    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self, objects: torch.Tensor) -> torch.Tensor:
        if self.value > 1e6:
            raise RuntimeError("the oracle is away")
        return torch.where(objects[:, 0] == 2, self.value, 1.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, r"The reward of \(2, 1\) is 0.0; rewards must be finite and above 0"),
        (float("nan"), r"The reward of \(2, 1\) is nan"),
        (1e7, r"The reward failed for 2 objects, the first \(0, 0\): the oracle is away"),
    ],
)
def test_bad_rewards_are_named(value, message):
    reward = {"class_path": f"{__name__}.Broken", "init_args": {"value": value}}
    bad = Game.make(settings=GRID["settings"], reward=reward)
    with pytest.raises(OracleError, match=message):
        bad.rewards(torch.tensor([[0, 0], [2, 1]]))


def test_games_that_cannot_be_made_are_named():
    with pytest.raises(ConfigurationError, match=r"gfn\.gym\.Nothing cannot be made"):
        Game.make("gfn.gym.Nothing")
    with pytest.raises(ConfigurationError, match=r"gfn\.gym\.HyperGrid cannot be made from {'sides': 3}"):
        Game.make(settings={"sides": 3})
    with pytest.raises(ConfigurationError, match="lacks class_path"):
        make_env("genrl/hypergrid-v0", {"reward": {"foo": 1}})
    with pytest.raises(ConfigurationError, match="The states of DiscreteEBM are not known: give layout"):
        Game.make("gfn.gym.DiscreteEBM", {"ndim": 4})
    known = Game.make("gfn.gym.DiscreteEBM", {"ndim": 4}, layout=(-1, 1, 5))
    assert (known.size, known.values, known.longest) == (4, 3, 5)
    with pytest.raises(UnsupportedSpaceError, match="Uniform builds objects, as in genrl"):
        Uniform.for_env(make_env("genrl/bandit-v0"))


def test_outcomes_are_checked():
    own = game("genrl/bits-v0")
    with pytest.raises(OutOfSpaceError, match=r"outcome \(0, 0, 0, 0, 0, 0, 0, 2\) is outside .* from 0 to 1"):
        own.require_outcomes(torch.tensor([[0] * 7 + [2]]))
    with pytest.raises(OutOfSpaceError, match=r"\(N, 8\) whole numbers, not \(1, 3\)"):
        own.require_outcomes(torch.zeros(1, 3))
    assert own.require_outcomes(torch.ones(2, 8)).dtype == torch.int64


def test_the_grid_is_that_of_torchgfn():
    assert isinstance(game().env, HyperGrid)
    assert BITS["settings"]["seq_size"] == game("genrl/bits-v0").size
