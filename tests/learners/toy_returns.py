"""The list of return-conditioned learners that the general tests go through, and a task with known answers."""

from functools import partial

import numpy as np
from toy_data import SMALL, box

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.learners.rvs import RvS
from genrl.nets.mlp import MLP

LEARNERS = {
    "rvs": partial(RvS, net=partial(MLP, width=16, dropout=0.1), lr=1e-3),
}

EXACT = {  # the same, large enough for the task below
    "rvs": partial(RvS, net=SMALL, lr=5e-3, weight_decay=0.0),
}


def two_payments(episodes: int = 2000) -> Episodes:
    """Two steps, each of which pays its action; the state is the time. E[a_1 | R_1] = R_1 / 2, and a_2 = R_2."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (episodes, 2, 1)).astype(np.float32)
    return from_arrays(
        [np.arange(3, dtype=np.float32)[:, None] / 2] * episodes,
        list(actions),
        list(actions[..., 0].astype(np.float64)),
        [np.array([False, True])] * episodes,
        observation_space=box(1),
        action_space=box(1),
    )
