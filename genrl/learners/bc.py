"""Behaviour cloning: the action that the data took in a state, by supervised learning (Pomerleau 1988).

Continuous actions are regressed on, discrete ones drawn from a softmax. A desired goal in the observation is seen as it
was recorded; see ``GCBC`` for goals in hindsight.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.goals import GoalLayout
from genrl.data.ranges import require_at_least
from genrl.data.samplers import TransitionSampler
from genrl.learners.cloning import Cloning
from genrl.nets.mlp import MLP


class BC(Cloning):
    """Behaviour cloning for any action space without images.

    Args:
        net: network from observation columns to action outputs.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
        seed: of the initial weights.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = MLP,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(0, lr=lr, weight_decay=weight_decay)
        self.net, self.lr, self.weight_decay, self.seed = net, lr, weight_decay, seed

    def goal_leaves(self, layout: GoalLayout) -> tuple[str, ...]:
        """Goals as they were recorded."""
        return layout.desired

    def sampler(self, episodes: Episodes) -> TransitionSampler:
        """Transitions of standardised observations and encoded actions."""
        return TransitionSampler(
            self.observer(episodes.observations), self.head.codec.encode(episodes.actions), episodes
        )

    def inputs(self, batch: Transitions) -> Tensor:
        """(B, D) the observations."""
        return batch.observations
