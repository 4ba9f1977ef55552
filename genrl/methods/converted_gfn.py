"""An outcome-conditioned GFlowNet turned to a reward, without any training.

Source: "Pre-Training and Fine-Tuning Generative Flow Networks" (Pan et al. 2024), https://arxiv.org/abs/2310.03419,
equation 8. Where F(s|y) and P_F(s'|s, y) are balanced for every y,

    pi_r(s'|s) = sum_y r(y) F(s|y) P_F(s'|s, y) / sum_y r(y) F(s|y)

draws every object x with a probability in proportion to r(x).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from gfn.estimators import DiscretePolicyEstimator
from gfn.states import States
from torch import Tensor, nn

from genrl.data.construction import Game, Reward
from genrl.data.errors import ConfigurationError
from genrl.gflownets.estimators import Encoded
from genrl.gflownets.exact import StateSpace, table
from genrl.gflownets.rewarded import rewarded
from genrl.methods.drawn_objects import DrawnObjects
from genrl.methods.method import Composite
from genrl.methods.ocgfn import OCGFN

ROWS = 16_384
"""Pairs of a state and an outcome that the networks see at once."""


class ConvertedPolicy(DiscretePolicyEstimator):
    """pi_r, by a sum over Y outcomes in every state that is met.

    Args:
        ocgfn: fitted.
        outcomes: (Y, K) what is summed over.
        rewards: (Y,) their rewards.
    """

    def __init__(self, ocgfn: OCGFN, outcomes: Tensor, rewards: Tensor) -> None:
        super().__init__(nn.Identity(), ocgfn.game.actions, Encoded(ocgfn.game))
        self._parts = (ocgfn,)  # a tuple, so that its weights are not this module's own
        self.outcomes, self.log_rewards = outcomes, rewards.log()

    @torch.no_grad()
    def forward(self, states: States) -> Tensor:  # type: ignore[override]
        """(B, A) logarithm of the sums, each state's largest summand being 1; the exit is among the actions."""
        (ocgfn,) = self._parts
        distinct, which = states.tensor.unique(dim=0, return_inverse=True)
        asked = ocgfn.game.encode_outcome(self.outcomes)
        per_pass = max(1, ROWS // len(asked))
        return torch.cat([self._sums(ocgfn, part, asked) for part in distinct.split(per_pass)])[which]

    def _sums(self, ocgfn: OCGFN, states: Tensor, asked: Tensor) -> Tensor:
        """(U, A) for U states."""
        held: Any = ocgfn.game.env.states_from_tensor(states.repeat_interleave(len(asked), 0))
        conditions = asked.repeat(len(states), 1)
        balance: Any = ocgfn.balance
        log_pf = balance.pf.to_probability_distribution(held, balance.pf(held, conditions)).logits  # (U Y, A)
        log_f = balance.logF(held, conditions)[:, 0].unflatten(0, (len(states), -1))  # (U, Y)
        summands = (self.log_rewards + log_f.double())[..., None] + log_pf.unflatten(0, log_f.shape).double()
        return summands.logsumexp(1)


class ConvertedGFN(DrawnObjects, Composite):
    """A fitted OCGFN that draws objects in proportion to a reward, summed over all outcomes there are.

    Args:
        ocgfn: fitted, of an environment whose outcomes are the objects themselves, and few enough to list.
        reward: (N, S) objects to (N,) rewards; the environment's own where None.

    Attributes:
        policy: pi_r, a policy estimator of torchgfn.

    Raises:
        ConfigurationError: the part was never fitted, has outcomes of another kind, or there are too many.
        OracleError: a reward failed, or is not finite and above 0.
    """

    def __init__(self, ocgfn: OCGFN, reward: Reward | None = None) -> None:
        super().__init__()
        require_objects(ocgfn, type(self).__name__)
        self.ocgfn, self.reward = ocgfn, reward
        self.spec = rewarded(ocgfn.spec, reward)
        self.game = Game.of(self.spec.card)
        outcomes = self.space.objects
        self.policy = ConvertedPolicy(ocgfn, outcomes, self.game.rewards(outcomes))

    @cached_property
    def space(self) -> StateSpace:
        """All states of the environment."""
        return StateSpace.of(self.game.env)

    def probabilities(self) -> Tensor:
        """(X,) float64 exact probability of every object of ``space.objects``."""
        return self.space.spread(table(self.space, self.game.env, self.policy))


def require_objects(ocgfn: OCGFN, who: str) -> None:
    """Refuse what cannot be turned to a reward of objects.

    Raises:
        ConfigurationError: it was never fitted, or has outcomes other than objects.
    """
    if ocgfn.spec is None:
        raise ConfigurationError(f"{who} is made of a fitted OCGFN; fit or load it first.")
    if hasattr(ocgfn.game.env, "outcome"):
        raise ConfigurationError(
            f"{who} sums over objects, but the outcomes of {type(ocgfn.game.env).__name__} are other than these; ask"
            " the OCGFN itself for outcomes."
        )
