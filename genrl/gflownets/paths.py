"""The bridge between data sets and GFlowNets: episodes that build objects as actions, and trajectories as episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from gfn.containers import Trajectories
from gfn.estimators import DiscretePolicyEstimator
from torch import Tensor

from genrl.data.batch import Batch
from genrl.data.construction import Game
from genrl.data.episodes import Episodes
from genrl.data.errors import EmptyDatasetError
from genrl.training.spec import DataSpec


def trimmed(actions: Tensor) -> Tensor:
    """(N, T) actions without the steps at which none of them is left."""
    return actions[:, : int((actions >= 0).sum(1).max())]


@dataclass(frozen=True)
class Paths(Batch):
    """N trajectories as the actions that lead through them.

    Attributes:
        actions: (N, T) int64, -1 after the exit.
    """

    actions: Tensor

    @classmethod
    def of(cls, episodes: Episodes, longest: int) -> Paths:
        """Those of episodes in which an object was finished; what was cut off before is left out.

        Args:
            episodes: of any length up to ``longest`` = T.

        Raises:
            EmptyDatasetError: none was finished.
        """
        finished = episodes.terminations[episodes.transition_starts + episodes.lengths - 1]
        if not finished.any():
            raise EmptyDatasetError("No episode finishes an object: each ends with the exit, the last of all actions.")
        kept = episodes if finished.all() else episodes.select(finished)
        within = torch.arange(longest)
        rows = kept.transition_starts[:, None] + within
        inside = within < kept.lengths[:, None]
        (taken,) = kept.actions.values()
        return cls(torch.where(inside, taken[rows.clamp(max=len(taken) - 1)].long(), -1))

    def trimmed(self) -> Tensor:
        """(N, T) actions, T those of the longest."""
        return trimmed(self.actions)


class PathSampler:
    """Trajectories by index."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths.actions)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> Paths:
        """Those at ``index`` (B,)."""
        return Paths(self.paths.actions[index])


@torch.no_grad()
def episodes_of(
    game: Game,
    spec: DataSpec,
    parts: Sequence[Trajectories],
    policy: DiscretePolicyEstimator,
    outcomes: Tensor | None = None,
) -> Episodes:
    """Finished trajectories as episodes: T actions, T + 1 observations of which the last repeats the object.

    The object's reward is earned by the exit. Infos of a transition are ``log_pf`` under ``policy`` and, where given,
    the ``outcome`` (K,) that its episode was asked for.

    Args:
        game: that they belong to.
        spec: of the data, whose spaces and environment are the episodes'.
        parts: trajectories, one after the other.
        policy: that drew them.
        outcomes: (N, K) of all parts.

    Raises:
        OracleError: see ``Game.rewards``.
    """
    states, actions, log_pf, lengths, objects = [], [], [], [], []
    for made in parts:
        taken = ~made.actions.is_dummy.T  # (N, T)
        going = torch.nn.functional.pad(taken[:, 1:], (0, 1))  # a state follows that is not the sink
        seen = made.states.tensor.transpose(0, 1)  # (N, T + 1, S)
        x = made.terminating_states.tensor
        after = torch.where(going[..., None], seen[:, 1:], x[:, None])  # in place of the sink the object once more
        inside = torch.nn.functional.pad(taken, (1, 0), value=True)
        states.append(torch.cat((seen[:, :1], after), 1)[inside])
        actions.append(made.actions.tensor[..., 0].T[taken])
        log_pf.append(_log_pf(policy, made).T[taken])
        lengths.append(made.terminating_idx)
        objects.append(x)
    length = torch.cat(lengths).cpu()
    last = length.cumsum(0) - 1
    rewards = torch.zeros(int(length.sum()), dtype=torch.float64)
    rewards[last] = game.rewards(torch.cat(objects)).cpu()
    ends = torch.zeros(len(rewards), dtype=torch.bool).index_fill(0, last, True)
    infos = {"log_pf": torch.cat(log_pf).cpu()}
    if outcomes is not None:
        infos["outcome"] = outcomes.cpu().repeat_interleave(length, 0)
    observation_dtype = getattr(torch, str(spec.observation_space.dtype))
    return Episodes(
        spec.observation_space,
        spec.action_space,
        {"": torch.cat(states).cpu().to(observation_dtype)},
        {"": torch.cat(actions).cpu()},
        rewards.to(getattr(torch, spec.reward_dtype)),
        ends,
        torch.zeros_like(ends),
        length,
        infos,
    )


def _log_pf(policy: DiscretePolicyEstimator, made: Trajectories) -> Tensor:
    """(T, N) log-probability of every action, 0 after the exit."""
    taken = ~made.actions.is_dummy
    states = made.states[:-1][taken]
    conditions = () if states.conditions is None else (states.conditions,)
    distribution = policy.to_probability_distribution(states, policy(states, *conditions))
    found = torch.zeros(taken.shape, device=taken.device)
    found[taken] = distribution.log_prob(made.actions[taken].tensor).to(found.dtype)
    return found
