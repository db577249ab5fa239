"""The `setwise` command: finds the subcommand among the entry points and loads only that one."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from types import ModuleType

from setwise._errors import SetwiseError
from setwise._extras import missing_extra

__all__ = ["main"]

_GROUP = "setwise.commands"
_ORDER = (
    "demo",
    "index",
    "search",
    "compare",
    "serve",
    "add",
    "delete",
    "list",
    "info",
    "verify",
    "snapshot",
    "restore",
)
"""The order in which people meet them; any other comes after."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `setwise ARGUMENTS` and give its exit code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {entry.name: entry for entry in entry_points(group=_GROUP)}
    if not words or words[0] in ("-h", "--help"):
        print(_overview(commands), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"setwise {version('setwise')}")
        return 0
    if words[0] not in commands:
        return _fail("setwise", _unknown(words[0], commands), 2)
    return _run(words[0], commands[words[0]], words[1:])


def _run(name: str, command: EntryPoint, words: Sequence[str]) -> int:
    program = f"setwise {name}"
    try:
        module: ModuleType = command.load()
        code = module.main(words) if hasattr(module, "main") else _parsed(module, program, words)
        sys.stdout.flush()
        return int(code)
    except SystemExit as stop:  # argparse has spoken
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return _fail(program, "interrupted", 130)
    except BrokenPipeError:
        # The reader has seen enough, as in `setwise search ... | head`; nothing may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        if advice := missing_extra(error):
            return _fail(program, str(advice), 1)
        raise
    except Exception as error:
        if isinstance(error, SetwiseError | OSError) or isinstance(getattr(error, "reason", None), str):
            return _fail(program, _told(error), 1)
        raise


def _told(error: Exception) -> str:
    """The error in a line; one that the caller cannot mend alone with the name under which the server's log has it."""
    named = getattr(error, "request_id", "")
    if not named or named in str(error) or isinstance(error, ValueError | LookupError | ConnectionError):
        return str(error)
    return f"{error} [request {named}]"


def _parsed(module: ModuleType, program: str, words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=program, description=module.HELP, allow_abbrev=False)
    module.configure(parser)
    # Intermixed: `setwise delete TARGET --collection NAME ID ...` reads its ids wherever they stand.
    args, left = parser.parse_known_intermixed_args(words)
    return _fail(program, _not_understood(left, parser), 2) if left else int(module.run(args))


def _not_understood(left: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """Names options only: what was meant for one, a key say, is not repeated."""
    options = [word.partition("=")[0] for word in left if word.startswith("-")]
    if not options:
        return f"{len(left)} arguments too many; `{parser.prog} --help` tells what there is"
    near = difflib.get_close_matches(options[0], re.findall(r"--[\w-]+", parser.format_usage()))
    near.sort(key=lambda other: sorted(other) != sorted(options[0]))  # two letters that changed places are likeliest
    advice = f"did you mean {near[0]}?" if near else f"`{parser.prog} --help` lists them"
    return f"there is no option {options[0]}; {advice}"


def _fail(program: str, message: str, code: int) -> int:
    print(f"{program}: error: {message}", file=sys.stderr)
    return code


def _overview(commands: dict[str, EntryPoint]) -> str:
    known = [name for name in _ORDER if name in commands]
    names = known + sorted(set(commands) - set(known))
    width = max(map(len, names), default=0)
    lines = [f"  {name:<{width}}  {_help(commands[name])}" for name in names]
    return "\n".join(
        [
            "usage: setwise COMMAND ...",
            "",
            "Find the images that show the same things, wherever they stand.",
            "",
            *lines,
            "",
            "`setwise COMMAND --help` tells more; `setwise --version` tells the version.",
        ]
    )


def _help(command: EntryPoint) -> str:
    """A command's HELP, read from its source: importing it may take seconds, or need an extra that is not here."""
    package, *parts = command.module.split(".")
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        source = Path(folder, *parts).with_suffix(".py")
        if source.is_file():
            return _constant(source.read_text(encoding="utf-8"), "HELP")
    return ""


def _constant(source: str, name: str) -> str:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return str(ast.literal_eval(node.value))
    return ""


def _unknown(word: str, commands: dict[str, EntryPoint]) -> str:
    near = difflib.get_close_matches(word, commands, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`setwise --help` lists them"
    return f"no command {word!r}; {hint}"
