"""Packages that only some environments need, imported when one is asked for."""

from importlib import import_module
from types import ModuleType

from genrl.data.errors import ConfigurationError


def optional(module: str) -> ModuleType:
    """The module of a package that genrl works without.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise ConfigurationError(
            f"This needs the package {package} ({error}); install it with: pip install 'genrl-synth[play]'."
        ) from error
