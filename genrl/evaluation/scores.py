"""Normalised scores in percent: 0 is a random policy, 100 an expert (D4RL, Fu et al. 2020, arXiv:2004.07219)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike

from genrl.data.env_specs import recorded_entries
from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConfigurationError
from genrl.evaluation.recorded import elsewhere, recorded_environment


@dataclass(frozen=True)
class ReferenceScores:
    """The undiscounted returns that count as 0 and as 100 percent, and who measured them.

    Raises:
        ConfigurationError: they are not two numbers, the second above the first.
    """

    minimum: float
    maximum: float
    source: str

    def __post_init__(self) -> None:
        if not -math.inf < self.minimum < self.maximum < math.inf:
            raise ConfigurationError(
                f"The reference scores of {self.source} are {self.minimum:g} for 0 % and {self.maximum:g} for 100 %: "
                "set ref_max_score above ref_min_score in its card, or leave out both."
            )

    def score(self, returns: ArrayLike) -> np.ndarray:
        """Normalised score in percent, ``100 * (return - minimum) / (maximum - minimum)``, entry by entry."""
        return 100.0 * (np.asarray(returns, dtype=np.float64) - self.minimum) / (self.maximum - self.minimum)


def reference_scores(name: str) -> ReferenceScores:
    """The published references of a D4RL family (``hopper``) or of an environment id (``Hopper-v5``).

    Raises:
        ConfigurationError: none are known under that name.
    """
    table = _table()
    if (entry := table["scores"].get(_family(name) or name)) is None:
        known = ", ".join(sorted(table["scores"]))
        raise ConfigurationError(
            f"No reference scores are known for '{name}'; known are {known}. "
            "Set ref_min_score and ref_max_score in the data set's card instead."
        )
    return ReferenceScores(entry["min"], entry["max"], table["source"])


def references_of(card: DatasetCard) -> ReferenceScores | None:
    """The card's own reference scores; else the published ones of its environment; else None.

    Raises:
        CorruptDatasetError: the environment that it records cannot be read.
        ConfigurationError: its reference scores are no measure.
    """
    if card.ref_min_score is not None and card.ref_max_score is not None:
        return ReferenceScores(card.ref_min_score, card.ref_max_score, f"data set {card.dataset_id}")
    for spec in (recorded_entries(card, "eval_env_spec"), recorded_entries(card, "env_spec")):
        if spec is not None and (family := _family(spec["id"])):
            return reference_scores(family)
    return None


def references_where(played: DatasetCard, card: DatasetCard | None) -> ReferenceScores | None:
    """For episodes ``played`` by what was learned from data with ``card``: its own references, or the environment's.

    Those of a card that records other environments alone are no measure of this one.

    Raises:
        CorruptDatasetError: an environment that is recorded cannot be read.
        ConfigurationError: the card's reference scores are no measure.
    """
    if card is None or elsewhere(card, played):
        return references_of(played)
    told = card.ref_min_score is not None and card.ref_max_score is not None
    return references_of(card if told or recorded_environment(played) is None else played)


@cache
def _table() -> dict:
    return json.loads(files("genrl.evaluation").joinpath("reference_scores.json").read_text(encoding="utf-8"))


def _family(env_id: str) -> str | None:
    """The D4RL family of an environment id, whatever its namespace and version."""
    name = env_id.rsplit("/", 1)[-1].rsplit("-v", 1)[0]
    return next((key for key, entry in _table()["scores"].items() if name in entry.get("environments", ())), None)
