"""Objects that a policy draws without being asked for any: what GFlowNets turned to a reward have in common."""

from __future__ import annotations

from typing import ClassVar

import torch
from gfn.estimators import DiscretePolicyEstimator

from genrl.data.conditions import Conditions
from genrl.data.construction import Game
from genrl.data.episodes import Episodes
from genrl.diffusion.noise import BlockNoise
from genrl.gflownets.paths import episodes_of
from genrl.gflownets.sampler import BlockDraw, sample
from genrl.methods.method import Block, Method
from genrl.methods.ocgfn import refuse_length


class DrawnObjects(Method):
    """A method whose episodes are built by its ``policy``.

    Attributes:
        policy: P_F(s'|s), an estimator of torchgfn.
        game: what objects are built in.
    """

    understands: ClassVar[frozenset[str]] = frozenset()
    policy: DiscretePolicyEstimator
    game: Game

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Episodes whose objects are drawn by the policy; ``log_pf`` is told of each transition.

        Raises:
            ConditionError: there are conditions.
            ConfigurationError: a length, which objects have of themselves.
        """
        (conditions or Conditions()).require(type(self).__name__, set(self.understands), block.size)
        refuse_length(length)
        assert self.spec is not None
        noise, parts = BlockNoise(block.seed, block.index), []
        for part in block.parts(batch_size):
            rows = part.stop - part.start
            parts.append(sample(self.game.env, self.policy, rows, draw=BlockDraw(noise.part(part.start), rows)))
        return episodes_of(self.game, self.spec, parts, self.policy)
