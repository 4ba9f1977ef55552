"""How a learner does in its environment while it is fitted: a look every so many updates."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from genrl.data.collect import ResetOptions
from genrl.data.environments import EnvLike, make_env
from genrl.data.errors import ConfigurationError
from genrl.evaluation.evaluate import Evaluation, evaluate
from genrl.evaluation.recorded import recorded_environment
from genrl.learners.agent import Agent
from genrl.training.rest import at_rest, averaged


class LearningCurve(Callback):
    """Plays the policy of a learner, of any kind, every so many updates; the fit goes on as if nobody had looked.

    A look takes the averaged weights where the fit keeps an ``EMA``, which belongs before this among the callbacks, or
    else they are one update old. All looks start from the same states. What was seen is logged as ``policy/...``, and
    stored in every checkpoint.

    The final score of an offline learner often differs more from one look to the next than between two methods, so that
    its paper may report a mean of the last ones: of ten in "A Minimalist Approach to Offline Reinforcement Learning"
    (Fujimoto and Gu 2021), https://arxiv.org/abs/2106.06860.

    Args:
        every: updates of the learner (batches) between two looks.
        episodes: played at each.
        env: environment id; the one that the data name by default.
        env_options: what else the environment takes.
        start: no look before so many updates.
        num_envs: environments stepped side by side; what is seen does not depend on it.
        max_steps: longer episodes are truncated.
        reset_options: options for each episode's reset, as ``evaluate`` takes them.
        seed: of the episodes.

    Attributes:
        history: of each look the ``update``, what it took in ``seconds``, mean and standard deviation of the ``return``
            over episodes (``return``, ``return_std``), mean ``length`` in steps, and where they are known the
            ``success`` rate (0 to 1) and the mean normalised ``score`` (%).

    Raises:
        ConfigurationError: a setting is out of its range.
    """

    def __init__(
        self,
        every: int,
        episodes: int = 10,
        env: str | None = None,
        env_options: dict[str, Any] | None = None,
        start: int = 0,
        num_envs: int = 8,
        max_steps: int | None = None,
        reset_options: ResetOptions | None = None,
        seed: int = 0,
    ) -> None:
        for name, value in {"every": every, "episodes": episodes, "num_envs": num_envs}.items():
            if value < 1:
                raise ConfigurationError(f"{name} of a LearningCurve must be at least 1, not {value}.")
        self.every, self.episodes, self.env, self.env_options = every, episodes, env, env_options
        self.start, self.num_envs, self.max_steps, self.seed = start, num_envs, max_steps, seed
        self.reset_options = reset_options
        self.history: list[dict[str, float]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget another fit; Lightning restores a checkpoint's history after this.

        Raises:
            ConfigurationError: what is fitted is not a learner, and has no policy to play.
        """
        if not isinstance(pl_module, Agent):
            raise ConfigurationError(
                f"A LearningCurve plays a learner's policy; {type(pl_module).__name__} has none: leave it out."
            )
        self.history = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the environment once, before an update is lost.

        Raises:
            ConfigurationError: neither the data nor ``env`` name one, or not one that is registered.
        """
        make_env(self._where(pl_module), self.env_options).close()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look, where it is time to."""
        assert isinstance(pl_module, Agent)
        done = pl_module.updates + 1
        if done < self.start or done % self.every:
            return
        began = time.perf_counter()
        with averaged(trainer, pl_module), at_rest(pl_module):
            seen = self._look(pl_module)
        facts = {"update": done, "seconds": time.perf_counter() - began, **told(seen)}
        self.history.append(facts)
        for logger in trainer.loggers:
            logger.log_metrics({f"policy/{name}": value for name, value in facts.items()}, step=done)

    def _look(self, learner: Agent) -> Evaluation:
        assert learner.spec is not None
        return evaluate(
            learner.policy(),
            self._where(learner),
            self.episodes,
            self.seed,
            num_envs=self.num_envs,
            card=learner.spec.card,
            max_steps=self.max_steps,
            env_options=self.env_options,
            reset_options=self.reset_options,
        )

    def _where(self, module: LightningModule) -> EnvLike:
        assert isinstance(module, Agent)
        assert module.spec is not None
        where = self.env or recorded_environment(module.spec.card)
        if where is None:
            raise ConfigurationError(
                f"The data set '{module.spec.card.dataset_id}' names no environment for a LearningCurve to play in;"
                " give it one with env."
            )
        return where

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.history = list(state_dict["history"])


def told(seen: Evaluation) -> dict[str, float]:
    """An evaluation in numbers."""
    facts = {"return": seen.mean, "return_std": seen.std, "length": float(seen.lengths.mean())}
    if seen.success is not None:
        facts["success"] = float(seen.success.mean())
    if seen.scores is not None:
        facts["score"] = float(seen.scores.mean())
    return facts
