"""The list of learners of latent futures that the general tests go through, and a bandit with known answers."""

from functools import partial

import gymnasium as gym
import numpy as np
from toy_data import SMALL, box

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.learners.doc import DoC
from genrl.learners.future_vae import FutureVAE
from genrl.learners.latents import CategoricalLatent, GaussianLatent, StraightThroughLatent
from genrl.learners.outcomes import Surprises
from genrl.nets.trajectories import FutureTransformer, HistoryTransformer, PooledMLP

MARKOV = {"net": SMALL, "future_net": partial(PooledMLP, width=32)}
SEQUENCE = {
    "net": SMALL,
    "history_net": partial(HistoryTransformer, width=16, layers=1),
    "future_net": partial(FutureTransformer, width=16, layers=1),
    "horizon": 5,
}

LEARNERS = {
    "doc": partial(DoC, CategoricalLatent(4), **MARKOV),
    "doc-straight": partial(DoC, StraightThroughLatent(4), **MARKOV),
    "doc-gaussian": partial(DoC, GaussianLatent(3), **MARKOV, horizon=7, pairs=64),
    "doc-surprises": partial(DoC, GaussianLatent(3), **MARKOV, horizon=7, outcome_net=Surprises),
    "doc-sequence": partial(DoC, GaussianLatent(4), **SEQUENCE),
    "future_vae": partial(FutureVAE, CategoricalLatent(4), **MARKOV),
    "future_vae-sequence": partial(FutureVAE, GaussianLatent(4), **SEQUENCE),
}


class Bandit(gym.Env):
    """Two arms that pay 1 with probabilities p and 1 - p; an episode is one pull."""

    observation_space = box(1)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, p: float) -> None:
        self.p = p

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        pays = self.np_random.random() < (self.p, 1 - self.p)[int(action)]
        return np.zeros(1, np.float32), float(pays), True, False, {}


def pulls(p: float, episodes: int = 1000, seed: int = 1000) -> Episodes:
    """Behaviour that takes the better arm with probability p alone."""
    rng = np.random.default_rng(seed)
    arms = (rng.random(episodes) < p).astype(int)
    paid = (rng.random(episodes) < np.where(arms == 1, 1 - p, p)).astype(float)
    return single_steps(arms, paid)


def single_steps(arms: np.ndarray, paid: np.ndarray) -> Episodes:
    """Episodes of one pull of one of two arms."""
    count = len(arms)
    return from_arrays(
        np.zeros((2 * count, 1), np.float32),
        arms,
        paid,
        np.ones(count, bool),
        lengths=[1] * count,
        observation_space=Bandit.observation_space,
        action_space=Bandit.action_space,
    )
