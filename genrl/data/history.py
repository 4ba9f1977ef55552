"""Windows around every transition: what was seen and done before it, and what was done from there on.

The window of transition t holds the states s_{t-T+1} .. s_t and the actions a_{t-T+1} .. a_{t+K-1}, T being the history
and K the chunk. Before an episode begins its first state stands and no action; after its end there is no action either.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genrl.data.batch import Batch
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.data.samplers import Future, WindowSampler, uniform_future


@dataclass(frozen=True)
class HistoryWindows(Batch):
    """B windows; H = T - 1 + K.

    Attributes:
        states: (B, T, S).
        actions: (B, H, A), the action that belongs to the newest state at place T - 1; 0 where there was none.
        mask: (B, H) bool, where there was an action.
        goals: (B, G, D) consecutive achieved goals of the future of s_t in its episode, the last one drawn.
    """

    states: Tensor
    actions: Tensor
    mask: Tensor
    goals: Tensor


class HistorySampler:
    """A window and a goal for every transition of some episodes; none crosses the end of an episode.

    Args:
        states: (N + E, S) rows of every observation, the last of each episode included.
        actions: (N, A).
        goals: (N + E, D) what was achieved at every observation.
        episodes: whose rows they are.
        history: T, at least 1.
        chunk: K, at least 1.
        goal_length: G, consecutive goals; 0 for none.
        future: how to choose the last goal among the rows from s_{t+1} to the episode's end.

    Raises:
        AlignmentError: the rows do not fit the episodes.
        ConfigurationError: a window without states or without actions.
    """

    def __init__(
        self,
        states: Tensor,
        actions: Tensor,
        goals: Tensor,
        episodes: Episodes,
        history: int = 1,
        chunk: int = 1,
        goal_length: int = 1,
        future: Future = uniform_future,
    ) -> None:
        if history < 1 or chunk < 1 or goal_length < 0:
            raise ConfigurationError(
                f"A window has at least one state and one action, not {history} and {chunk}, and no fewer than 0 goals."
            )
        total, rows = episodes.num_transitions, episodes.num_transitions + len(episodes)
        if (len(states), len(goals), len(actions)) != (rows, rows, total):
            raise AlignmentError(
                f"These episodes have {rows} observations and {total} actions, not {len(states)} states,"
                f" {len(goals)} goals and {len(actions)} actions."
            )
        self.history, self.state_dim, self.goal_length, self.choose = history, states.shape[1], goal_length, future
        last = episodes.observation_starts + episodes.lengths
        packed = torch.zeros(rows, self.state_dim + actions.shape[1] + 1, device=states.device)
        packed[:, : self.state_dim] = states
        at = episodes.observation_rows.to(states.device)
        packed[at, self.state_dim : -1] = actions
        packed[at, -1] = 1.0  # there is an action
        padded, lengths = _padded(packed, self.state_dim, episodes, history - 1, chunk - 1)
        self.windows = WindowSampler(padded, lengths, history - 1 + chunk)
        self.goals, self._row = goals, episodes.observation_rows.to(states.device)
        self._last = last[episodes.episode_of_transition].to(states.device)
        self._back = torch.arange(1 - goal_length, 1, device=states.device)  # (G,)

    def __len__(self) -> int:
        return len(self._row)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> HistoryWindows:
        """The windows of the transitions at ``index`` (B,) int64, with goals drawn from ``generator``.

        Raises:
            ConfigurationError: goals are to be drawn and no generator is given.
        """
        index = index.to(self._row.device)
        rows = self.windows.fetch(index).rows  # (B, H, S + A + 1)
        states, actions, done = rows.split((self.state_dim, rows.shape[-1] - self.state_dim - 1, 1), dim=-1)
        return HistoryWindows(states[:, : self.history], actions, done[..., 0] > 0, self._goals(index, generator))

    def goal_rows(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """(B, G) the observation rows whose goals the windows at ``index`` are given."""
        first, last = self._row[index] + 1, self._last[index]
        chosen = self.choose(first, last, generator)
        return (chosen[:, None] + self._back).maximum(first[:, None])  # what comes first in the future is repeated

    def _goals(self, index: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, G, D)."""
        if not self.goal_length:
            return self.goals.new_zeros(len(index), 0, self.goals.shape[1])
        if generator is None:
            raise ConfigurationError("A HistorySampler draws goals at random: pass fetch a torch.Generator.")
        rows = self.goal_rows(index, generator)
        return self.goals.index_select(0, rows.flatten()).view(*rows.shape, -1)


def _padded(packed: Tensor, state_dim: int, episodes: Episodes, before: int, after: int) -> tuple[Tensor, Tensor]:
    """Rows of the transitions with ``before`` states in front and ``after`` behind that have no action, and lengths."""
    lengths = episodes.lengths + before + after
    first = torch.repeat_interleave(episodes.observation_starts, lengths)
    offset = torch.arange(int(lengths.sum())) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths) - before
    last = torch.repeat_interleave(episodes.lengths, lengths)  # of the final state, which has no action
    rows = packed[(first + offset.clamp(min=0).minimum(last)).to(packed.device)]
    rows[(offset < 0).to(packed.device), state_dim:] = 0.0
    return rows, lengths
