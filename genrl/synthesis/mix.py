"""Several stored data sets as one: whole episodes, drawn so that each source gives its share of the transitions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genrl.data.episodes import DatasetCard, Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.locate import existing_path, require_new
from genrl.data.manifest import FILE_NAME, sha256
from genrl.data.randomness import generator
from genrl.data.spaces import require_same_spaces
from genrl.data.store import load, save
from genrl.training.batches import fit_for_shares
from genrl.training.spec import fingerprint


def mix(
    sources: Sequence[str],
    dataset_id: str,
    *,
    fractions: Sequence[float] | None = None,
    transitions: int | None = None,
    seed: int = 0,
    root: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a data set of episodes from ``sources``, none of them twice, one source after the other.

    Episodes are whole, so the shares are met as nearly as their lengths allow. Reset seeds go along; so do the infos
    that all sources have. The card is the first source's, with a description of its own.

    Args:
        sources: ids of data sets with the same spaces, such as a real and a synthetic one.
        dataset_id: id of the new data set.
        fractions: share of the transitions that each source gives (any positive numbers); what they hold by default.
        transitions: how many in all; as many as the fractions allow by default.
        seed: of the draws.
        root: folder of data sets; Minari's own by default.
        overwrite: replace a data set of that id.

    Returns:
        The data set's folder; its manifest names every source with the hash of that one's manifest.

    Raises:
        ConfigurationError: the fractions do not fit the sources, a source is named twice or holds too little, or spaces
            differ.
        DatasetExistsError: there is a data set of that id and ``overwrite`` is not set; nothing is read then.
        DatasetMissingError: a source is not there.
    """
    require_new(dataset_id, root, overwrite)
    if not sources:
        raise ConfigurationError("There is nothing to mix: name at least one data set.")
    if repeated := [source for number, source in enumerate(sources) if source in sources[:number]]:
        raise ConfigurationError(f"No episode is taken twice: name {', '.join(repeated)} once, with a larger fraction.")
    parts = [load(source, root) for source in sources]
    _require_same_spaces(sources, parts)
    wanted = _shares(sources, [part.num_transitions for part in parts], fractions, transitions)
    drawn = [
        part.select(_draw(part.lengths, count, generator(seed, "mix", number)))
        for number, (part, count) in enumerate(zip(parts, wanted, strict=True))
    ]
    origins = [_origin(*each, root) for each in zip(sources, parts, drawn, strict=True)]
    provenance = {"mixed_from": origins, "seed": seed}
    card = _card(parts[0].card, origins)
    if not any(len(part) for part in drawn):
        raise ConfigurationError(f"{transitions} transitions are less than half an episode; ask for more.")
    for source, part, count in zip(sources, drawn, wanted, strict=True):
        if count and not len(part):
            warnings.warn(
                f"Nothing of {source} is in the mixture: its share of {count:.0f} transitions is less than half of an"
                " episode of its own.",
                stacklevel=2,
            )
    together = concatenate([part for part in drawn if len(part)])
    return save(
        replace(together, card=card), dataset_id, card=card, root=root, overwrite=overwrite, provenance=provenance
    )


def _shares(
    sources: Sequence[str], held: Sequence[int], fractions: Sequence[float] | None, transitions: int | None
) -> list[float]:
    """Transitions that each source is to give."""
    weights = [float(count) for count in held] if fractions is None else list(fractions)
    if not fit_for_shares(weights, len(sources)):
        raise ConfigurationError(
            f"fractions {weights} must hold one non-negative number for each of {', '.join(sources)}, not all zero."
        )
    shares = [weight / sum(weights) for weight in weights]
    most = min(count / share for count, share in zip(held, shares, strict=True) if share > 0)
    total = most if transitions is None else transitions
    if total < 1 or total > most * (1 + 1e-9):
        raise ConfigurationError(
            f"{transitions} transitions cannot be drawn: at these fractions there are 1 to {int(most)}, for no episode"
            " is taken twice."
        )
    return [share * total for share in shares]


def _draw(lengths: Tensor, wanted: float, stream: torch.Generator) -> Tensor:
    """Episodes, in their own order, whose ``lengths`` add up as nearly to ``wanted`` as a random order allows."""
    order = torch.randperm(len(lengths), generator=stream)
    total = torch.cat((torch.zeros(1, dtype=torch.int64), lengths[order].cumsum(0)))
    return order[: int((total - wanted).abs().argmin())].sort().values


def _origin(source: str, whole: Episodes, drawn: Episodes, root: str | Path | None) -> dict[str, Any]:
    manifest = existing_path(source, root) / FILE_NAME
    return {
        "dataset_id": source,
        "manifest_sha256": sha256(manifest) if manifest.exists() else None,
        "sha256": fingerprint(whole),
        "episodes": len(drawn),
        "transitions": drawn.num_transitions,
    }


def _card(first: DatasetCard, origins: Sequence[dict[str, Any]]) -> DatasetCard:
    contents = ", ".join(f"{origin['transitions']} transitions of {origin['dataset_id']}" for origin in origins)
    return replace(first, dataset_id=None, algorithm_name="mix", description=f"A mixture: {contents}.")


def _require_same_spaces(sources: Sequence[str], parts: Sequence[Episodes]) -> None:
    for source, part in zip(sources, parts, strict=True):
        require_same_spaces(part, source, parts[0], sources[0], "mix data of one environment")
