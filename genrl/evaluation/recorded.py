"""Which environment a data set records."""

from __future__ import annotations

import json

from gymnasium.envs.registration import EnvSpec

from genrl.data.episodes import DatasetCard


def recorded_environment(card: DatasetCard | None) -> EnvSpec | None:
    """Where a policy that was learned from data with this card is to be played; None where it is not recorded."""
    stored = None if card is None else card.eval_env_spec or card.env_spec
    return None if stored is None else EnvSpec.from_json(stored)


def elsewhere(one: DatasetCard, other: DatasetCard) -> bool:
    """Whether both record environments, and have none in common whatever the versions."""
    first, second = _names(one), _names(other)
    return bool(first) and bool(second) and not first & second


def named(card: DatasetCard) -> str:
    """The environments that a card records in words, without their versions."""
    return " and ".join(sorted(_names(card)))


def _names(card: DatasetCard) -> set[str]:
    specs = [spec for spec in (card.env_spec, card.eval_env_spec) if spec is not None]
    return {json.loads(spec)["id"].rsplit("-v", 1)[0] for spec in specs}
