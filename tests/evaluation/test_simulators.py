"""Restoring a simulator: what it answers is what the environment did along real trajectories; the rest is refused."""

import json
import os

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import AlignmentError, ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.journeys import stitching
from genrl.data.policies import RandomPolicy
from genrl.data.stitch_maze import ENV_ID
from genrl.data.waypoint import WaypointPolicy
from genrl.dynamics.rollout import rollout
from genrl.evaluation.simulators import Simulator

MAZE = "PointMaze_UMaze-v3"
ENVIRONMENTS = [
    ("Hopper-v5", {}),
    ("Hopper-v4", {}),
    ("HalfCheetah-v5", {}),
    ("HalfCheetah-v4", {}),
    ("Walker2d-v5", {}),
    ("Walker2d-v4", {}),
    ("Swimmer-v5", {}),
    ("Swimmer-v4", {}),
    ("InvertedPendulum-v5", {}),
    ("InvertedPendulum-v4", {}),
    ("Hopper-v5", {"exclude_current_positions_from_observation": False}),
    ("Hopper-v5", {"terminate_when_unhealthy": False, "ctrl_cost_weight": 0.1, "frame_skip": 2}),
    (MAZE, {"continuing_task": False}),
    (MAZE, {"continuing_task": True, "reset_target": True}),
    (MAZE, {"reward_type": "dense"}),
]


def played(name: str, options: dict, episodes: int = 20) -> Episodes:
    """Random actions; in the maze a controller that gets to its goals, and into walls by its noise."""
    env = make_env(name, options)
    policy = WaypointPolicy.for_env(env, noise=0.5) if name == MAZE else RandomPolicy(env.action_space)
    return collect(env.spec, policy, episodes, seed=1000, max_steps=60)


@pytest.fixture(scope="module", params=ENVIRONMENTS, ids=lambda case: "-".join([case[0], *map(str, case[1].values())]))
def data(request) -> Episodes:
    return played(*request.param)


def halves(data: Episodes, simulator: Simulator):
    """The simulator towards the goals, states, actions and next states of all transitions."""
    rows = data.observation_rows
    states = simulator.states(data.observations)
    here = simulator.towards(simulator.goals_of(data.observations)[rows + 1])
    return here, states[rows], data.actions[""], states[rows + 1]


def test_the_step_is_the_one_that_the_environment_took(data):
    here, states, actions, following = halves(data, Simulator.of(data.card))
    outcome = here.step(states, actions)
    told = ~here.hidden(states)
    assert told.sum() > 50
    assert not outcome.info["impossible"].any()
    torch.testing.assert_close(outcome.next_state[told], following[told], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(outcome.reward[told], data.rewards[told].double(), rtol=1e-9, atol=1e-9)
    assert torch.equal(outcome.terminated[told], data.terminations[told])


def test_the_order_of_the_rows_does_not_matter(data):
    here, states, actions, _ = halves(data, Simulator.of(data.card))
    first = here.step(states, actions)
    if here.goals.shape[1]:
        here = here.towards(here.goals.flip(0))
    second = here.step(states.flip(0), actions.flip(0))
    np.testing.assert_array_equal(first.next_state, second.next_state.flip(0))
    np.testing.assert_array_equal(first.reward, second.reward.flip(0))


def test_the_names_and_angles_are_those_of_the_joints():
    simulator = Simulator(make_env("HalfCheetah-v5"))
    assert simulator.names[:2] == ["observation[0]", "observation[1]"]
    assert simulator.angles.tolist() == [False] + [True] * 7 + [False] * 9  # height, pitch and six joints, velocities
    assert not Simulator(make_env(MAZE)).angles.any()
    assert Simulator(make_env(MAZE)).names == [f"observation[{column}]" for column in range(4)]


def test_a_clipped_velocity_is_hidden_and_one_beyond_is_impossible():
    simulator = Simulator(make_env("Walker2d-v5"))
    states = simulator.states({"": torch.from_numpy(make_env("Walker2d-v5").reset(seed=0)[0])[None].repeat(3, 1)})
    states[1, -1], states[2, -1] = 10.0, -10.01
    assert simulator.hidden(states).tolist() == [False, True, False]
    outcome = simulator.step(states, torch.zeros(3, 6))
    assert outcome.info["impossible"].tolist() == [False, False, True]
    assert simulator.faults(states)["velocity beyond its clip"].tolist() == [False, False, True]
    assert outcome.next_state.isfinite().all(-1).tolist() == [True, False, False]


def test_states_behind_an_episodes_end_are_impossible_where_it_ends():
    for name, column, value in (("Hopper-v5", 0, 0.5), ("Walker2d-v4", 1, 1.2), ("InvertedPendulum-v5", 1, -0.3)):
        env = make_env(name)
        simulator = Simulator(env)
        states = simulator.states({"": torch.from_numpy(env.reset(seed=0)[0])[None].repeat(2, 1)})
        states[1, column] = value
        assert simulator.faults(states)["after the episode's end"].tolist() == [False, True]
    endless = Simulator(make_env("Hopper-v5", {"terminate_when_unhealthy": False}))
    assert not endless.faults(torch.zeros(1, 11))["after the episode's end"].any()


def test_states_that_are_no_numbers_or_blow_up_are_impossible_and_leave_no_log(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    simulator = Simulator(make_env("HalfCheetah-v5"))
    states = torch.zeros(4, 17)
    states[1, 3], states[2, 12], states[3, 9] = torch.nan, 1e9, torch.inf
    outcome = simulator.step(states, torch.zeros(4, 6))
    assert outcome.info["impossible"].tolist() == [False, True, True, True]
    assert outcome.info["unstable"].tolist() == [False, False, True, False]
    assert simulator.faults(states)["not finite"].tolist() == [False, True, False, True]
    assert outcome.reward.isfinite().tolist() == [True, False, False, False]
    assert os.listdir(tmp_path) == []
    assert "WARNING" not in "".join(capfd.readouterr())


def test_a_ball_inside_a_wall_is_impossible():
    """The simulator's own boxes say where the walls are."""
    env = make_env(MAZE)
    model = env.unwrapped.model
    boxes = [k for k in range(model.ngeom) if "block" in model.geom(k).name]
    assert len(boxes) == 18
    rng = np.random.default_rng(0)
    places = rng.uniform(-2.6, 2.6, (2000, 2))
    centres, sizes = model.geom_pos[boxes, :2], model.geom_size[boxes, :2]
    inside = (np.abs(places[:, None] - centres) <= sizes).all(-1).any(-1) | (np.abs(places) > 2.5).any(-1)
    simulator = Simulator(env)
    states = torch.from_numpy(np.concatenate((places, np.zeros((2000, 2))), axis=1))
    assert simulator.faults(states)["inside a wall"].tolist() == inside.tolist()
    assert 0.1 < inside.mean() < 0.9


def test_a_goal_that_was_drawn_anew_is_the_one_in_the_next_observation():
    data = played(MAZE, {"continuing_task": True, "reset_target": True}, episodes=4)
    here, states, actions, _ = halves(data, Simulator.of(data.card))
    before = here.goals_of(data.observations)[data.observation_rows]
    assert (before != here.goals).any()
    assert torch.equal(here.step(states, actions).reward, data.rewards)


def test_every_row_has_its_goal():
    states, goals = torch.tensor([[-1.0, 1.0, 0.0, 0.0]] * 2), torch.tensor([[-1.0, 1.4], [1.0, -1.0]])
    outcome = Simulator(make_env(MAZE, {"continuing_task": False})).towards(goals).step(states, torch.zeros(2, 2))
    assert outcome.reward.tolist() == [1.0, 0.0]
    assert outcome.terminated.tolist() == [True, False]
    with pytest.raises(ConditionError, match="2 states in an environment with goals need as many goals, not none"):
        Simulator(make_env(MAZE)).step(states, torch.zeros(2, 2))


def test_the_simulator_rolls_out_like_any_dynamics():
    """The same actions from the same start give the recorded episode again, but for rounding that contacts amplify."""
    data = played("Hopper-v5", {}, episodes=3)
    simulator = Simulator.of(data.card)
    starts = simulator.states(data.observations)[data.observation_starts]
    horizon, step = 15, 0

    def act(states, noise):
        nonlocal step
        step += 1
        return data.actions[""][data.transition_starts + torch.minimum(torch.tensor(step), data.lengths) - 1]

    told = rollout(simulator, act, starts, horizon, lambda step, like: torch.zeros_like(like))
    assert told.lengths.tolist() == data.lengths.clamp(max=horizon).tolist()
    assert not told.diverged.any()
    for episode, length in enumerate(told.lengths.tolist()):
        first = int(data.observation_starts[episode])
        recorded = data.observations[""][first : first + length + 1]
        torch.testing.assert_close(told.states[episode, : length + 1], recorded, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["CartPole-v1", "Ant-v5", "Reacher-v5", "Humanoid-v5", "InvertedDoublePendulum-v5", "AntMaze_UMaze-v5"]
)
def test_other_environments_are_refused_with_those_that_are_taken(name: str):
    make_env(MAZE)  # registers the other mazes too
    card = DatasetCard(env_spec=gym.spec(name).to_json())
    with pytest.raises(UnsupportedSpaceError, match=r"Env cannot be restored.*HalfCheetah, Hopper.*PointMaze"):
        Simulator.of(card)


def test_a_card_that_cannot_be_followed_is_refused():
    with pytest.raises(ConfigurationError, match="my-v0 records no environment"):
        Simulator.of(DatasetCard(dataset_id="my-v0"))
    wrapped = gym.wrappers.ClipAction(make_env("Hopper-v5")).spec.to_json()
    with pytest.raises(ConfigurationError, match="inside ClipAction"):
        Simulator.of(DatasetCard(env_spec=wrapped))
    spec = json.loads(gym.spec("Hopper-v5").to_json())
    spec["kwargs"] = {"xml_file": "/nowhere/hopper.xml"}
    with pytest.raises(ConfigurationError, match="cannot be made here"):
        Simulator.of(DatasetCard(env_spec=json.dumps(spec)))
    spec["entry_point"] = "mine:HopperEnv"
    with pytest.raises(UnsupportedSpaceError, match="mine:HopperEnv"):
        Simulator.of(DatasetCard(env_spec=json.dumps(spec)))
    ours = DatasetCard(eval_env_spec=gym.spec("Hopper-v5").to_json())
    assert Simulator.of(ours).state_dim == 11


def test_observations_of_another_environment_are_refused():
    data = played("InvertedPendulum-v5", {}, episodes=1)
    with pytest.raises(AlignmentError, match=r"HopperEnv observes .*11.*the data hold .*4"):
        Simulator(make_env("Hopper-v5")).states(data.observations)


def test_a_hidden_goal_is_rewarded_as_it_is_to_be_expected():
    """The ball moves as it did; the reward is the mean over goals, as 4,000 resets place them."""
    card = DatasetCard(env_spec=make_env(ENV_ID).spec.to_json())
    data, simulator = stitching(4, seed=1000), Simulator.of(card)
    states = simulator.states(data.observations)
    rows = data.observation_rows
    outcome = simulator.step(states[rows], data.actions[""])
    torch.testing.assert_close(outcome.next_state, states[rows + 1], rtol=1e-9, atol=1e-9)
    assert not outcome.terminated.any()
    env = make_env(ENV_ID)
    goals = np.stack([env.reset(seed=seed)[1]["goal"] for seed in range(4000)])
    place = outcome.next_state[-1, :2].numpy()
    sampled = np.exp(-np.linalg.norm(place - goals, axis=1))
    assert abs(sampled.mean() - outcome.reward[-1]) < 4 * sampled.std() / np.sqrt(len(goals))
