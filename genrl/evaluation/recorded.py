"""Which environment a data set records."""

from __future__ import annotations

from gymnasium.envs.registration import EnvSpec

from genrl.data.env_specs import recorded_entries, recorded_spec
from genrl.data.episodes import DatasetCard


def recorded_environment(card: DatasetCard | None) -> EnvSpec | None:
    """Where a policy that was learned from data with this card is to be played; None where it is not recorded.

    Raises:
        CorruptDatasetError: what is recorded cannot be read.
    """
    return None if card is None else recorded_spec(card, "eval_env_spec", "env_spec")


def elsewhere(one: DatasetCard, other: DatasetCard) -> bool:
    """Whether both record environments, and have none in common whatever the versions.

    Raises:
        CorruptDatasetError: what one of them records cannot be read.
    """
    first, second = _names(one), _names(other)
    return bool(first) and bool(second) and not first & second


def named(card: DatasetCard) -> str:
    """The environments that a card records in words, without their versions.

    Raises:
        CorruptDatasetError: what it records cannot be read.
    """
    return " and ".join(sorted(_names(card)))


def _names(card: DatasetCard) -> set[str]:
    specs = (recorded_entries(card, "env_spec"), recorded_entries(card, "eval_env_spec"))
    return {spec["id"].rsplit("-v", 1)[0] for spec in specs if spec is not None}
