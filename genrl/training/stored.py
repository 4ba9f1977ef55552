"""A module as primitives and back: what a checkpoint holds beside its weights."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from abc import ABC, abstractmethod
from pkgutil import resolve_name
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.data.randomness import generator
from genrl.data.ranges import require_at_least
from genrl.data.setting import Setting
from genrl.training.space_support import SpaceSupport
from genrl.training.spec import DataSpec

FORMAT_VERSION = 1


class Stored(nn.Module, ABC):
    """A module that its constructor arguments and the specification of its data bring back, but for the weights.

    Subclasses keep every constructor argument as an attribute of the same name (as scikit-learn's estimators do), so
    that the configuration can be read back; network factories are ``functools.partial`` objects over a class. An
    argument may be another fitted module of this kind, whose weights then are part of this one's.

    Attributes:
        takes: the spaces that the module can be built for; all others are refused.
        seed: of the initial weights, above all.
        spec: of the data that it was built for; None before.
    """

    takes: ClassVar[SpaceSupport] = SpaceSupport()
    seed: int
    spec: DataSpec | None = None

    @abstractmethod
    def build(self, spec: DataSpec) -> None:
        """Create codecs, normalisers and networks for the spaces in ``spec``; called once."""

    def assemble(self, spec: DataSpec) -> None:
        """Build from a specification, with weights drawn under this module's own seed.

        Raises:
            UnsupportedSpaceError: a space that this module does not take.
            ConfigurationError: a learning rate below 0.
        """
        self.takes.require(type(self).__name__, spec.observation_space, spec.action_space)
        require_at_least(0, **{name: value for name, value in vars(self).items() if "lr" in name.split("_")})
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(int(generator(self.seed, "weights").initial_seed()))
            self.build(spec)
        self.spec = spec

    def configuration(self) -> dict[str, Any]:
        """Constructor arguments as primitives.

        Raises:
            ConfigurationError: an argument is of a kind that no checkpoint could bring back.
        """
        try:
            return {name: to_primitive(getattr(self, name)) for name in inspect.signature(type(self)).parameters}
        except TypeError as error:
            raise ConfigurationError(
                f"{error} among the arguments of {type(self).__name__} cannot be stored in a checkpoint; pass numbers,"
                " words, classes, or functools.partial over a class whose arguments are given by name."
            ) from error

    def header(self) -> dict[str, Any]:
        """Everything that is needed to rebuild this module but its weights, as primitives.

        Raises:
            ConfigurationError: the module was never fitted, or its class or an argument cannot be stored.
        """
        if self.spec is None:
            raise ConfigurationError(f"This {type(self).__name__} was never fitted; fit or load it first.")
        return {
            "format": FORMAT_VERSION,
            "class_path": class_path(type(self)),
            "configuration": self.configuration(),
            "spec": self.spec.to_json(),
        }


def read_header(checkpoint: dict[str, Any], path: Any) -> dict[str, Any]:
    """genrl's own part of a checkpoint.

    Raises:
        CheckpointError: it is missing, incomplete or of an unknown format version.
    """
    header = checkpoint.get("genrl") if isinstance(checkpoint, dict) else None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is not a checkpoint of genrl: it has no 'genrl' entry; 'genrl fit' writes one.")
    if header.get("format") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {header.get('format')}, this genrl reads format {FORMAT_VERSION};"
            " install the genrl version that wrote it."
        )
    if lacking := [name for name in ("class_path", "configuration", "spec") if name not in header]:
        raise CheckpointError(
            f"{path} lacks {', '.join(lacking)} in its 'genrl' entry; fit again or take another copy."
        )
    return header


def rebuild(header: dict[str, Any]) -> Stored:
    """The module that wrote ``header``, with fresh weights.

    Raises:
        CheckpointError: its class, or one in its configuration, is not there or takes other arguments now.
    """
    try:
        cls = resolve_name(header["class_path"])
        if not (inspect.isclass(cls) and issubclass(cls, Stored)):
            raise CheckpointError(f"{header['class_path']} is not a method or learner of genrl.")
        module = cls(**{name: _from_primitive(value) for name, value in header["configuration"].items()})
        module.assemble(DataSpec.from_json(header["spec"]))
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"A {header.get('class_path')} cannot be rebuilt from its checkpoint ({error}); install the package that"
            " it comes from, in the version that wrote the checkpoint."
        ) from error
    return module


def class_path(target: type) -> str:
    """Where a class is found again.

    Raises:
        ConfigurationError: it was made inside a function.
    """
    if "<locals>" in target.__qualname__:
        raise ConfigurationError(
            f"{target.__qualname__} is a class made inside a function, which no checkpoint could find again; define it"
            " at the top of a module."
        )
    return f"{target.__module__}.{target.__qualname__}"


def to_primitive(value: Any) -> Any:
    """An argument as numbers, words, lists and dictionaries of these.

    Raises:
        TypeError: it is of a kind that could not be brought back.
        ConfigurationError: its class was made inside a function.
    """
    if isinstance(value, Stored):  # a module made of others that were fitted before
        return {"fitted": value.header()}
    if isinstance(value, functools.partial):  # over a class, or over jsonargparse's instantiator with the class behind
        parts = [value.func, *value.args]
        while parts and not inspect.isclass(parts[0]):
            parts.pop(0)
        if len(parts) != 1:  # no class, or arguments by position, which would have no name in the checkpoint
            raise TypeError(value)
        target = parts[0]
        arguments = {name: to_primitive(part) for name, part in value.keywords.items()}
        return {"class_path": class_path(target), "init_args": arguments}
    if inspect.isclass(value):
        return {"class_path": class_path(value), "init_args": {}}
    if isinstance(value, Setting):
        arguments = {f.name: to_primitive(getattr(value, f.name)) for f in dataclasses.fields(value)}  # type: ignore[arg-type]
        return {"class_path": class_path(type(value)), "init_args": arguments}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [to_primitive(part) for part in value]
    if isinstance(value, dict):
        return {name: to_primitive(part) for name, part in value.items()}
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"{value!r:.80}, of the type {type(value).__name__},")
    return value


def _from_primitive(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"fitted"}:
        return rebuild(value["fitted"])  # its weights come with those of the module around it
    if isinstance(value, dict) and set(value) == {"class_path", "init_args"}:
        target = resolve_name(value["class_path"])
        arguments = {name: _from_primitive(part) for name, part in value["init_args"].items()}
        return target(**arguments) if issubclass(target, Setting) else functools.partial(target, **arguments)
    if isinstance(value, dict):
        return {name: _from_primitive(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_from_primitive(part) for part in value]
    return value


def in_full(value: Any) -> Any:
    """A primitive with the defaults of the classes in it written out, as the command line writes them."""
    if isinstance(value, list):
        return [in_full(part) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"class_path", "init_args"}:
        try:
            takes = inspect.signature(resolve_name(value["class_path"])).parameters.values()
            defaults = {each.name: to_primitive(each.default) for each in takes if each.default is not each.empty}
        except (ImportError, AttributeError, ConfigurationError, TypeError, ValueError):  # to be compared as it is
            defaults = {}
        value = {**value, "init_args": {**defaults, **value["init_args"]}}
    return {name: in_full(part) for name, part in value.items()}
