"""What every command that asks a server takes, and the client that it makes of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setwise import Client

__all__ = ["VARIABLES", "configure_connection", "connect", "security"]

_FILES = {
    "ca": ("SETWISE_CA", "PEM file of the authorities that may have signed the server's certificate; means TLS"),
    "certificate": ("SETWISE_CERTIFICATE", "PEM file of your own certificate chain, where the server asks for one"),
    "certificate_key": ("SETWISE_CERTIFICATE_KEY", "PEM file of its private key"),
}
_TLS, _KEY, _KEY_FILE = "SETWISE_TLS", "SETWISE_API_KEY", "SETWISE_API_KEY_FILE"
VARIABLES = frozenset({_TLS, _KEY, _KEY_FILE, *(variable for variable, _ in _FILES.values())})
"""Environment variables that the commands read."""

_ABOUT = (
    "How a server knows you, and you it; a directory needs none of this. The key itself may stand in SETWISE_API_KEY."
)


def configure_connection(parser: argparse.ArgumentParser, patience: str = "seconds to wait") -> None:
    """Declare the arguments. patience: what --timeout is."""
    parser.add_argument("--collection", metavar="NAME", help="which collection, when the server holds several")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help=f"{patience} (default 120)")
    add = parser.add_argument_group("security", _ABOUT).add_argument
    # Never the key itself: other users of the machine see command lines, and shells keep them.
    add("--api-key-file", type=Path, metavar="FILE", help=f"file that holds the key ({_KEY_FILE})")
    add("--tls", action="store_true", default=None, help=f"encrypt the wire ({_TLS}=1)")
    for name, (variable, what) in _FILES.items():
        add(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=f"{what} ({variable})")
    add("--insecure-api-key", action="store_true", help="send the key in clear text through a network that you trust")


def connect(args: argparse.Namespace) -> Client:
    """The client of the target. Raises SetwiseError naming the argument or the variable at fault."""
    import setwise

    return setwise.connect(args.target, collection=args.collection, timeout=args.timeout, **security(args, os.environ))


def security(args: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of `setwise.connect` that are about security: from the command line, or else the environment."""
    paths = {name: getattr(args, name) or environment.get(variable) or None for name, (variable, _) in _FILES.items()}
    return {
        "api_key": _api_key(args.api_key_file, environment),
        "tls": args.tls or _switch(_TLS, environment),
        "ca": paths["ca"],
        "certificate": paths["certificate"],
        "key": paths["certificate_key"],
        "insecure_api_key": args.insecure_api_key,
    }


def _api_key(file: Path | None, environment: Mapping[str, str]) -> str | None:
    """None: `setwise.connect` looks for the variable with the key itself."""
    if file is None and (environment.get(_KEY) or not environment.get(_KEY_FILE)):
        return None
    from setwise import InvalidArgumentError

    path = file or Path(environment[_KEY_FILE])
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InvalidArgumentError(f"cannot read the key in {path}: {why}", field="--api-key-file") from error
    if len(text.split()) != 1:
        what = f"{path} holds {len(text.split())} words; it must hold the key and nothing else"
        raise InvalidArgumentError(what, field="--api-key-file")
    return text


def _switch(variable: str, environment: Mapping[str, str]) -> bool | None:
    from setwise import InvalidArgumentError

    match environment.get(variable, "").strip().lower():
        case "":
            return None
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case other:
            raise InvalidArgumentError(f"{variable} is {other!r}; give 1 or 0", field=variable)
