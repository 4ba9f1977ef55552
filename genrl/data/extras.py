"""Packages that only some environments need, imported when one is asked for."""

from importlib import import_module
from types import ModuleType

from genrl.data.errors import ConfigurationError


def optional(module: str, package: str = "", extra: str = "play") -> ModuleType:
    """The module of a package that genrl works without.

    Args:
        module: to import.
        package: that it comes from; named like the module where empty.
        extra: of genrl that asks for it.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = package or module.partition(".")[0].replace("_", "-")
        raise ConfigurationError(
            f"This needs the package {package} ({error}); install it with: pip install 'genrl-synth[{extra}]'."
        ) from error
