"""How the benchmarks lead diffusion models, by the settings of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from genrl.diffusion.guidance import Constant, Posterior, Published, Schedule
from genrl.methods.steered import Guidance

SUBSTEPS = 4
SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "posterior": Posterior,
    "published": Published,
    "constant": lambda scale: Constant(scale, lowest=0.02, highest=2.0),
}


def guidance(settings: Mapping[str, Any]) -> Guidance:
    """By ``scale``, and where they are given ``schedule`` (of ``SCHEDULES``), ``substeps`` and ``normalize``.

    None for ``substeps`` is as many as it takes.
    """
    schedule = SCHEDULES[settings.get("schedule", "posterior")]
    return Guidance(
        schedule(settings["scale"]),
        substeps=settings.get("substeps", SUBSTEPS),
        normalize=settings.get("normalize", False),
    )
