"""The penalty of MOPO: what the ensemble says, and rewards that are lower by it."""

from functools import partial

import numpy as np
import pytest
import torch

from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.data.policies import RandomPolicy
from genrl.dynamics.uncertainty import largest_deviation
from genrl.learners.bc import BC
from genrl.learners.sac import SAC
from genrl.methods.imagination import Imagination
from genrl.methods.method import Block
from genrl.methods.pessimistic_imagination import PessimisticImagination
from genrl.methods.world_model import WorldModel
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.nets.mlp import MLP
from genrl.synthesis.generate import sample
from genrl.synthesis.renewal import Renewal
from genrl.synthesis.sources import Pessimistic
from genrl.training.fit import fit
from tests.methods.toy_methods import DIFFUSED, WORLD_MODEL, linear, walks

SMALL = partial(MLP, width=16)


def cloned(data: Episodes) -> BC:
    return fit(BC(net=SMALL), data, 5, progress=False, val_fraction=0.0)


def targets(data: Episodes) -> np.ndarray:
    """(N, S + 1) changes of state and rewards, of data whose observations are one Box."""
    states = data.observations[""].double().numpy()
    rows = data.observation_rows.numpy()
    return np.concatenate([states[rows + 1] - states[rows], data.rewards.double().numpy()[:, None]], axis=1)


@pytest.mark.parametrize("penalty", [0.0, 0.5, 3.0])
def test_rewards_are_lower_by_the_largest_deviation_of_a_member(penalty: float):
    data = linear()
    model, policy = fit(WORLD_MODEL(), data, 20, progress=False, val_fraction=0.0), cloned(data)
    plain = Imagination(model, policy, 5).synthesize(Block(3, 0, 30))
    made = PessimisticImagination(model, policy, 5, penalty).synthesize(Block(3, 0, 30))
    assert torch.equal(made.observations[""], plain.observations[""])
    assert torch.equal(made.actions[""], plain.actions[""])
    states, actions = plain.observations[""][plain.observation_rows], plain.actions[""]
    scale, norms = targets(data).std(0), []
    for member in range(model.members):
        with torch.no_grad():
            _, log_variance = model.ensemble.predict(states[None], actions[None], torch.tensor([member]))
        norms.append(np.linalg.norm(np.exp(log_variance[0].numpy() / 2) * scale, axis=1))
    assert len(set(np.argmax(norms, axis=0).tolist())) > 1  # not one member alone
    expected = np.max(norms, axis=0)
    np.testing.assert_allclose(made.infos["uncertainty"].numpy(), expected, rtol=1e-4)
    np.testing.assert_allclose((plain.rewards - made.rewards).numpy(), penalty * expected, rtol=1e-3, atol=1e-5)
    assert torch.equal(made.infos["disagreement"], plain.infos["disagreement"])


def test_the_uncertainty_of_a_noisy_reward_is_its_noise():
    """s' = A s + B a is certain; the reward has a deviation of 2 where s_0 is positive, and none elsewhere."""
    data = linear(300)
    rows = data.observation_rows
    noisy = (data.observations[""][rows, 0] > 0).double()
    data.rewards.copy_(2 * noisy * torch.from_numpy(np.random.default_rng(0).normal(size=len(rows))))
    net = partial(EnsembleMLP, width=32, layers=2)
    model = fit(WorldModel(net=net, members=3, elites=2, lr=5e-3), data, 400, progress=False, val_fraction=0.0)
    states = torch.tensor([[0.8, 0.0], [1.2, 0.5], [-0.8, 0.0], [-1.2, 0.5]])
    found = largest_deviation(model.ensemble, states, torch.zeros(4, 1))
    np.testing.assert_allclose(found[:2].numpy(), 2.0, rtol=0.25)
    assert found[2:].max() < 0.7


def test_constant_columns_count_nothing():
    data = linear()
    data.rewards.fill_(1.0)
    model = fit(WORLD_MODEL(), data, 5, progress=False, val_fraction=0.0)
    with torch.no_grad():
        model.ensemble.lowest.fill_(-2.0)
        model.ensemble.highest.fill_(-2.0)
        states, actions = torch.zeros(3, 2), torch.zeros(3, 1)
        _, log_variance = model.ensemble.predict(*(x.expand(model.members, -1, -1) for x in (states, actions)))
    spread = np.linalg.norm(np.exp(log_variance.numpy()[..., :2] / 2) * targets(data)[:, :2].std(0), axis=-1).max(0)
    np.testing.assert_allclose(largest_deviation(model.ensemble, states, actions).numpy(), spread, rtol=1e-4)


def test_rewards_keep_their_type_and_goals_their_place():
    data = walks()
    model = fit(WORLD_MODEL(), data, 5, progress=False, val_fraction=0.0)
    made = PessimisticImagination(model, cloned(data), 3).synthesize(Block(0, 0, 4))
    assert made.rewards.dtype == data.rewards.dtype
    assert set(made.observations) == set(data.observations)


def test_the_penalty_lowers_the_environments_own_rewards():
    """Those of a maze are computed from its goals, in the place of the model's; in memory, on disk and in a loop."""
    env = make_env("PointMaze_UMaze-v3")
    data = collect("PointMaze_UMaze-v3", RandomPolicy(env.action_space), 6, 0, max_steps=12)
    model = fit(WORLD_MODEL(), data, 5, progress=False, val_fraction=0.0)
    policy = fit(SAC(actor_net=SMALL, critic_net=SMALL), data, 2, progress=False)
    plain = sample(PessimisticImagination(model, policy, 3, penalty=0.0), 8)
    made = sample(PessimisticImagination(model, policy, 3, penalty=2.0), 8)
    seen = {name: leaf[made.observation_rows + 1].numpy() for name, leaf in plain.observations.items()}
    own = env.unwrapped.compute_reward(seen["achieved_goal"], seen["desired_goal"], {})
    np.testing.assert_array_equal(plain.rewards.numpy(), own)
    np.testing.assert_allclose(made.rewards.numpy(), own - 2 * made.infos["uncertainty"].numpy(), rtol=1e-6)
    assert (made.infos["uncertainty"] > 0).all()
    returns = []
    for penalty in (0.0, 1000.0):
        loop = Renewal(Pessimistic(model, 3, penalty), every=2, transitions=20, block_size=8, progress=False)
        fit(SAC(actor_net=SMALL, critic_net=SMALL), data, 2, progress=False, callbacks=[loop])
        returns.append(loop.history[0]["mean_return"])
    assert returns[0] >= 0 > returns[1]


def test_a_model_without_members_is_refused():
    data = linear()
    model, policy = fit(DIFFUSED(), data, 2, progress=False), cloned(data)
    with pytest.raises(ConfigurationError, match=r"DiffusionWorldModel has no deviations .* fit a WorldModel"):
        PessimisticImagination(model, policy)
    with pytest.raises(CheckpointError, match="needs a WorldModel here, not the DiffusionWorldModel"):
        Pessimistic(model)(policy, 0)


def test_a_penalty_that_would_raise_rewards_is_refused():
    data = linear()
    with pytest.raises(ConfigurationError, match="at least 0, not -1"):
        PessimisticImagination(fit(WORLD_MODEL(), data, 2, progress=False, val_fraction=0.0), cloned(data), 3, -1.0)
