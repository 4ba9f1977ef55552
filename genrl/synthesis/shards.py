"""Finished blocks on disk: what makes a killed synthesis resume without losing or repeating anything."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genrl.data.episodes import DatasetCard, Episodes
from genrl.training.spec import DataSpec

_GROUPS = ("observations", "actions", "infos")
_FIELDS = ("rewards", "terminations", "truncations", "lengths")


class Shards:
    """A folder of blocks, each written under another name and renamed, with its hash in its name.

    Args:
        folder: where; made if missing. It belongs to one plan and one method, see ``identity``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, index: int, episodes: Episodes) -> None:
        """Store one block."""
        content = save(to_tensors(episodes))
        digest = hashlib.sha256(content).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)  # another process with the same plan clears it at its end
        partial = self.folder / f".{index:06d}-{os.getpid()}.partial"
        try:
            partial.write_bytes(content)
            partial.rename(self.folder / f"{index:06d}-{digest}.safetensors")
        finally:
            partial.unlink(missing_ok=True)

    def read(self, index: int, spec: DataSpec, card: DatasetCard) -> Episodes | None:
        """One block, or None where it is missing or damaged (then it is to be made again)."""
        for path in self.folder.glob(f"{index:06d}-*.safetensors"):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # cleared just now
                continue
            if path.stem.partition("-")[2] == hashlib.sha256(content).hexdigest():
                try:
                    return from_tensors(load(content), spec, card)
                except (SafetensorError, KeyError):
                    pass
            path.unlink(missing_ok=True)
        return None

    def missing(self, count: int) -> list[int]:
        """Indices below ``count`` that have no file."""
        there = {int(path.name.partition("-")[0]) for path in self.folder.glob("[0-9]*.safetensors")}
        return [index for index in range(count) if index not in there]


def to_tensors(episodes: Episodes) -> dict[str, Tensor]:
    """All data of ``episodes`` under flat names, for storage; reset seeds, which synthetic ones have not, are left."""
    tensors = {name: getattr(episodes, name).contiguous() for name in _FIELDS}
    for group in _GROUPS:
        tensors |= {f"{group}/{path}": leaf.contiguous() for path, leaf in getattr(episodes, group).items()}
    return tensors


def from_tensors(tensors: Mapping[str, Tensor], spec: DataSpec, card: DatasetCard) -> Episodes:
    """The inverse of ``to_tensors``, in the order of names: that of a file's tensors is no more than chance."""
    groups = {
        group: {name[len(group) + 1 :]: leaf for name, leaf in sorted(tensors.items()) if name.startswith(f"{group}/")}
        for group in _GROUPS
    }
    return Episodes(
        spec.observation_space,
        spec.action_space,
        groups["observations"],
        groups["actions"],
        tensors["rewards"],
        tensors["terminations"],
        tensors["truncations"],
        tensors["lengths"],
        infos=groups["infos"],
        card=card,
    )


def identity(weights: Mapping[str, Tensor], *facts: object) -> str:
    """SHA-256 over a method's weights and whatever else decides what comes out."""
    digest = hashlib.sha256(json.dumps([str(fact) for fact in facts]).encode())
    for name, tensor in weights.items():
        digest.update(name.encode())
        if tensor.numel():  # a tensor without entries cannot be viewed as bytes, and has none
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
