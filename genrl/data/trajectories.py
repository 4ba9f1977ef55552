"""Stretches of trajectories with all that happened in them: what latent futures are told from.

Source: "Dichotomy of Control: Separating What You Can Control from What You Cannot" (Yang et al. 2022),
https://arxiv.org/abs/2210.13435, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from genrl.data.batch import Batch
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.data.history import HistorySampler


@dataclass(frozen=True)
class Trajectories(Batch):
    """B stretches of K consecutive steps, each from its first step on: where an episode ends, the rest is padding.

    Attributes:
        states: (B, K, S) s_t.
        actions: (B, K, A) a_t.
        rewards: (B, K) r_t.
        next_states: (B, K, S) s_{t+1}.
        returns: (B,) reward from the first step to the end of the whole episode.
        mask: (B, K) bool, where there was an action.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    next_states: Tensor
    returns: Tensor
    mask: Tensor

    @property
    def lengths(self) -> Tensor:
        """(B,) int64 steps before the padding."""
        return self.mask.sum(1)

    def steps(self) -> Tensor:
        """(B, K, 2 S + A + 1) all that happened at each step."""
        return torch.cat((self.states, self.actions, self.rewards[..., None], self.next_states), dim=-1)

    def outcomes(self) -> Tensor:
        """(B, K, S + 1) what each action led to, (r_t, s_{t+1})."""
        return torch.cat((self.rewards[..., None], self.next_states), dim=-1)

    def changes(self) -> Tensor:
        """(B, K, S + 1) reward, and what each action changed, (r_t, s_{t+1} - s_t)."""
        return torch.cat((self.rewards[..., None], self.next_states - self.states), dim=-1)

    def actions_before(self) -> Tensor:
        """(B, K, A) a_{t-1}; 0 at the first step."""
        return torch.cat((torch.zeros_like(self.actions[:, :1]), self.actions[:, :-1]), dim=1)

    def trimmed(self) -> Self:
        """Without the steps that are padding in every row."""
        longest = int(self.lengths.max())
        fields = ("states", "actions", "rewards", "next_states", "mask")
        return replace(self, **{name: getattr(self, name)[:, :longest] for name in fields})


class TrajectorySampler:
    """The stretch that begins at each of N transitions; none crosses the end of an episode.

    Args:
        states: (N + E, S) encoded observations, the last of each episode included.
        actions: (N, A) encoded actions.
        rewards: (N,) on whatever scale.
        returns: (N,) return to go of each transition, on whatever scale.
        episodes: whose rows they are.
        steps: K, at least 1.

    Raises:
        AlignmentError: the rows do not fit the episodes.
        ConfigurationError: a stretch without steps.
    """

    def __init__(
        self, states: Tensor, actions: Tensor, rewards: Tensor, returns: Tensor, episodes: Episodes, steps: int
    ) -> None:
        if steps < 1:
            raise ConfigurationError(f"A stretch of a trajectory has at least one step, not {steps}.")
        total, rows = episodes.num_transitions, episodes.num_transitions + len(episodes)
        if (len(states), len(actions), len(rewards), len(returns)) != (rows, total, total, total):
            raise AlignmentError(
                f"These episodes have {rows} observations and {total} transitions, not {len(states)} observations,"
                f" {len(actions)} actions, {len(rewards)} rewards and {len(returns)} returns."
            )
        at = episodes.observation_rows.to(states.device)
        parts = (states[at], actions, rewards[:, None], states[at + 1], returns[:, None])
        happened = torch.cat([part.to(states) for part in parts], dim=1)  # (N, 2 S + A + 2)
        self.sections = [part.shape[1] for part in parts]
        nothing = states[:, :0]
        # all that belongs to a step stands in the place of an action, K of which lie ahead of each transition
        self.windows = HistorySampler(nothing, happened, nothing, episodes, history=1, chunk=steps, goal_length=0)

    def __len__(self) -> int:
        return len(self.windows)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> Trajectories:
        """The stretches that begin at the transitions ``index`` (B,) int64."""
        windows = self.windows.fetch(index)
        states, actions, rewards, following, returns = windows.actions.split(self.sections, dim=-1)  # (B, K, ...)
        return Trajectories(states, actions, rewards[..., 0], following, returns[:, 0, 0], windows.mask)
