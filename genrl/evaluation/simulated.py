"""The environment of a data set in the place of a learned model: methods that roll plans out can do it in there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from genrl.data.episodes import DatasetCard
from genrl.data.setting import Setting
from genrl.evaluation.simulators import Simulator


@dataclass(frozen=True)
class Simulated(Setting):
    """A simulator by its specification, so that a checkpoint can hold it.

    Attributes:
        env_spec: Gymnasium's specification of the environment, as JSON.
    """

    env_spec: str

    @classmethod
    def of(cls, card: DatasetCard) -> Simulated:
        """That of a data set.

        Raises:
            ConfigurationError, CorruptDatasetError, UnsupportedSpaceError: its states cannot be restored, see
                ``Simulator``.
        """
        Simulator.of(card)
        return cls(str(card.env_spec or card.eval_env_spec))

    @cached_property
    def _simulator(self) -> Simulator:
        return Simulator.of(DatasetCard(env_spec=self.env_spec))

    def dynamics(self, disagreement: bool = True) -> Simulator:
        """The simulator; there is no ensemble whose members could disagree."""
        return self._simulator
