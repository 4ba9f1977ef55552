"""How likely the actions of a data set are under a policy: whether synthetic data are what the policy would do.

The other measure of "Policy-Guided Diffusion" (Jackson et al. 2024, arXiv:2404.06356, section 5), beside the error of
the dynamics: data should be likely under the target policy and yet follow the dynamics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genrl.data.aligned import aligned
from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError, ConfigurationError
from genrl.data.spaces import forms
from genrl.evaluation.statistics import Interval, bootstrap_ratio
from genrl.learners.learner import Learner
from genrl.methods.scores import HasLogProb, HasMean, log_prob
from genrl.training.rest import evaluating

BATCH = 8192


@dataclass(frozen=True)
class PolicyLikelihood:
    """N transitions in E episodes under a policy. Intervals are over episodes, 95 % bootstrap.

    Attributes:
        density: what gave the likelihood, in words.
        log_likelihoods: (N,) log density of each action in the data's units, in nats.
        squared_distances: (N,) squared distance of each action from the policy's mean, in the data's units; None where
            the policy names no mean.
        lengths: (E,) transitions of each episode.
        action_dim: A, columns of an action.
    """

    density: str
    log_likelihoods: np.ndarray
    squared_distances: np.ndarray | None
    lengths: np.ndarray
    action_dim: int

    @cached_property
    def per_transition(self) -> Interval:
        """Mean log-likelihood of a transition's action, in nats."""
        return self._mean(self.log_likelihoods)

    @cached_property
    def per_dimension(self) -> Interval:
        """Mean log-likelihood of an action, divided by its number of columns."""
        return self._mean(self.log_likelihoods / self.action_dim)

    @cached_property
    def squared_distance(self) -> Interval | None:
        """Mean squared distance, summed over the columns, of the actions from the policy's mean."""
        return None if self.squared_distances is None else self._mean(self.squared_distances)

    def rows(self) -> Iterator[tuple[str, str]]:
        """What to show of it: (quantity with unit, value)."""
        yield "density", self.density
        yield "log-likelihood of an action [95 %]", str(self.per_transition)
        yield "the same per column [95 %]", str(self.per_dimension)
        if self.squared_distance is not None:
            yield "squared distance to the policy's mean [95 %]", str(self.squared_distance)

    def __str__(self) -> str:
        return aligned(self.rows())

    def _mean(self, values: np.ndarray) -> Interval:
        return bootstrap_ratio(np.add.reduceat(values, np.cumsum(self.lengths) - self.lengths), self.lengths)


def policy_likelihood(learner: Learner, data: Episodes) -> PolicyLikelihood:
    """Log-likelihood of the actions of ``data`` under ``learner``, in the states and towards the goals recorded there.

    A learner with ``log_prob`` is taken at its word. One with ``mean`` alone is deterministic, under which every other
    action is impossible; as in the paper, its actions count as drawn from a Gaussian of standard deviation 1 around the
    mean, in the data's units.

    Raises:
        ConfigurationError: the learner was never fitted, or has neither a density nor a mean.
        AlignmentError: it was fitted to other spaces than the data's.
        UnsupportedSpaceError: its actions are discrete.
        ConditionError: it needs goals, and the observations hold none.
    """
    _require(learner, data)
    rows = data.observation_rows.split(BATCH)
    actions = SpaceCodec(data.action_space).encode(data.actions).split(BATCH)
    with torch.inference_mode(), evaluating(learner):
        pairs = [_of_batch(learner, data, *batch) for batch in zip(rows, actions, strict=True)]
    likelihoods, distances = zip(*pairs, strict=True)
    return PolicyLikelihood(
        density=f"{type(learner).__name__}'s own" if isinstance(learner, HasLogProb) else "Normal(mean, 1)",
        log_likelihoods=torch.cat(likelihoods).double().numpy(),
        squared_distances=torch.cat(distances).double().numpy() if isinstance(learner, HasMean) else None,
        lengths=data.lengths.numpy(),
        action_dim=actions[0].shape[1],
    )


def _of_batch(learner: Learner, data: Episodes, rows: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) log densities and (B,) squared distances from the mean of actions (B, A) at observations ``rows`` (B,)."""
    states = learner.observer.encode({path: leaf[rows] for path, leaf in data.observations.items()})
    actions = actions.to(states)
    off = actions - learner.mean(states) if isinstance(learner, HasMean) else torch.full_like(actions, torch.nan)
    return log_prob(learner, states, actions).cpu(), off.square().sum(-1).cpu()


def _require(learner: Learner, data: Episodes) -> None:
    name, spec = type(learner).__name__, getattr(learner, "spec", None)
    if not isinstance(learner, Learner) or not isinstance(learner, HasLogProb | HasMean):
        raise ConfigurationError(
            f"{name} has no likelihood of actions: that takes a learner with log_prob(states, actions) or mean(states)."
        )
    if spec is None:
        raise ConfigurationError(f"This {name} was never fitted; fit or load it first.")
    for space in ("observation_space", "action_space"):
        theirs, ours = (forms(getattr(side, space)) for side in (spec, data))
        if theirs != ours:
            raise AlignmentError(
                f"The {name} was fitted to {space.replace('_', ' ')} {getattr(spec, space)}; the data have "
                f"{getattr(data, space)}. Take a policy for the environment of the data."
            )
