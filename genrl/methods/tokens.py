"""States as tokens, and trajectories as routes of tokens: the bridge from data sets to GFlowNets over plans.

A trajectory's states are named by the nearest of V centres, every k-th of them is looked at, and what stays in one
token is one: a route tells where a trajectory leads, not how long it takes, which is left to whoever carries it out. So
routes are short, as GFlowNets like their objects, and no plan learns to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree
from torch import Tensor

from genrl.data.environments import env_spec_json, make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import ConditionError, ConfigurationError, EmptyDatasetError
from genrl.data.randomness import generator
from genrl.data.ranges import require_whole
from genrl.data.setting import Setting
from genrl.gflownets.walks import Walks
from genrl.methods.columns import EpisodeColumns
from genrl.training.spec import DataSpec

Codebook = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(N, C) points to (V, C) centres, and (C,) the unit of length along each column, about that between neighbours."""


@dataclass(frozen=True)
class Bins:
    """The cells of a regular grid that hold a point.

    Attributes:
        width: of a cell, one number or one a column.
        corner: where a cell begins, likewise.
    """

    width: float | Sequence[float] = 1.0
    corner: float | Sequence[float] = 0.0

    def __post_init__(self) -> None:
        if not (np.asarray(self.width) > 0).all():
            raise ConfigurationError(f"The width of a bin must be above 0, not {self.width}.")

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``Codebook``."""
        width, corner = (
            np.broadcast_to(np.asarray(each, float), points.shape[1:]) for each in (self.width, self.corner)
        )
        cells = np.unique(np.floor((points - corner) / width), axis=0)
        return (cells + 0.5) * width + corner, width


@dataclass(frozen=True)
class Clusters:
    """A vector quantiser that is learned: the centres of k-means, over columns scaled to unit variance.

    Source: Lloyd (1982), "Least squares quantization in PCM".

    Attributes:
        count: how many.
        seed: of the first centres.
    """

    count: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(1, count=self.count)

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``Codebook``."""
        scale = points.std(0)
        scale = np.where(scale > 0, scale, 1.0)
        count = min(self.count, len(np.unique(points, axis=0)))
        centres, _ = kmeans2(points / scale, count, minit="++", rng=np.random.default_rng(self.seed), missing="warn")
        apart = cKDTree(centres).query(centres, k=2)[0][:, 1].mean() if count > 1 else 1.0
        return centres * scale, scale * apart


@dataclass(frozen=True)
class Tokens(Setting):
    """V names of states.

    Attributes:
        spec: of the data, as JSON.
        columns: C columns of the encoded observation that tell tokens apart.
        every: steps between two states that are looked at.
        centres: (V, C) one a token.
        unit: (C,) unit of length along each column.
        states: (V, S) the state of the data that is nearest to each centre: what stands for a token.
    """

    spec: str
    columns: Sequence[int]
    every: int
    centres: Sequence[Sequence[float]]
    unit: Sequence[float]
    states: Sequence[Sequence[float]]

    @classmethod
    def of(
        cls,
        episodes: Episodes,
        codebook: Codebook = Bins(),
        columns: Sequence[int] | None = None,
        every: int = 1,
    ) -> Tokens:
        """Tokens for the states of ``episodes``.

        Args:
            episodes: the data.
            codebook: ``Bins``, ``Clusters``, or another.
            columns: which of the encoded observation tell tokens apart; by default those of the achieved goal, or all
            where the space holds no goals.
            every: steps between two states that are looked at.

        Raises:
            ConfigurationError: such columns are not there, or fewer than one step.
        """
        spec = DataSpec.of(episodes)
        layout = EpisodeColumns(spec, squash=False)
        states = layout.observation_codec.encode(episodes.observations).double()
        chosen = list(layout.achieved if columns is None else columns)
        if every < 1 or not chosen or not set(chosen) <= set(range(states.shape[1])):
            raise ConfigurationError(
                f"Tokens are told apart by some of the {states.shape[1]} columns of a state, every step or every few;"
                f" not by columns {chosen} every {every}."
            )
        points = states[:, chosen].numpy()
        centres, unit = codebook(points)
        nearest = cKDTree(points / unit).query(centres / unit)[1]
        return cls(spec.to_json(), chosen, every, centres.tolist(), unit.tolist(), states[nearest].tolist())

    def __len__(self) -> int:
        """V."""
        return len(self.centres)

    @cached_property
    def source(self) -> DataSpec:
        """Of the data that the tokens come from."""
        return DataSpec.from_json(self.spec)

    @cached_property
    def layout(self) -> EpisodeColumns:
        """Columns of these data."""
        return EpisodeColumns(self.source, squash=False)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(np.asarray(self.centres) / np.asarray(self.unit))

    def name(self, states: Tensor) -> Tensor:
        """(N,) int64 tokens of encoded states (N, S)."""
        return self.name_points(states[:, list(self.columns)])

    def name_points(self, points: Tensor) -> Tensor:
        """(N,) int64 tokens of points (N, C)."""
        found = self._tree.query(points.double().cpu().numpy() / np.asarray(self.unit))[1]
        return torch.from_numpy(found.astype(np.int64))

    def of_goals(self, goals: Tensor) -> Tensor:
        """(N,) int64 tokens of achieved goals (N, G), or of whole states where the space has none.

        Raises:
            ConditionError: goals do not tell tokens apart, or have another shape.
        """
        goal = self.layout.achieved
        if not set(self.columns) <= set(goal):
            raise ConditionError(
                f"A goal tells the columns {goal} of a state, and tokens are told apart by {list(self.columns)}: ask"
                " for an 'outcome' of first and last token."
            )
        if goals.ndim != 2 or goals.shape[1] != len(goal):
            raise ConditionError(f"The condition 'goal' must be (B, {len(goal)}), not {tuple(goals.shape)}.")
        return self.name_points(goals[:, [goal.index(column) for column in self.columns]])

    def decode(self, tokens: Tensor) -> Tensor:
        """(..., S) float64 states that stand for tokens (...)."""
        return torch.tensor(self.states, dtype=torch.float64)[tokens]

    def routes(self, episodes: Episodes) -> list[list[int]]:
        """The tokens that each episode comes through, one after the other; what stays in one is one."""
        named, found = self.name(self.layout.observation_codec.encode(episodes.observations)), []
        for start, length in zip(episodes.observation_starts.tolist(), episodes.lengths.tolist(), strict=True):
            along = named[start : start + length + 1 : self.every]
            found.append(along.unique_consecutive().tolist())
        return found

    def encode(
        self, episodes: Episodes, longest: int = 16, count: int = 5000, seed: int = 0, recombined: float = 0.0
    ) -> Episodes:
        """Plans of the data: parts of routes that do not cross themselves, as episodes of ``genrl/construction-v0``.

        Each begins anywhere on a route, and ends anywhere after that before a token comes again. Data that always take
        the shortest way show no other: recombined plans go on at every token by any step that the data take from there.

        Args:
            episodes: whose routes are cut up, in the same spaces.
            longest: H, most tokens of a plan.
            count: how many plans are drawn.
            seed: of the draws.
            recombined: share of the plans that are made of steps from different routes.

        Raises:
            EmptyDatasetError: no episode comes from one token to another.
            ConfigurationError: plans without two tokens, or a share that is none.
        """
        if longest < 2 or count < 1 or not 0 <= recombined <= 1:
            raise ConfigurationError(
                f"A plan has at least two tokens, not {longest}, there is at least one, and a share recombined from 0"
                f" to 1, not {recombined}."
            )
        routes = self._going(episodes)
        settings, mixed = self._settings(routes, longest), round(recombined * count)
        roaming = _roaming(settings["successors"], settings["starts"], longest, mixed, seed)
        plans = [*_parts(routes, longest, count - mixed, seed), *roaming]
        return _constructed(plans, settings, self.source.card)

    def walks(self, episodes: Episodes, longest: int = 16) -> Walks:
        """What the plans of ``episodes`` are built in.

        Raises:
            EmptyDatasetError: no episode comes from one token to another.
        """
        return Walks(**self._settings(self._going(episodes), longest))

    def _going(self, episodes: Episodes) -> list[list[int]]:
        """Routes of two tokens or more."""
        routes = [route for route in self.routes(episodes) if len(route) > 1]
        if not routes:
            raise EmptyDatasetError(
                f"No episode comes from one of the {len(self)} tokens to another: take smaller bins or more clusters,"
                " look at states more often, or give longer episodes."
            )
        return routes

    def _settings(self, routes: Sequence[Sequence[int]], longest: int) -> dict[str, Any]:
        """What ``Walks`` takes, as JSON has it."""
        following: list[set[int]] = [set() for _ in range(len(self))]
        for route in routes:
            for one, other in pairwise(route):
                following[one].add(other)
        starts = [token for token, after in enumerate(following) if after]
        return {"successors": [sorted(after) for after in following], "starts": starts, "longest": longest}


def _parts(routes: Sequence[Sequence[int]], longest: int, count: int, seed: int) -> list[Sequence[int]]:
    """``count`` parts of routes, of 2 to ``longest`` tokens, none of which comes twice."""
    draws = np.random.default_rng(int(generator(seed, "plans").initial_seed()))
    places = [(route, first) for route in routes for first in range(len(route) - 1)]
    found = []
    for place in draws.integers(len(places), size=count).tolist():
        route, first = places[place]
        most = first + 2
        while most < min(len(route), first + longest) and route[most] not in route[first:most]:
            most += 1
        found.append(route[first : int(draws.integers(first + 2, most + 1))])
    return found


def _roaming(
    successors: Sequence[Sequence[int]], starts: Sequence[int], longest: int, count: int, seed: int
) -> list[Sequence[int]]:
    """``count`` walks of 2 to ``longest`` tokens by steps that are taken somewhere, none of which comes twice."""
    draws = np.random.default_rng(int(generator(seed, "roaming").initial_seed()))
    found: list[Sequence[int]] = []
    for _ in range(count):
        walk = [int(draws.choice(starts))]  # another token follows every start
        while len(walk) < longest and (fresh := [token for token in successors[walk[-1]] if token not in walk]):
            walk.append(int(draws.choice(fresh)))
        found.append(walk[: int(draws.integers(2, len(walk) + 1))])
    return found


def _constructed(plans: Sequence[Sequence[int]], settings: dict[str, Any], source: DatasetCard) -> Episodes:
    """Plans as episodes that build them token by token."""
    env = make_env("genrl/construction-v0", {"game": "genrl.gflownets.walks.Walks", "settings": settings})
    exit_action, longest = int(env.action_space.n) - 1, env.observation_space.shape[0]  # type: ignore[attr-defined, index]
    actions = torch.tensor([token for plan in plans for token in (*plan, exit_action)])
    lengths = torch.tensor([len(plan) + 1 for plan in plans])
    observations = torch.full((len(plans), longest + 2, longest), -1)
    for row, plan in enumerate(plans):
        tokens = torch.tensor(plan)
        for step in range(1, len(plan) + 2):
            observations[row, step, : min(step, len(plan))] = tokens[:step]
    seen = torch.arange(longest + 2) <= lengths[:, None]
    ends = torch.zeros(len(actions), dtype=torch.bool)
    ends[lengths.cumsum(0) - 1] = True
    card = DatasetCard(
        env_spec=env_spec_json(env), algorithm_name="Tokens", description=f"Plans of {source.dataset_id or 'own data'}."
    )
    return Episodes(
        env.observation_space,
        env.action_space,
        {"": observations[seen]},
        {"": actions},
        ends.double(),
        ends,
        torch.zeros_like(ends),
        lengths,
        card=card,
    )
