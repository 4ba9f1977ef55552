from dataclasses import fields, replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.errors import (
    AlignmentError,
    ConditionError,
    ConfigurationError,
    NonFiniteError,
    OutOfSpaceError,
)
from genrl.data.policies import CallablePolicy, RandomPolicy
from genrl.data.spaces import leaf_spaces
from genrl.data.store import load, save
from genrl.data.waypoint import WaypointPolicy

NESTED = spaces.Dict(
    {
        "count": spaces.Discrete(100),
        "parts": spaces.Tuple([spaces.Box(-10, 10, (2,), np.float32), spaces.MultiBinary(3)]),
    }
)


class Countdown(gym.Env):
    """Ends after a number of steps drawn at reset; observes (step, action taken) and reuses its arrays."""

    observation_space = NESTED
    action_space = spaces.Dict({"turn": spaces.Box(-1, 1, (2,)), "gear": spaces.Discrete(3, start=1)})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.length = (options or {}).get("length") or int(self.np_random.integers(1, 9))
        self.turn = np.zeros(2, np.float32)
        self.info_array = np.zeros(2)
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        self.turn[:] = action["turn"] * action["gear"]
        self.info_array[:] = self.steps
        info = {
            "steps": self.steps,
            "array": self.info_array,
            "nested": {"even": self.steps % 2 == 0},
            "words": "not numeric",
            "ragged": np.zeros(self.steps),
        }
        if self.steps > 1:
            info["late"] = 1.0
        over = self.steps == self.length
        even = self.length % 2 == 0
        return self._observe(), float(self.steps), over and even, over, info

    def _observe(self):
        return {"count": self.steps, "parts": (self.turn, np.array([1, 0, self.steps % 2], np.int8))}


def same(first, second):
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b), field.name
        elif isinstance(a, dict):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[k], b[k]) for k in a), field.name
        else:
            assert a == b, field.name
    return True


@pytest.mark.parametrize(
    ("env", "policy", "kwargs"),
    [
        (Countdown, RandomPolicy(Countdown.action_space), None),
        ("CartPole-v1", RandomPolicy(spaces.Discrete(2)), None),
        (
            "PointMaze_UMaze-v3",
            WaypointPolicy.for_env(make_env("PointMaze_UMaze-v3"), noise=0.4),
            {"continuing_task": False, "max_episode_steps": 90},
        ),
    ],
)
def test_data_do_not_depend_on_the_number_of_environments(env, policy, kwargs):
    runs = [collect(env, policy, 11, seed=5, num_envs=n, env_options=kwargs) for n in (1, 3, 8, 50)]
    assert len(set(runs[0].lengths.tolist())) > 1
    assert all(same(runs[0], run) for run in runs[1:])
    other = collect(env, policy, 11, seed=6, env_options=kwargs)
    assert not torch.equal(other.seeds, runs[0].seeds)


def test_more_episodes_begin_with_the_same_ones():
    policy = RandomPolicy(Countdown.action_space)
    assert same(collect(Countdown, policy, 4, seed=1), collect(Countdown, policy, 9, seed=1)[:4])


def test_replaying_the_actions_gives_the_same_episodes():
    data = collect("Hopper-v5", RandomPolicy(make_env("Hopper-v5").action_space), 5, seed=2, num_envs=2)
    env = gym.make("Hopper-v5")
    for e in range(len(data)):
        episode = data[e]
        observation, _ = env.reset(seed=int(episode.seeds[0]))
        np.testing.assert_array_equal(episode.observations[""][0].numpy(), observation)
        for t in range(int(episode.lengths[0])):
            observation, reward, terminated, truncated, info = env.step(episode.actions[""][t].numpy())
            np.testing.assert_array_equal(episode.observations[""][t + 1].numpy(), observation)
            assert episode.rewards[t] == reward
            assert episode.terminations[t] == terminated
            assert episode.truncations[t] == truncated
            assert episode.infos["x_position"][t] == info["x_position"]
        assert terminated


def test_nested_spaces_keep_their_dtypes_and_every_step_its_own_values():
    data = collect(Countdown, RandomPolicy(Countdown.action_space), 6, seed=0, num_envs=4)
    for space, leaves in ((data.observation_space, data.observations), (data.action_space, data.actions)):
        assert {k: torch.from_numpy(np.zeros(1, s.dtype)).dtype for k, s in leaf_spaces(space).items()} == {
            k: leaf.dtype for k, leaf in leaves.items()
        }
    for e in range(6):
        episode = data[e]
        steps = torch.arange(int(episode.lengths[0]) + 1)
        assert torch.equal(episode.observations["count"], steps)
        assert torch.equal(episode.rewards, steps[1:].double())
        assert torch.equal(episode.infos["array"], steps[1:, None].double().expand(-1, 2))
        expected = episode.actions["turn"] * episode.actions["gear"][:, None]
        assert torch.equal(episode.observations["parts/0"][1:], expected)
        assert torch.equal(episode.infos["nested/even"], steps[1:] % 2 == 0)
    assert set(data.infos) == {"steps", "array", "nested/even"}


def test_each_episode_ends_with_exactly_one_flag():
    data = collect(Countdown, RandomPolicy(Countdown.action_space), 20, seed=0)
    last = data.transition_starts + data.lengths - 1
    assert torch.equal(data.terminations[last], data.lengths % 2 == 0)  # ends both ways: termination counts
    assert torch.equal(data.truncations[last], data.lengths % 2 == 1)
    assert int(data.terminations.sum() + data.truncations.sum()) == 20


def test_max_steps_truncates_what_still_runs():
    whole = collect(Countdown, RandomPolicy(Countdown.action_space), 20, seed=0)
    cut = collect(Countdown, RandomPolicy(Countdown.action_space), 20, seed=0, max_steps=4)
    assert torch.equal(cut.lengths, whole.lengths.clamp(max=4))
    last = cut.transition_starts + cut.lengths - 1
    assert torch.equal(cut.terminations[last], (whole.lengths <= 4) & (whole.lengths % 2 == 0))
    assert torch.equal(cut.truncations[last], ~cut.terminations[last])


def test_options_are_the_episodes_own():
    def options(index, generator):
        return {"length": index + 1, "unused": generator.integers(5)}

    data = collect(Countdown, RandomPolicy(Countdown.action_space), 5, seed=0, num_envs=3, reset_options=options)
    assert data.lengths.tolist() == [1, 2, 3, 4, 5]


def test_maze_cells_can_be_chosen():
    data = collect(
        "PointMaze_UMaze-v3",
        RandomPolicy(spaces.Box(-1, 1, (2,))),
        4,
        seed=0,
        max_steps=1,
        reset_options=lambda index, _: {"reset_cell": np.array([1, 1]), "goal_cell": np.array([3, 1 + index % 3])},
    )
    starts = data.observations["achieved_goal"][data.observation_starts]
    goals = data.observations["desired_goal"][data.observation_starts]
    assert (starts - torch.tensor([-1.0, 1.0])).abs().max() <= 0.25
    assert (goals - torch.tensor([[-1.0, -1.0], [0.0, -1.0], [1.0, -1.0], [-1.0, -1.0]])).abs().max() <= 0.25


def test_the_card_brings_the_environment_back():
    data = collect("PointMaze_UMaze-v3", RandomPolicy(spaces.Box(-1, 1, (2,))), 1, seed=0, max_steps=2)
    again = gym.make(EnvSpec.from_json(data.card.env_spec))
    assert again.observation_space == data.observation_space
    from_spec = collect(again.spec, RandomPolicy(spaces.Box(-1, 1, (2,))), 1, seed=0, max_steps=2)
    assert torch.equal(from_spec.observations["observation"], data.observations["observation"])
    assert collect(Countdown, RandomPolicy(Countdown.action_space), 1, seed=0).card.env_spec is None


class Notebook:
    """A policy that writes down what it is told."""

    def __init__(self):
        self.seeds, self.goals, self.asked = {}, {}, set()

    def reset(self, mask, seeds):
        self.mask, self.size = mask, len(mask)
        for slot in np.flatnonzero(mask):
            self.seeds.setdefault(slot, []).append(int(seeds[slot]))

    def act(self, observations, conditions=None, deterministic=False):
        self.asked.add(deterministic)
        first = observations["count"] == 0
        for slot in np.flatnonzero(first):
            self.goals.setdefault(slot, []).append(float(conditions.goal[slot, 0]))
        return {"turn": np.zeros((self.size, 2), np.float32), "gear": np.ones(self.size, np.int64)}


def test_seeds_and_conditions_follow_the_episodes():
    policy, lone = Notebook(), Notebook()
    goal = torch.arange(10.0)[:, None]
    conditions = Conditions(goal=goal)
    collect(Countdown, policy, 10, seed=4, num_envs=3, conditions=conditions, deterministic=True)
    collect(Countdown, lone, 10, seed=4, num_envs=1, conditions=conditions)
    by_goal = {g: s for slot in policy.goals for g, s in zip(policy.goals[slot], policy.seeds[slot], strict=True)}
    assert [by_goal[g] for g in goal[:, 0].tolist()] == lone.seeds[0]
    assert lone.goals[0] == goal[:, 0].tolist()
    assert policy.asked == {True}
    assert lone.asked == {False}


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (lambda o: np.zeros((len(o), 2)), AlignmentError, r"\(8, 2\).*\(8, 1\)"),
        (lambda o: np.zeros(1), AlignmentError, "shape"),
        (lambda o: np.full((len(o), 1), np.nan), NonFiniteError, "NaN"),
        (lambda o: np.full((len(o), 1), 2.5), OutOfSpaceError, "clip"),
    ],
)
def test_bad_actions_are_named(actions, error, message):
    with pytest.raises(error, match=message):
        collect("Pendulum-v1", CallablePolicy(actions), 8, seed=0)


@pytest.mark.parametrize("actions", [lambda o: np.zeros(len(o), int), lambda o: {"other": np.zeros(len(o), int)}])
def test_actions_without_a_part_of_their_space_are_named(actions):
    class Parted(showing(spaces.Box(-1, 1, (1,)), np.zeros(1, np.float32))):
        action_space = spaces.Dict(part=spaces.Discrete(2))

    with pytest.raises(AlignmentError, match=r"The policy returned \w+ for Dict"):
        collect(Parted, CallablePolicy(actions), 1, seed=0)


def test_success_may_be_told_at_the_end_alone():
    """Where the environment is silent before, there was none."""

    class Ending(showing(spaces.Box(-1, 1, (1,)), np.zeros(1, np.float32))):
        def step(self, action):
            *step, over, cut, _ = super().step(action)
            told = {"is_success": True, "success": np.array([True]), "late": 1}
            return *step, over, cut, told if over or cut else {}

    infos = collect(Ending, RandomPolicy(Ending.action_space), 2, seed=0).infos
    assert infos["is_success"].tolist() == infos["success"][:, 0].tolist() == [False, False, True] * 2
    assert "late" not in infos


def showing(space, observation, info=None):
    """An environment of three steps that always observes the same."""

    class Showing(gym.Env):
        observation_space, action_space = space, spaces.Box(-0.7, 0.7, (1,))
        opened, closed = 0, 0

        def __init__(self):
            Showing.opened += 1

        def reset(self, *, seed=None, options=None):
            self.steps = 0
            return observation, {}

        def step(self, action):
            self.steps += 1
            return observation, 0.0, False, self.steps == 3, dict(info or {})

        def close(self):
            Showing.closed += 1

    return Showing


STILL = CallablePolicy(lambda observations: np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("space", "observation", "words"),
    [
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0.5, 0.9]), r"float64 of shape \(2,\) where.*uint8"),
        (spaces.Box(-1, 1, (4,)), np.float32(0.3), r"shape \(\) where.*\(4,\)"),
        (spaces.Box(-1, 1, (3, 4)), np.zeros((1, 4)), r"shape \(1, 4\) where"),
        (spaces.Box(-1, 1, (4,)), np.zeros(3), r"shape \(3,\) where"),
        (spaces.Discrete(9), np.nan, "float64 .* int64"),
        (spaces.MultiBinary(2), np.array([300, 1]), "int64 .* int8"),
        (spaces.Box(-1, 1, (1,)), ["a"], "<U1"),
        (spaces.Box(-1, 1, (2, 2)), [[0], [0, 1]], "no array"),
        (spaces.Dict(a=spaces.Box(-1, 1)), {"b": np.zeros(1)}, "no array at 'a'"),
        (spaces.Dict(a=spaces.Box(-1, 1)), np.zeros(1), "no array at 'a'"),
        (spaces.Tuple([spaces.Box(-1, 1)] * 2), (np.zeros(1),), "no array at '1'"),
        (spaces.Dict(a=spaces.Box(-1, 1)), {"a": np.zeros((2, 2))}, "observed at 'a' float64"),
    ],
)
def test_observations_that_do_not_fit_their_space_are_named(space, observation, words):
    with pytest.raises(AlignmentError, match=words):
        collect(showing(space, observation), STILL, 2, seed=0)


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (spaces.Discrete(9), 7),
        (spaces.Discrete(9), np.int32(7)),
        (spaces.Discrete(9), np.array([7])),
        (spaces.Box(-9, 9, (1,)), 7.0),
        (spaces.Box(-9, 9, (2,)), [7, 7]),
        (spaces.Box(-9, 9, (2,)), np.full(2, 7.0)),
        (spaces.Box(0, 255, (2,), np.uint8), [7, 7]),
        (spaces.Box(0, 255, (2,), np.uint8), np.full((1, 2), 7)),
    ],
)
def test_observations_may_come_in_other_dtypes_that_lose_nothing(space, observation):
    seen = collect(showing(space, observation), STILL, 2, seed=0).observations[""]
    assert seen.shape == (8, *space.shape)
    assert (seen == 7).all()
    binary = collect(showing(spaces.MultiBinary(2), np.array([True, False])), STILL, 2, seed=0)
    assert binary.observations[""][0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("info", "names"),
    [
        (
            {"reward/ctrl": 2.0, "reward_ctrl": 1.0, "a": {"b": 1, "c/d": 2}},
            ["reward/ctrl", "reward_ctrl", "a/b", "a/c/d"],
        ),
        ({"reward": 1.0, "reward/ctrl": 2.0}, ["reward", "reward.ctrl"]),
        ({"reward/ctrl": 2.0, "reward": 1.0}, ["reward.ctrl", "reward"]),
        ({"a": 1, "a/b": {"c": 2}, "d/e": 3, "d/e/f": 4}, ["a", "a.b.c", "d/e", "d.e.f"]),
        ({"": 1.0, ".": 2.0, "/x": 3.0, "y//z/": 4.0}, ["x", "y/z"]),
        ({"huge": 2**70, "wide": np.longdouble(1), "complex": 1j, "big": np.full(2, 3, ">i8")}, ["big"]),
    ],
)
def test_infos_have_names_and_numbers_that_can_be_stored(tmp_path, info, names):
    data = collect(showing(spaces.Discrete(2), 1, info), STILL, 2, seed=0)
    assert list(data.infos) == names
    save(data, "infos-v0", root=tmp_path)
    assert same(replace(load("infos-v0", tmp_path), card=data.card), data)


def test_an_action_clipped_in_double_precision_is_inside():
    env = showing(spaces.Discrete(2), 1)
    data = collect(env, CallablePolicy(lambda o: np.clip(np.full((len(o), 1), 5.0), -0.7, 0.7)), 2, seed=0)
    assert (data.actions[""] == np.float32(0.7)).all()
    beyond = CallablePolicy(lambda o: np.full((len(o), 1), 0.7001))
    with pytest.raises(OutOfSpaceError):
        collect(env, beyond, 2, seed=0)


def test_environments_side_by_side_are_separate():
    env, policy = gym.make("CartPole-v1"), RandomPolicy(spaces.Discrete(2))
    assert len(collect(lambda: env, policy, 2, seed=0, num_envs=1)) == 2
    with pytest.raises(ConfigurationError, match="a new one at each call"):
        collect(lambda: env, policy, 2, seed=0)
    with pytest.raises(ConfigurationError, match="a new one at each call"):
        collect(lambda: gym.wrappers.TimeLimit(env, 5), policy, 2, seed=0)
    for thing in (env, None):
        with pytest.raises(ConfigurationError, match="pass its id, its spec, or a function"):
            collect(thing, policy, 2, seed=0)


@pytest.mark.parametrize("opened", [0, 3])
def test_environments_are_closed_whatever_goes_wrong(opened):
    env = showing(spaces.Discrete(2), 1)
    with pytest.raises((ConfigurationError, AttributeError)):
        collect(env, None, 3, seed=0 if opened else -1)
    assert (env.opened, env.closed) == (opened, opened)

    def scarce():
        if env.opened == opened + 2:
            raise RuntimeError("no more")
        return env()

    with pytest.raises(RuntimeError, match="no more"):
        collect(scarce, STILL, 5, seed=0)
    assert env.closed == env.opened == opened + 2


@pytest.mark.parametrize(
    ("env", "kwargs", "words"),
    [
        ("CartPole-v1", {"foo": 1}, "CartPole-v1 cannot be made here with the options {'foo': 1}: TypeError.*'foo'"),
        ("Hopper-v3", {}, r"Hopper-v3 cannot be made here: .*[Ii]nstall what it needs\."),
        ("FrozenLake-v1", {"map_name": "9x9"}, "FrozenLake-v1 cannot be made .*9x9"),
        (gym.spec("CartPole-v1"), {"foo": 1}, "CartPole-v1 cannot be made"),
        (gym.spec("FrozenLake-v1"), {"map_name": "9x9"}, "FrozenLake-v1 cannot be made"),
    ],
)
def test_environments_that_cannot_be_made_are_named(env, kwargs, words):
    with pytest.raises(ConfigurationError, match=words):
        make_env(env, kwargs)


def test_bad_requests_are_named():
    policy = RandomPolicy(Countdown.action_space)
    with pytest.raises(ConfigurationError, match="Nonsense-v3"):
        collect("Nonsense-v3", policy, 1, seed=0)
    with pytest.raises(ConfigurationError, match="no_such_package"):
        collect("no_such_package:Hopper-v5", policy, 1, seed=0)
    with pytest.raises(ConfigurationError, match="v99"):
        make_env("Hopper-v99")
    assert make_env("gymnasium_robotics:PointMaze_Open-v3").spec.id == "PointMaze_Open-v3"
    with pytest.raises(ConfigurationError, match="episodes"):
        collect(Countdown, policy, 0, seed=0)
    with pytest.raises(ConfigurationError, match="seed must be at least 0, not -1"):
        collect(Countdown, policy, 1, seed=-1)
    with pytest.raises(ConditionError, match="3 rows"):
        collect(Countdown, policy, 2, seed=0, conditions=Conditions(goal=torch.zeros(3, 1)))
    gears = CallablePolicy(lambda o: {"turn": np.zeros((1, 2)), "gear": np.ones(1)})
    with pytest.raises(AlignmentError, match="dtype float64"):
        collect(Countdown, gears, 1, seed=0)
