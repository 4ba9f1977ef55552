"""A policy that aims at a return: what it still wants to earn falls by every reward that it is told."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.return_windows import ReturnWindows
from genrl.data.spaces import batch_of, unflatten
from genrl.learners.heads import ActionHead
from genrl.learners.observer import Observer
from genrl.learners.returns import Returns
from genrl.learners.together import ask_together, require_company
from genrl.training.rest import Switchable, evaluating
from genrl.training.spec import DataSpec


class Aimed(Switchable, Protocol):
    """The part of a learner that such a policy needs."""

    observer: Observer
    head: ActionHead
    returns: Returns
    spec: DataSpec | None
    context: int

    def __call__(self, window: ReturnWindows) -> Tensor:
        """(B, K, O) outputs for the action of every step."""


class Step(NamedTuple):
    """One step of an episode: observation (D,), standardised return to go (), and action (A,), 0 until it is chosen."""

    observation: Tensor
    remaining: Tensor
    action: Tensor


class Run:
    """What a policy knows of one environment's episode.

    Args:
        context: K, steps that are remembered.

    Attributes:
        earned: rewards so far.
        owed: whether an action was taken whose reward is not known yet.
        time: steps so far.
    """

    def __init__(self, context: int) -> None:
        self.earned, self.owed, self.time = 0.0, False, 0
        self.steps: deque[Step] = deque(maxlen=context)

    def see(self, observation: Tensor, remaining: Tensor, nothing: Tensor) -> ReturnWindows:
        """The window (1, k, ...) that ends with a new step, k at most K."""
        self.steps.append(Step(observation, remaining, nothing))
        observations, returns, actions = (torch.stack(part)[None] for part in zip(*self.steps, strict=True))
        times = torch.arange(self.time - len(self.steps) + 1, self.time + 1, device=observation.device)[None]
        return ReturnWindows(observations, actions, returns, times, torch.ones_like(times, dtype=torch.bool))

    def do(self, action: Tensor) -> None:
        """The action (A,) of the newest step."""
        self.steps[-1] = self.steps[-1]._replace(action=action)
        self.owed, self.time = True, self.time + 1

    def earn(self, reward: float) -> None:
        """The reward of the last action."""
        if self.owed:
            self.earned, self.owed = self.earned + reward, False


class ReturnPolicy:
    """Acts towards a target return, less what its episode has earned; all memory is kept per environment.

    Args:
        learner: fitted.
        target: undiscounted return wanted of every episode, in the data's units.
        together: environments that the network is asked for at once.

    Raises:
        ConfigurationError: ``together`` is below 1.
    """

    def __init__(self, learner: Aimed, target: float, together: int = 1) -> None:
        require_company(together)
        self.learner, self.target, self.together = learner, target, together
        self.runs: list[Run] = []
        self._generators = EpisodeGenerators()

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget where an episode begins, rewards included, and draw from its seed."""
        self._generators.reset(mask, seeds)
        if len(self.runs) != len(mask):
            mask, self.runs = np.ones(len(mask), bool), [Run(0)] * len(mask)
        for slot in np.flatnonzero(mask):
            self.runs[slot] = Run(self.learner.context)

    def receive(self, rewards: np.ndarray) -> None:
        """Rewards (B,) of the last actions, by which the targets fall.

        Raises:
            ConfigurationError: the policy was not reset for B environments.
        """
        self._require_reset(len(rewards))
        for run, reward in zip(self.runs, rewards.tolist(), strict=True):
            run.earn(reward)

    @torch.inference_mode()
    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Actions for B observations, inside the action space.

        ``conditions.returns`` (B,), the returns wanted of whole episodes, take the place of the target, and
        ``conditions.goal`` that of the desired goal.

        Raises:
            ConditionError: another condition, a wrong shape, what is not finite, a goal outside the space, or none
                where it is needed.
            ConfigurationError: the policy was not reset for B environments, or not told a reward.
        """
        learner, spec = self.learner, self.learner.spec
        assert spec is not None
        leaves = batch_of(spec.observation_space, observations)
        count = len(next(iter(leaves.values())))
        self._require_reset(count)
        self._require_rewards()
        wished = self._wished(conditions or Conditions(), count)
        columns = learner.observer.shown(leaves, None if conditions is None else conditions.goal)  # (B, D)
        remaining = learner.returns(wished - torch.tensor([run.earned for run in self.runs], dtype=torch.float64))
        nothing = columns.new_zeros(learner.head.dim)
        windows = [run.see(columns[slot], remaining[slot], nothing) for slot, run in enumerate(self.runs)]
        with evaluating(learner):
            outputs = ask_together(self._newest, [tuple(vars(window).values()) for window in windows], self.together)
        uniform = None if deterministic or learner.head.continuous else self._uniform(outputs)
        actions = learner.head.codec.decode(learner.head.columns(outputs, uniform))
        for run, done in zip(self.runs, learner.head.codec.encode(actions), strict=True):
            run.do(done)
        return unflatten(spec.action_space, {path: leaf.cpu().numpy() for path, leaf in actions.items()})

    def _newest(self, *window: Tensor) -> Tensor:
        """(n, O) outputs for the last step of n windows, given field by field."""
        return self.learner(ReturnWindows(*window))[:, -1]

    def _wished(self, conditions: Conditions, count: int) -> Tensor:
        """(B,) returns wanted of whole episodes, float64."""
        understood = {"returns", "goal"} if self.learner.observer.goal.dim else {"returns"}
        conditions.require(type(self.learner).__name__, understood, count)
        if conditions.returns is None:
            return torch.full((count,), self.target, dtype=torch.float64)
        if conditions.returns.shape != (count,):
            raise ConditionError(
                f"The condition 'returns' must be ({count},), one for each environment in the units of the data, not"
                f" {tuple(conditions.returns.shape)}."
            )
        return conditions.returns.double().cpu()

    def _require_reset(self, count: int) -> None:
        if len(self.runs) != count:
            raise ConfigurationError(f"This policy counts rewards: reset it for {count} environments before it acts.")

    def _require_rewards(self) -> None:
        if any(run.owed for run in self.runs):
            raise ConfigurationError(
                "This policy lowers its target by the rewards: tell it those of the last step with receive(rewards)"
                " before it acts again."
            )

    def _uniform(self, like: Tensor) -> Tensor:
        """(B, O) uniform numbers in [0, 1), each row from its episode's generator."""
        draws = self._generators.draw(len(like), lambda generator: generator.random(like.shape[1]))
        return torch.from_numpy(draws).to(like)
