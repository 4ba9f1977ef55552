"""Episodes in a world model whose rewards are lowered where the model is unsure: the data that MOPO learns from.

Source: "MOPO: Model-based Offline Policy Optimization" (Yu et al. 2020), https://arxiv.org/abs/2005.13239, algorithm 2:
r~ = r - lambda u(s, a), with u the largest deviation that a member of the ensemble predicts. MOPO itself is soft
actor-critic fitted to the real data under a ``Renewal`` by the source ``Pessimistic``.
"""

from __future__ import annotations

from dataclasses import replace

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_at_least, require_numbers
from genrl.dynamics.uncertainty import largest_deviation
from genrl.methods.imagination import Actor, Imagination
from genrl.methods.method import Block
from genrl.methods.world_model import WorldModel


class PessimisticImagination(Imagination):
    """``Imagination`` with rewards r - lambda max_i ||Sigma_i(s, a)||.

    Args:
        world_model, policy, stochastic, disagreement: see ``Imagination``.
        horizon: of a rollout; 1 or 5 in the paper.
        penalty: lambda; 0.5 to 5 in the paper.

    Raises:
        ConfigurationError: the parts do not fit, the world model is no ensemble of Gaussians, or a negative penalty.
    """

    world_model: WorldModel

    def __init__(
        self,
        world_model: WorldModel,
        policy: Actor,
        horizon: int = 5,
        penalty: float = 1.0,
        stochastic: bool = True,
        disagreement: bool = True,
    ) -> None:
        super().__init__(world_model, policy, horizon, stochastic, disagreement)
        if not isinstance(world_model, WorldModel):
            raise ConfigurationError(
                f"A {type(world_model).__name__} has no deviations of members to lower rewards by: fit a WorldModel, or"
                " take plain Imagination (the source Imagined)."
            )
        require_numbers(type(self).__name__, penalty=penalty)
        require_at_least(0, penalty=penalty)  # it lowers rewards where the model is unsure
        self.penalty = penalty

    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Rollouts as ``Imagination`` makes them, under lower rewards; the info ``uncertainty`` is u of a transition.

        Raises:
            ConditionError, ConfigurationError: as ``Imagination``.
        """
        made = super().synthesize(block, conditions, length=length, batch_size=batch_size)
        columns = self.world_model.columns
        states = columns.observation_codec.encode(made.observations)[made.observation_rows]
        actions = columns.action_codec.encode(made.actions)
        uncertainty = largest_deviation(self.world_model.ensemble, states, actions).cpu()  # (N,)
        return self.rewarded(replace(made, infos={**made.infos, "uncertainty": uncertainty}))

    def rewarded(self, episodes: Episodes) -> Episodes:
        """The rewards, whether the model's or the environment's, lowered by the info ``uncertainty``."""
        penalty = self.penalty * episodes.infos["uncertainty"].to(episodes.rewards)
        return replace(episodes, rewards=episodes.rewards - penalty)
