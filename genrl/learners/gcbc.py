"""Goal-conditioned behaviour cloning: what the data did in a state from which it went on to reach the goal.

Goals come from the future of the same episode. Sources: "Goal-conditioned Imitation Learning" (Ding et al. 2019),
https://arxiv.org/abs/1906.05838; "Learning to Reach Goals via Iterated Supervised Learning" (Ghosh et al. 2021),
https://arxiv.org/abs/1912.06088.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genrl.data.batch import GoalTransitions
from genrl.data.episodes import Episodes
from genrl.data.goals import GoalLayout
from genrl.data.ranges import require_at_least
from genrl.data.samplers import GoalSampler, TransitionSampler, geometric_future, uniform_future
from genrl.learners.cloning import Cloning
from genrl.nets.mlp import MLP


class GCBC(Cloning):
    """Behaviour cloning towards goals in hindsight; acts towards the desired goal or ``conditions.goal``.

    Where observations hold no goals, a goal is a whole state, and ``conditions.goal`` must be given to act.

    Args:
        net: network from [state, goal] columns to action outputs.
        goal_discount: goals lie k steps ahead with probability proportional to ``goal_discount ** k``; None for every
            future step alike.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW.
        seed: of the initial weights.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        net: Callable[[int, int], nn.Module] = MLP,
        goal_discount: float | None = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(0, lr=lr, weight_decay=weight_decay)
        self.net, self.goal_discount = net, goal_discount
        self.lr, self.weight_decay, self.seed = lr, weight_decay, seed

    def goal_leaves(self, layout: GoalLayout) -> tuple[str, ...]:
        """Goals are what was achieved."""
        return layout.achieved

    def sampler(self, episodes: Episodes) -> GoalSampler:
        """Transitions of standardised states and encoded actions, with standardised goals from their future."""
        states = self.observer.state(episodes.observations)
        goals = self.observer.goal(episodes.observations)
        transitions = TransitionSampler(states, self.head.codec.encode(episodes.actions), episodes)
        future = uniform_future if self.goal_discount is None else geometric_future(self.goal_discount)
        return GoalSampler(transitions, goals, future)

    def inputs(self, batch: GoalTransitions) -> Tensor:
        """(B, D) states beside goals."""
        return torch.cat((batch.observations, batch.goals), dim=-1)
