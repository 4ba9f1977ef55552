"""Windows of an episode beside the return that was still to come: what return-conditioned policies learn from.

Source: "Decision Transformer: Reinforcement Learning via Sequence Modeling" (Chen et al. 2021),
https://arxiv.org/abs/2106.01345, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genrl.data.batch import Batch
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.data.history import HistorySampler


@dataclass(frozen=True)
class ReturnWindows(Batch):
    """B windows of K consecutive steps, each from its first step on: where an episode ends, the rest is padding.

    Attributes:
        observations: (B, K, D).
        actions: (B, K, A).
        returns: (B, K) reward from each step to the end of the whole episode.
        times: (B, K) steps since the episode began.
        mask: (B, K) bool, where there was an action.
    """

    observations: Tensor
    actions: Tensor
    returns: Tensor
    times: Tensor
    mask: Tensor


class ReturnWindowSampler:
    """The window that begins at each of N transitions; none crosses the end of an episode.

    Args:
        observations: (N + E, D) encoded observations, the last of each episode included.
        actions: (N, A) encoded actions.
        returns: (N,) return to go of each transition, on whatever scale.
        episodes: whose rows they are.
        context: K, at least 1.

    Raises:
        AlignmentError: the rows do not fit the episodes.
        ConfigurationError: a window without steps.
    """

    def __init__(
        self, observations: Tensor, actions: Tensor, returns: Tensor, episodes: Episodes, context: int
    ) -> None:
        if context < 1:
            raise ConfigurationError(f"A context has at least one step, not {context}.")
        total, rows = episodes.num_transitions, episodes.num_transitions + len(episodes)
        if (len(observations), len(actions), len(returns)) != (rows, total, total):
            raise AlignmentError(
                f"These episodes have {rows} observations and {total} transitions, not {len(observations)}"
                f" observations, {len(actions)} actions and {len(returns)} returns."
            )
        at = episodes.observation_rows
        times = at - episodes.observation_starts[episodes.episode_of_transition]
        parts = (observations[at.to(observations.device)], actions, returns[:, None], times[:, None])
        steps = torch.cat([part.to(observations) for part in parts], dim=1)  # (N, D + A + 2)
        self.sections = [part.shape[1] for part in parts]
        nothing = observations[:, :0]
        # all that belongs to a step stands in the place of an action, K of which lie ahead of each transition
        self.windows = HistorySampler(nothing, steps, nothing, episodes, history=1, chunk=context, goal_length=0)

    def __len__(self) -> int:
        return len(self.windows)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> ReturnWindows:
        """The windows that begin at the transitions ``index`` (B,) int64."""
        windows = self.windows.fetch(index)
        observations, actions, returns, times = windows.actions.split(self.sections, dim=-1)  # (B, K, ...)
        return ReturnWindows(observations, actions, returns[..., 0], times[..., 0].long(), windows.mask)
