"""The command line: ``genrl COMMAND --help`` explains each command.

Every command is a typed function of the package that it belongs to, imported when it is called; what it returns is
printed. An error that genrl raises on purpose becomes one sentence and exit status 2, and so does an interruption,
with exit status 130.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from typing import Any, NamedTuple

from genrl.data.errors import GenrlError


class Command(NamedTuple):
    """A command: what it does in a few words, and how its arguments are taken."""

    summary: str
    run: Callable[[str, list[str]], Any]


def typed(target: str, *, positional: bool = False) -> Callable[[str, list[str]], Any]:
    """A command from the signature of the function ``module:name``; its required arguments may be positional."""

    def run(prog: str, args: list[str]) -> Any:
        from jsonargparse import auto_cli

        return auto_cli(
            resolve_name(target),
            args=[underscored(argument) for argument in args],
            prog=prog,
            as_positional=positional,
            exit_on_error=False,
            allow_abbrev=False,
        )

    return run


def underscored(argument: str) -> str:
    """``--guidance-scale=2`` is ``--guidance_scale=2``: both spellings of an option are taken."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def at_home(word: str) -> str:
    """``~`` at the beginning of a path, which a shell leaves alone in quotes and behind an equals sign."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + os.path.expanduser(value)


def raw(target: str) -> Callable[[str, list[str]], Any]:
    """A command that parses its arguments itself."""
    return lambda prog, args: resolve_name(target)(prog, args)


COMMANDS = {
    "collect": Command("run a policy and store its episodes", typed("genrl.evaluation.commands:collect")),
    "info": Command("say what is inside a data set", typed("genrl.data.info:info", positional=True)),
    "fit": Command("fit a method or learner to data sets", raw("genrl.training.command:fit")),
    "validate": Command("losses on held-out episodes", raw("genrl.training.command:validate")),
    "synthesize": Command("make a data set with a fitted method", typed("genrl.synthesis.command:synthesize")),
    "evaluate": Command("return, success and score of a policy", typed("genrl.evaluation.commands:evaluate")),
    "report": Command("compare two data sets", typed("genrl.evaluation.commands:report", positional=True)),
    "dynamics": Command("errors of the dynamics", typed("genrl.evaluation.commands:dynamics", positional=True)),
    "replay": Command("true returns of synthetic episodes", typed("genrl.evaluation.commands:replay", positional=True)),
    "verify": Command("check a data set with Minari's reader", typed("genrl.data.verify:verify", positional=True)),
    "demo": Command("the whole job in a few minutes", typed("genrl.demo.command:demo")),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0, 1 where something checked is wrong, 2 for bad input, 130 if interrupted."""
    name, *rest = [at_home(word) for word in (sys.argv[1:] if args is None else args)] or ["--help"]
    if name in ("-h", "--help"):
        show(usage())
        return 0
    if name not in COMMANDS:
        print(f"genrl: there is no command '{name}'; there are {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        result = COMMANDS[name].run(f"genrl {name}", rest)
    except (GenrlError, argparse.ArgumentError, ValueError, OSError) as error:
        if (sentence := explained(error)) is None:
            raise
        print(f"genrl {name}: {sentence}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"genrl {name}: interrupted; what was complete by then is kept.", file=sys.stderr)
        return 130
    if result is not None:
        show(result)
    return 0 if getattr(result, "ok", True) else 1


def show(result: Any) -> None:
    """Print what a command found; whoever reads it may have seen enough."""
    try:
        print(result, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python flushes once more at its end


def explained(error: BaseException) -> str | None:
    """One sentence for what the user can mend; None for anything else.

    jsonargparse wraps what a constructor raises, so an error of genrl's own, or a package that is not installed, is
    looked for among the causes.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, GenrlError):
            return str(cause)
        if isinstance(cause, ModuleNotFoundError) and not isinstance(error, argparse.ArgumentError):
            return " ".join(str(cause).split())  # of a logger, for instance; it says what to install
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{' '.join((error.strerror or str(error) or type(error).__name__).split()).rstrip('.')}."
    if not isinstance(error, argparse.ArgumentError):
        return None
    return f"{' '.join(_refusal(str(error)).split())}; --help lists the options."


UNION = re.compile(
    r'Parser key "([^"]*)":(?:(?!Parser key).)*?'
    r"Subtypes: \[(.*?)\]\n *Errors:\n( *- )(.*)\n *Given value type: .*?\n *Given value: (.*)",
    re.DOTALL,
)
"""How jsonargparse refuses a value that fits none of several types: option, types, what each of them said, value."""


def _refusal(text: str) -> str:
    """jsonargparse's message about an option: of several types, what the one that was meant said, or their names."""
    if (found := UNION.search(text)) is None:
        return text
    key, types, bullet, errors, value = found.groups()
    for error in errors.split(f"\n{bullet}"):
        if not re.match(r"Expected a (<class|typing\.)", error):
            return f"{text[: found.start()]}{key}: {_refusal(error)}"
    wanted = re.sub(r"typing\.Literal\[(.*?)\]|<class '(?:[^']*\.)?(\w+)'>", r"\1\2", types)
    return f"{text[: found.start()]}{key}: wanted {wanted.replace(', NoneType', ' or null')}, not {value}"


def usage() -> str:
    """All commands, one a line."""
    lines = [f"  {name:<12}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: genrl COMMAND [options]", "", *lines, "", "'genrl COMMAND --help' explains each."])


if __name__ == "__main__":
    sys.exit(main())
