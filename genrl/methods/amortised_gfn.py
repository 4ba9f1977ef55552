"""An outcome-conditioned GFlowNet turned to a reward where there are too many outcomes to sum over.

Source: "Pre-Training and Fine-Tuning Generative Flow Networks" (Pan et al. 2024), https://arxiv.org/abs/2310.03419,
section 4.3. The sum N(s'|s) = sum_y r(y) F(s|y) P_F(s'|s, y) is learned, and with it Q(y|s, s'), its summands made to
sum to one. The pre-trained F(s|y) and P_F(s'|s, y) stay as they are:

    min  [log N(s'|s) + log Q(y|s, s') - log r(y) - log F(s|y) - log P_F(s'|s, y)]^2

for edges of trajectories drawn from N / sum N, and outcomes y from a tempered Q or, at the cost of one reward for the
whole trajectory and not one an edge, the outcome that the trajectory came to itself (hindsight; ours). The equation
holds for every y, so where they come from decides what is learned first, not what is right.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from gfn.containers import Trajectories
from gfn.estimators import DiscretePolicyEstimator
from torch import Tensor, nn

from genrl.data.construction import Reward
from genrl.data.errors import ConfigurationError
from genrl.data.spaces import require_same_spaces
from genrl.gflownets.estimators import Net, policy
from genrl.gflownets.explorer import NET
from genrl.gflownets.outcomes import OutcomeModel
from genrl.gflownets.sampler import terminal
from genrl.methods.converted_gfn import require_objects
from genrl.methods.ocgfn import OCGFN
from genrl.methods.rewarded_gfn import RewardedGFN
from genrl.training.checkpoint import load
from genrl.training.rest import frozen
from genrl.training.spec import DataSpec


class AmortisedGFN(RewardedGFN):
    """Draws objects in proportion to a reward, by what a fitted OCGFN knows of how to build them.

    Args:
        ocgfn: fitted, of an environment whose outcomes are the objects themselves, or the path of its checkpoint.
        net: maker of N and Q.
        hindsight: share of edges whose y is what their own trajectory came to; for the others it comes from Q. Without
            any of the latter, Q may give to outcomes that no trajectory comes to, and N grows by as much unnoticed.
        temperature: of Q where y is drawn from it; above 1 for outcomes of more kinds.
        reward, queries, epsilon, replay, lr: see ``RewardedGFN``.
        lr_log_Z: of a factor of N, the same for all edges.
        seed: of initial weights and all draws.

    Attributes:
        policy: N(s'|s) / sum N, a policy estimator of torchgfn whose logits are log N but for the factor.

    Raises:
        ConfigurationError: the part was never fitted or has outcomes of another kind, or a number is out of range.
    """

    def __init__(
        self,
        ocgfn: OCGFN | str,
        net: Net = NET,
        reward: Reward | None = None,
        hindsight: float = 0.5,
        temperature: float = 1.0,
        queries: int = 100_000,
        epsilon: float = 0.05,
        replay: float = 0.0,
        lr: float = 2e-3,
        lr_log_Z: float = 0.1,  # noqa: N803 (the paper's symbol)
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= hindsight <= 1 or temperature <= 0:
            raise ConfigurationError(
                f"hindsight is a share from 0 to 1 and temperature above 0, not {hindsight} and {temperature}."
            )
        known: Any = load(ocgfn) if isinstance(ocgfn, str) else ocgfn
        require_objects(known, type(self).__name__)
        self.ocgfn: OCGFN = known
        self.net, self.reward, self.hindsight, self.temperature = net, reward, hindsight, temperature
        self.queries, self.epsilon, self.replay, self.lr, self.lr_log_Z = queries, epsilon, replay, lr, lr_log_Z
        self.seed = seed
        self.require_shares()

    def build(self, spec: DataSpec) -> None:
        """The environment, N and Q.

        Raises:
            ConfigurationError: the part was fitted to another environment.
        """
        known = self.ocgfn.spec
        assert known is not None
        remedy = "give data of the environment that it was fitted to"
        require_same_spaces(known, "The OCGFN", spec, "the data set", remedy)
        super().build(spec)
        self.n = policy(self.game, self.net)
        self.q = OutcomeModel(self.game, self.net)
        self.log_factor = nn.Parameter(torch.zeros(()))

    @property
    def policy(self) -> DiscretePolicyEstimator:
        """N(s'|s) / sum N."""
        return self.n

    def on_train_start(self) -> None:
        """The pre-trained part is not trained."""
        frozen(self.ocgfn)

    def losses(self, made: Trajectories) -> dict[str, Tensor]:
        """The squared logarithm, in the mean over all edges."""
        taken = ~made.actions.is_dummy  # (T, N)
        states, actions = made.states[:-1][taken], made.actions[taken].tensor[:, 0]  # M edges
        x = terminal(made).expand(*taken.shape, -1)[taken]  # (M, K)
        y = self.outcomes(x, states.tensor, actions)
        log_n = self.log_factor + self.n(states).gather(1, actions[:, None])[:, 0]
        log_q = self.q.log_prob(y, states.tensor, actions)
        excess = log_n + log_q - self.asked(y).log().to(log_n) - self.log_flow(states, actions, y)
        return {"loss": excess.square().mean(), "log_n": log_n.mean(), "log_q": log_q.mean()}

    def outcomes(self, x: Tensor, states: Tensor, actions: Tensor) -> Tensor:
        """(M, K) outcomes for edges of trajectories that came to x (M, K)."""
        if self.hindsight == 1:
            return x
        from_q = torch.rand(len(x)).to(x.device) >= self.hindsight
        return x.index_put((from_q,), self.q.sample(states[from_q], actions[from_q], self.temperature))

    @torch.no_grad()
    def log_flow(self, states: Any, actions: Tensor, outcomes: Tensor) -> Tensor:
        """(M,) log F(s|y) + log P_F(s'|s, y) of the pre-trained part."""
        asked, balance = self.ocgfn.game.encode_outcome(outcomes), self.ocgfn.balance
        distribution: Any = balance.pf.to_probability_distribution(states, balance.pf(states, asked))
        log_f: Tensor = balance.logF(states, asked)[:, 0]
        return log_f + distribution.log_prob(actions[:, None])

    def rates(self) -> list[dict[str, Any]]:
        """N and Q, and the factor at a rate of its own."""
        networks = [*self.n.parameters(), *self.q.parameters()]
        return [{"params": networks, "lr": self.lr}, {"params": [self.log_factor], "lr": self.lr_log_Z}]

    def turned_to(self, reward: Reward | None) -> AmortisedGFN:
        """One for another reward that goes on from these weights, and has asked for nothing yet.

        One that was fitted to ``Constant``, which costs no query, is a good beginning for every reward.
        """
        arguments = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        other = type(self)(**{**arguments, "reward": reward})
        assert self.ocgfn.spec is not None
        other.assemble(self.ocgfn.spec)
        for part in ("n", "q"):
            getattr(other, part).load_state_dict(getattr(self, part).state_dict())
        other.log_factor.data.copy_(self.log_factor)
        return other
