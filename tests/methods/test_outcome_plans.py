"""Plans by outcome on a ring of places: routes against steps by hand, and episodes against their plans."""

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.arrays import from_arrays
from genrl.data.checks import check
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import env_spec_json, make_env
from genrl.data.episodes import Episodes
from genrl.data.errors import ConditionError, ConfigurationError, EmptyDatasetError
from genrl.data.policies import RandomPolicy
from genrl.data.store import load as load_dataset
from genrl.data.store import save as save_dataset
from genrl.dynamics.pursuit import PointMass, Waypoints, pursue
from genrl.evaluation.simulated import Simulated
from genrl.learners.bc import BC
from genrl.learners.gcbc import GCBC
from genrl.methods.method import Block
from genrl.methods.ocgfn import OCGFN
from genrl.methods.outcome_plans import OutcomePlans
from genrl.methods.tokens import Bins, Clusters, Tokens
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.nets.mlp import MLP
from genrl.synthesis.generate import sample
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

MAZE = {"maze_map": [[1] * 5, [1, 0, 0, 0, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1] * 5], "continuing_task": True}
RING = [(-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0)]
"""Middles of the free cells, clockwise."""


def ring_env() -> gym.Env:
    return make_env("PointMaze_UMaze-v3", MAZE)


def tour(first: int, step: int, cells: int = 6, pieces: int = 20) -> np.ndarray:
    """Places along the ring from one cell over several others."""
    corners = np.array([RING[(first + step * i) % 8] for i in range(cells)], float)
    where = np.linspace(0, cells - 1, (cells - 1) * pieces + 1)
    return np.stack([np.interp(where, np.arange(cells), corners[:, axis]) for axis in range(2)], 1)


@pytest.fixture(scope="module")
def data() -> Episodes:
    """Tours both ways round the ring, from everywhere; velocities of the size that the places tell."""
    env = ring_env()
    places = [tour(first, step) for first in range(8) for step in (1, -1)]
    velocities = [np.gradient(place, axis=0) / 0.02 for place in places]
    observations = [
        {
            "observation": np.concatenate((place, velocity), 1),
            "achieved_goal": place,
            "desired_goal": np.repeat(place[-1:], len(place), 0),
        }
        for place, velocity in zip(places, velocities, strict=True)
    ]
    actions = [np.clip(velocity[:-1], -1, 1).astype(np.float32) for velocity in velocities]
    rewards = [np.zeros(len(action)) for action in actions]
    made = from_arrays(
        observations, actions, rewards, observation_space=env.observation_space, action_space=env.action_space
    )
    return replace(made, card=replace(made.card, env_spec=env_spec_json(env)))


@pytest.fixture(scope="module")
def tokens(data) -> Tokens:
    return Tokens.of(data, Bins(corner=0.5))


@pytest.fixture(scope="module")
def planner(data, tokens) -> OCGFN:
    plans = tokens.encode(data, longest=6, count=400)
    return fit(OCGFN(partial(MLP, width=64), explorer=None, lr=4e-3), plans, 150, batch_size=64, progress=False)


@pytest.fixture(scope="module")
def method(planner, tokens, data) -> OutcomePlans:
    return OutcomePlans(planner, tokens, Simulated.of(data.card), tries=40)


def cell(tokens: Tokens, place: tuple[int, int]) -> int:
    return int(tokens.name_points(torch.tensor([place]))[0])


def test_bins_are_the_cells_that_were_visited(data, tokens):
    assert sorted(map(tuple, np.round(tokens.centres).astype(int).tolist())) == sorted(RING)
    states = data.observations["observation"]
    named = torch.tensor(tokens.centres)[tokens.name(states)]
    assert ((states[:, :2] - named).abs() <= 0.5 + 1e-6).all()
    assert torch.equal(tokens.name(tokens.decode(torch.arange(8))), torch.arange(8))


def test_clusters_quantise_better_the_more_there_are(data):
    states = data.observations["observation"]
    errors = []
    for count in (4, 16):
        found = Tokens.of(data, Clusters(count), columns=[0, 1])
        assert len(found) == count
        errors.append((states[:, :2] - torch.tensor(found.centres)[found.name(states)]).norm(dim=-1).mean())
    assert errors[1] < errors[0] / 2
    assert Tokens.of(data, Clusters(16)).centres == Tokens.of(data, Clusters(16)).centres


def test_routes_are_the_cells_of_the_tours(data, tokens):
    expected = [
        [cell(tokens, RING[(first + step * i) % 8]) for i in range(6)] for first in range(8) for step in (1, -1)
    ]
    assert tokens.routes(data) == expected


def test_plans_are_parts_of_routes_and_a_data_set_like_any(data, tokens, tmp_path):
    plans = tokens.encode(data, longest=4, count=200)
    check(plans, "plans")
    routes = [tuple(route) for route in tokens.routes(data)]
    objects = plans.observations[""][plans.observation_starts + plans.lengths]
    for row, length in zip(objects.tolist(), plans.lengths.tolist(), strict=True):
        plan = tuple(token for token in row if token >= 0)
        assert 2 <= len(plan) <= 4
        assert len(plan) == length - 1
        assert any(route[i : i + len(plan)] == plan for route in routes for i in range(6))
    settings = json.loads(plans.card.env_spec)["kwargs"]["settings"]
    around = [cell(tokens, place) for place in RING]
    for place, token in enumerate(around):
        assert settings["successors"][token] == sorted((around[place - 1], around[(place + 1) % 8]))
    save_dataset(plans, "ring/plans-v0", root=tmp_path)
    again = load_dataset("ring/plans-v0", root=tmp_path)
    assert torch.equal(again.observations[""], plans.observations[""])
    assert torch.equal(tokens.encode(data, longest=4, count=200).actions[""], plans.actions[""])


def test_recombined_plans_take_the_datas_steps_to_where_no_episode_goes(data, tokens):
    """Tours have six cells; by steps of several, a plan goes round the whole ring of eight."""
    plans = tokens.encode(data, longest=8, count=300, recombined=0.5)
    check(plans, "plans")
    assert len(plans) == 300
    steps = {step for route in tokens.routes(data) for step in pairwise(route)}
    objects = plans.observations[""][plans.observation_starts + plans.lengths]
    built = [[token for token in row if token >= 0] for row in objects.tolist()]
    assert all(set(pairwise(plan)) <= steps and len(set(plan)) == len(plan) for plan in built)
    assert max(map(len, built[:150])) == 6
    assert {len(plan) for plan in built[150:]} == set(range(2, 9))
    again = tokens.encode(data, longest=8, count=300, recombined=0.5)
    assert torch.equal(again.actions[""], plans.actions[""])


def test_plans_arrive_in_the_simulator_by_both_ways(method, tokens):
    first, last = cell(tokens, RING[0]), cell(tokens, RING[4])
    made = sample(method, 24, conditions=Conditions(outcome=torch.tensor([[first, last]] * 24)))
    check(made, "made")
    told = {name: rows[made.transition_starts] for name, rows in made.infos.items()}
    assert told["kept"].float().mean() > 0.5
    assert torch.equal(told["kept"], told["reached"])
    assert len(told["plan"][told["kept"]].unique(dim=0)) == 2  # clockwise, and the other way
    ends = made.observations["observation"][made.observation_starts + made.lengths, :2]
    assert ((ends - torch.tensor(RING[4])).abs() <= 0.5).all(-1)[told["reached"]].all()
    goals = made.observations["desired_goal"][made.observation_starts]
    torch.testing.assert_close(goals, ends)  # in hindsight


def test_goals_and_starts_are_kept(method, tokens):
    starts = torch.tensor([[-0.9, 1.1, 0.0, 0.0], [1.1, -0.8, 0.0, 0.0]], dtype=torch.float64)
    goals = torch.tensor([[1.0, 0.8], [-1.1, -1.0]])
    made = method.synthesize(Block(0, 0, 2), Conditions(start=starts, goal=goals))
    torch.testing.assert_close(made.observations["observation"][made.observation_starts], starts, atol=1e-6, rtol=0)
    desired = made.observations["desired_goal"][made.observation_starts]
    torch.testing.assert_close(desired.float(), goals)
    outcome = made.infos["outcome"][made.transition_starts]
    assert torch.equal(outcome[:, 0], tokens.name(starts))
    assert torch.equal(outcome[:, 1], tokens.of_goals(goals))
    assert len(method.synthesize(Block(0, 0, 3), Conditions(goal=goals[:1].expand(3, -1)))) == 3
    assert int(method.synthesize(Block(0, 0, 2), length=7).lengths.max()) <= 7


def test_blocks_do_not_depend_on_the_batch_and_survive_a_checkpoint(method, tmp_path):
    whole = method.synthesize(Block(3, 1, 5))
    parts = method.synthesize(Block(3, 1, 5), batch_size=2)
    again = load(save(method, tmp_path / "plans.ckpt")).synthesize(Block(3, 1, 5))
    for other in (parts, again):
        assert torch.equal(other.lengths, whole.lengths)
        assert torch.equal(other.infos["plan"], whole.infos["plan"])
        torch.testing.assert_close(other.observations["observation"], whole.observations["observation"])


def test_a_world_model_and_a_learner_carry_plans_out_as_well(data, tokens, planner):
    world = fit(WorldModel(partial(EnsembleMLP, width=16, layers=1), starts=8), data, 5, progress=False)
    for controller in (PointMass(), fit(GCBC(net=partial(MLP, width=16)), data, 5, progress=False)):
        made = sample(OutcomePlans(planner, tokens, world, controller, horizon=5), 4)
        check(made, "made")
        assert made.infos["plan"].shape == (made.num_transitions, 6)
    assert isinstance(fit(BC(net=partial(MLP, width=16)), made, 3, progress=False), BC)


def test_a_wall_stops_who_does_not_plan(data, tokens):
    """Straight from one side of the ring's middle to the other: the plan has one waypoint, and does not arrive."""
    state = torch.tensor([[-1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    there = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)
    waypoints = Waypoints(there, torch.tensor([1]), [0, 1], torch.ones(2, dtype=torch.float64), 0.3)
    simulator = Simulated.of(data.card).dynamics().towards(there[:, 0, :2])
    made = pursue(simulator, PointMass(), waypoints, state, 200, lambda step, like: torch.zeros_like(like))
    assert made.lengths.tolist() == [200]
    assert made.states[0, -1, 0] < -0.4


def test_what_cannot_be_asked_for_is_refused(method, tokens, planner, data):
    block = Block(0, 0, 1)
    opposite = torch.tensor([[cell(tokens, RING[0]), cell(tokens, RING[4])]])
    short = fit(OCGFN(partial(MLP, width=8), explorer=None), tokens.encode(data, 3, 50), 2, progress=False)
    with pytest.raises(ConditionError, match="no plan of at most 3 tokens leads from token"):
        OutcomePlans(short, tokens, method.world).synthesize(block, Conditions(outcome=opposite))
    elsewhere = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    with pytest.raises(ConditionError, match="leave one of the two conditions out"):
        method.synthesize(block, Conditions(outcome=opposite, start=elsewhere))
    with pytest.raises(ConditionError, match="'start' must be"):
        method.synthesize(block, Conditions(start=torch.zeros(1, 3)))
    with pytest.raises(ConditionError, match="'goal' must be"):
        method.synthesize(block, Conditions(goal=torch.zeros(1, 3)))
    with pytest.raises(ConfigurationError, match="builds other objects than routes of these 4 tokens"):
        OutcomePlans(planner, Tokens.of(data, Clusters(4)), method.world)
    with pytest.raises(ConfigurationError, match="never fitted"):
        OutcomePlans(OCGFN(), tokens, method.world)
    with pytest.raises(ConfigurationError, match="tries 0"):
        OutcomePlans(planner, tokens, method.world, tries=0)
    walled = torch.tensor([[-1.0, 1.0, 0.0, 0.0]] * 3 + [[5.0, 5.0, 0.0, 0.0]])
    with pytest.raises(ConditionError, match=r"Row 3 .* no state that the simulator can be in \(inside a wall\)"):
        method.synthesize(Block(0, 0, 4), Conditions(start=walled), batch_size=2)
    pole = collect("CartPole-v1", RandomPolicy(gym.make("CartPole-v1").action_space), 2, seed=1000)
    cloned = fit(BC(net=partial(MLP, width=4)), pole, 2, progress=False)
    with pytest.raises(ConfigurationError, match="fit both to data of one environment"):
        OutcomePlans(planner, tokens, method.world, cloned)
    aimless = fit(BC(net=partial(MLP, width=4)), pole, 2, progress=False)
    with pytest.raises(ConfigurationError, match=r"leads to waypoints: .* not this BC"):
        method._require_goals(aimless)
    for codebook in (Bins, Clusters):
        with pytest.raises(ConfigurationError, match="not 0"):
            codebook(0)


def test_a_token_that_nothing_follows_is_no_start(data, tokens):
    once = data[:1]
    known = Tokens.of(once, Bins(corner=0.5))
    planner = fit(OCGFN(partial(MLP, width=8), explorer=None), known.encode(once, 6, 50), 2, progress=False)
    dead = known.routes(once)[0][-1]
    method = OutcomePlans(planner, known, Simulated.of(data.card))
    with pytest.raises(ConditionError, match="which nothing follows in the data"):
        method.synthesize(Block(0, 0, 1), Conditions(start=known.decode(torch.tensor([dead]))))


def test_data_that_go_nowhere_are_refused(data, tokens):
    with pytest.raises(EmptyDatasetError, match="No episode comes from one of the 1 tokens to another"):
        Tokens.of(data, Bins(width=100.0, corner=-50.0)).encode(data)
    with pytest.raises(ConfigurationError, match="at least two tokens"):
        tokens.encode(data, longest=1)
    with pytest.raises(ConfigurationError, match=r"recombined from 0 to 1, not 1\.5"):
        tokens.encode(data, recombined=1.5)
    with pytest.raises(ConfigurationError, match="told apart by some of the 4 columns"):
        Tokens.of(data, columns=[7])
