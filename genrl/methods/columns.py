"""Observations and actions of a data set as columns of numbers, and generated columns as episodes again.

The desired goal is a label, not part of the physics: it is not among the columns, and a generated episode is labelled
in hindsight with what it achieved at its end, or with the goal it was asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.goals import GoalLayout
from genrl.data.spaces import Leaves
from genrl.training.spec import DataSpec


class EpisodeColumns(nn.Module):
    """Codecs of one data set: [state, achieved goal] columns of observations, and columns of actions.

    An achieved goal that merely copies a part of the state has no columns of its own.

    Args:
        spec: of the data.
        squash: open bounded actions up by arctanh.

    Attributes:
        achieved: which columns of an observation are the achieved goal.
    """

    def __init__(self, spec: DataSpec, squash: bool) -> None:
        super().__init__()
        layout = GoalLayout.of(spec.observation_space)
        self.spec, self.layout = spec, layout
        self.copies_goal = spec.tied is not None
        separate = tuple(leaf for leaf in layout.achieved if leaf not in layout.state and not self.copies_goal)
        self.observation_codec = SpaceCodec(spec.observation_space, layout.state + separate)
        self.state_codec = SpaceCodec(spec.observation_space, layout.state)
        self.action_codec = SpaceCodec(spec.action_space, squash=squash)
        if spec.tied is not None:
            self.achieved = list(spec.tied)
        else:
            sections = self.observation_codec.sections
            self.achieved = [c for leaf in layout.achieved for c in range(sections[leaf].start, sections[leaf].stop)]

    def episodes(
        self,
        observations: Tensor,
        actions: Tensor,
        rewards: Tensor,
        lengths: Tensor,
        terminated: Tensor,
        goals: Tensor | None = None,
    ) -> Episodes:
        """B episodes from columns in the data's own units, on the CPU.

        Args:
            observations: (B, T + 1, S).
            actions: (B, T, A).
            rewards: (B, T).
            lengths: (B,) transitions of each episode, from 1 to T; what stands behind them is left out.
            terminated: (B,) whether the last transition terminates the episode; it is truncated there otherwise.
            goals: (B, G) goals asked for; without them an episode is labelled with what it achieved.
        """
        steps = torch.arange(observations.shape[1])
        states = observations[steps <= lengths[:, None]]  # (N + B, S)
        acted = steps[:-1] < lengths[:, None]
        last = lengths.cumsum(0) - 1
        terminations = torch.zeros(int(lengths.sum()), dtype=torch.bool)
        terminations[last] = terminated
        truncations = torch.zeros_like(terminations)
        truncations[last] = ~terminated
        leaves = _on_cpu(self.observation_codec.decode(states))
        if self.layout.desired:
            achieved = SpaceCodec(self.spec.observation_space, self.layout.achieved)
            leaves |= achieved.decode(states[:, self.achieved])
            leaves |= self._desired(leaves, lengths, goals)
        return Episodes(
            self.spec.observation_space,
            self.spec.action_space,
            leaves,
            _on_cpu(self.action_codec.decode(actions[acted])),
            rewards[acted].to(getattr(torch, self.spec.reward_dtype)),
            terminations,
            truncations,
            lengths,
            card=self.spec.card,
        )

    def _desired(self, observations: Leaves, lengths: Tensor, goals: Tensor | None) -> Leaves:
        """The desired goal at every observation: what was asked for, or what the episode achieved at its end."""
        if goals is None:
            ends = (lengths + 1).cumsum(0) - 1
            reached = {leaf: observations[leaf][ends] for leaf in self.layout.achieved}
        else:
            reached = SpaceCodec(self.spec.observation_space, self.layout.achieved).decode(goals.float())
        return {
            desired: torch.repeat_interleave(reached[achieved], lengths + 1, dim=0)
            for achieved, desired in zip(self.layout.achieved, self.layout.desired, strict=True)
        }


def _on_cpu(leaves: Leaves) -> Leaves:
    return {path: leaf.cpu() for path, leaf in leaves.items()}
