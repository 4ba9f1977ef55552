"""The specification of a data set under another reward, so that what is made for it says so."""

from __future__ import annotations

import json
from dataclasses import fields, replace

from genrl.data.construction import Reward
from genrl.data.env_specs import recorded_entries
from genrl.data.errors import ConfigurationError
from genrl.training.spec import DataSpec
from genrl.training.stored import class_path, to_primitive


def rewarded(spec: DataSpec | None, reward: Reward | None) -> DataSpec:
    """The same data set's, whose environment pays ``reward``; as it is for None.

    Raises:
        ConfigurationError: the reward is no frozen dataclass of numbers and words, and could not be made again.
        CorruptDatasetError: the environment that the card records cannot be read.
    """
    assert spec is not None
    if reward is None:
        return spec
    try:
        if isinstance(reward, type):
            raise TypeError(reward)
        arguments = {f.name: to_primitive(getattr(reward, f.name)) for f in fields(reward)}  # type: ignore[arg-type]
    except (TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"A data set keeps its reward by name, so {reward!r} must be a frozen dataclass (a genrl Setting) whose"
            " fields are numbers and words."
        ) from error
    named = {"class_path": class_path(type(reward)), "init_args": arguments}
    env = recorded_entries(spec.card) or {}
    env["kwargs"] = {**env.get("kwargs", {}), "reward": named}
    return replace(spec, card=replace(spec.card, env_spec=json.dumps(env)))
