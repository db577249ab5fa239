"""`setwise key`: the API keys that a server knows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

__all__ = ["HELP", "main"]

HELP = "make, list and revoke the API keys of a server"

_DESCRIPTION = """
FILE is what `setwise serve --keys FILE` is given. It holds no key, only hashes: a new key is shown once and cannot be
shown again. Servers notice changes of the file within a second or two.
"""


def main(words: Sequence[str]) -> int:
    """Run `setwise key WORDS` and give its exit code: 0; wrong usage exits with 2, other errors are raised."""
    args = _parser().parse_args(words)
    args.act(args)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="setwise key", description=_DESCRIPTION, allow_abbrev=False)
    actions = parser.add_subparsers(required=True, metavar="new | list | revoke")
    new = _action(actions, "new", _new, "make a key; it is printed, and its hash added to FILE")
    new.add_argument("name", metavar="NAME", help="who it is for, as logs and limits will know the caller")
    scopes = ("read", "write", "admin")
    new.add_argument("--scope", choices=scopes, default="read", help="what it may do (default: %(default)s)")
    new.add_argument("--expires", type=_day, metavar="YYYY-MM-DD", help="the last day on which it works, in UTC")
    _action(actions, "list", _list, "show who is in FILE")
    revoke = _action(actions, "revoke", _revoke, "take a key out of FILE")
    revoke.add_argument("key", metavar="KEY", help="the name, for all of its keys, or the id of one, as list shows it")
    return parser


def _action(actions: Any, name: str, act: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help, description=help, allow_abbrev=False)
    parser.add_argument("file", type=Path, metavar="FILE", help="the file of keys")
    parser.set_defaults(act=act)
    return parser


def _new(args: argparse.Namespace) -> None:
    from setwise_server.security import add_key

    print(add_key(args.file, args.name, args.scope, args.expires))


def _list(args: argparse.Namespace) -> None:
    from setwise_server.security import key_id, load_keys

    entries = load_keys(args.file)
    width = max((len(entry.caller.name) for entry in entries), default=0)
    for entry in entries:
        until = f"  {'expired on' if entry.expired() else 'until'} {entry.expires}" if entry.expires else ""
        what = f"key {key_id(entry)}" if entry.sha256 else f"certificate {entry.subject or entry.alternative_name}"
        print(f"{entry.caller.name:<{width}}  {entry.caller.access.name.lower():<5}  {what}{until}")


def _revoke(args: argparse.Namespace) -> None:
    from setwise_server.security import key_id, revoke_keys

    for entry in revoke_keys(args.file, args.key):
        print(f"{entry.caller.name} ({key_id(entry)}) revoked")


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is not a date such as 2027-01-31') from error
    if day < datetime.now(UTC).date():
        raise argparse.ArgumentTypeError(f"{text} is over: the key would never work")
    return day
