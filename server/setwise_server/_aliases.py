"""Names that stand for collections: one small file in the root folder, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from setwise_engine.collection import Disk
from setwise_engine.errors import CorruptError, FormatError

__all__ = ["ALIASES_FILE", "read_aliases", "write_aliases"]

ALIASES_FILE = "aliases.json"
_VERSION = 1


def read_aliases(root: Path) -> dict[str, str]:
    """The collection that each alias stands for; none where there is no file.

    Raises FormatError for an unknown version, CorruptError for a file that cannot be read, both naming it.
    """
    path = root / ALIASES_FILE
    try:
        document = json.loads(path.read_bytes())
        version, aliases = document["version"], document["aliases"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"{path} is damaged ({error}); restore it, or remove it and set the aliases anew") from error
    if version != _VERSION:
        message = f"{path} has version {version}, this release knows version {_VERSION}; install a newer setwise"
        raise FormatError(message)
    if not isinstance(aliases, dict) or not all(isinstance(name, str) for name in aliases.values()):
        raise CorruptError(f"{path} is damaged: it maps names to other things; restore it, or remove it")
    return aliases


def write_aliases(root: Path, aliases: Mapping[str, str], disk: Disk) -> None:
    """Puts these aliases in the place of all others: after a crash the file holds either the old ones or the new.

    The caller holds the root's lock. Raises CollectionError when the file cannot be written.
    """
    text = json.dumps({"version": _VERSION, "aliases": dict(sorted(aliases.items()))}, indent=2)
    disk.publish(root / ALIASES_FILE, [f"{text}\n".encode()])
