"""The environments that a card records: Gymnasium's specifications, read from their JSON."""

from __future__ import annotations

import json
from typing import Any, Literal

from gymnasium.envs.registration import EnvSpec

from genrl.data.episodes import DatasetCard
from genrl.data.errors import CorruptDatasetError

SpecName = Literal["env_spec", "eval_env_spec"]


def recorded_entries(card: DatasetCard, name: SpecName = "env_spec") -> dict[str, Any] | None:
    """The entries of one of the card's specifications, its id among them; None where it has none.

    Raises:
        CorruptDatasetError: what is stored is no JSON of an environment.
    """
    stored = getattr(card, name)
    if stored is None:
        return None
    try:
        entries = json.loads(stored)
    except (ValueError, TypeError) as error:
        raise _unreadable(card, name, error) from error
    if not isinstance(entries, dict) or not isinstance(entries.get("id"), str):
        raise _unreadable(card, name, "it has no id")
    if not isinstance(entries.get("kwargs", {}), dict):
        raise _unreadable(card, name, "its kwargs are not named")
    return entries


RETIRED = ("autoreset", "apply_api_compatibility")
"""Entries of specifications before Gymnasium 1.0 that say nothing of what an environment does."""


def recorded_spec(card: DatasetCard, *names: SpecName) -> EnvSpec | None:
    """The first of the card's specifications under ``names``; None where it has none of them.

    Raises:
        CorruptDatasetError: what is stored is not, or not all of, a specification of the Gymnasium installed here.
    """
    for name in names:
        if (entries := recorded_entries(card, name)) is not None:
            try:
                return EnvSpec.from_json(json.dumps({key: entries[key] for key in entries if key not in RETIRED}))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                missing = f"it lacks {error}" if isinstance(error, KeyError) else error.__cause__ or error
                raise _unreadable(card, name, missing) from error
    return None


def _unreadable(card: DatasetCard, name: SpecName, reason: object) -> CorruptDatasetError:
    return CorruptDatasetError(
        f"Data set '{card.dataset_id or 'given'}': the {name} in its metadata is not Gymnasium's specification of an"
        f" environment as JSON ({reason}); correct or remove it."
    )
