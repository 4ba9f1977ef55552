"""What a module has to know of its data before it can be built: kept in every checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch

from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import CheckpointError
from genrl.data.spaces import space_from_json, space_to_json
from genrl.data.ties import tied_columns


@dataclass(frozen=True)
class DataSpec:
    """Spaces and origin of the training data.

    Attributes:
        max_length: transitions in the longest episode.
        tied: columns of the state that the achieved goal copies, None where it copies none.
        reward_dtype: name of the rewards' dtype, so that generated rewards are stored alike.
        fingerprint: SHA-256 of the training episodes' content.
    """

    observation_space: gym.Space
    action_space: gym.Space
    card: DatasetCard
    max_length: int
    tied: list[int] | None
    reward_dtype: str
    fingerprint: str

    @classmethod
    def of(cls, episodes: Episodes) -> DataSpec:
        """The specification of ``episodes``."""
        return cls(
            episodes.observation_space,
            episodes.action_space,
            episodes.card,
            int(episodes.lengths.max()),
            tied_columns(episodes),
            str(episodes.rewards.dtype).removeprefix("torch."),
            fingerprint(episodes),
        )

    def to_json(self) -> str:
        """All fields as JSON, spaces in Minari's own format."""
        fields = {name: getattr(self, name) for name in ("max_length", "tied", "reward_dtype", "fingerprint")}
        spaces = {name: space_to_json(getattr(self, name)) for name in ("observation_space", "action_space")}
        return json.dumps({**fields, **spaces, "card": self.card.__dict__})

    @classmethod
    def from_json(cls, text: str) -> DataSpec:
        """The inverse of ``to_json``.

        Raises:
            CheckpointError: ``text`` is not what that gives.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            card: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v for name, v in fields.pop("card").items()
            }
            for name in ("observation_space", "action_space"):
                fields[name] = space_from_json(fields[name])
            return cls(card=DatasetCard(**card), **fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"What a checkpoint says of its data cannot be read ({error!r}); fit again or take another copy."
            ) from error


def fingerprint(episodes: Episodes) -> str:
    """SHA-256 over every tensor of ``episodes`` that a model can see."""
    digest = hashlib.sha256()
    leaves = {
        **{f"observations/{path}": leaf for path, leaf in episodes.observations.items()},
        **{f"actions/{path}": leaf for path, leaf in episodes.actions.items()},
        **{name: getattr(episodes, name) for name in ("rewards", "terminations", "truncations", "lengths")},
    }
    for name, leaf in sorted(leaves.items()):
        digest.update(f"{name} {leaf.dtype} {tuple(leaf.shape)}".encode())
        digest.update(leaf.contiguous().view(torch.uint8).numpy().data if leaf.numel() else b"")
    return digest.hexdigest()
