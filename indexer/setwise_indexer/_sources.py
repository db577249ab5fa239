"""Sources named on the command line: folders, files and globs, listed as items in order of id."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from setwise_engine.errors import InvalidInput, NotFound
from setwise_indexer._items import Failure, Item, Listing, plain_path, printable, refuse_duplicates

__all__ = ["IMAGE_SUFFIXES", "list_sources"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"})

_CATALOG = "catalog.sqlite"  # a folder with it is a collection; its files are no sources


@dataclass(frozen=True, slots=True)
class _Root:
    """A source: its name, the folder ids are relative to, and the files it was found to hold."""

    name: str
    base: str
    files: list[str]

    def id_of(self, path: str, *, prefixed: bool) -> str:
        inside = os.path.relpath(path, self.base).replace(os.sep, "/")
        return f"{self.name}/{inside}" if prefixed and self.name else inside


def list_sources(sources: Sequence[str], suffixes: frozenset[str] = IMAGE_SUFFIXES) -> Listing:
    """List what the sources hold.

    Folders are searched recursively for files with one of `suffixes`. Hidden files and folders are left out; links are
    followed, but no folder is entered twice, nor one that is a collection. Files that are named, or matched by a glob,
    are taken whatever their suffix. Ids are paths relative to the source (posix slashes), after the source's
    name when there are several.
    Raises NotFound when a source does not exist, InvalidInput when nothing is found or two files get one id.
    """
    listing = Listing()
    roots = [_find(source, suffixes, listing) for source in sources]
    for root in roots:
        prefixed = len(roots) > 1
        _add(listing, ((root.id_of(path, prefixed=prefixed), path) for path in root.files))
    listing.items.sort(key=lambda item: item.id.encode())
    refuse_duplicates(listing.items)
    if not listing.items and not listing.failures:
        wanted = ", ".join(sorted(suffixes))
        raise InvalidInput(f"no files found in {', '.join(map(printable, sources))}; folders are searched for {wanted}")
    return listing


def _add(listing: Listing, found: Iterator[tuple[str, str]]) -> None:
    for identity, path in found:
        try:
            identity.encode()
        except UnicodeEncodeError:
            reason = "its name is not valid UTF-8 and cannot be an id; rename the file"
            listing.failures.append(Failure(printable(path), printable(identity), reason))
        else:
            listing.items.append(Item(identity, path))


def _find(source: str, suffixes: frozenset[str], listing: Listing) -> _Root:
    path = plain_path(source)
    if path.is_dir():
        return _Root(path.name, str(path), list(_walk(str(path), suffixes, listing)))
    if os.path.lexists(path):
        return _Root("", str(path.parent), [str(path)])
    if glob.has_magic(source):
        return _matches(source)
    raise NotFound(f"no such file or folder: {printable(source)}; check the path", field="source")


def _walk(root: str, suffixes: frozenset[str], listing: Listing) -> Iterator[str]:
    waiting, entered = [root], set[tuple[int, int]]()
    while waiting:
        folder = waiting.pop()
        try:
            status = Path(folder).stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            listing.complete = False
            listing.failures.append(Failure(printable(folder), "", f"folder cannot be read: {error.strerror}"))
            continue
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        if any(entry.name == _CATALOG for entry in entries):
            continue
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        waiting.extend(entry.path for entry in reversed(shown) if entry.is_dir())
        for entry in shown:
            suffix = Path(entry.name).suffix.lower()
            if entry.is_dir():
                continue
            if suffix in suffixes:
                yield entry.path
            else:
                listing.other[suffix] += 1


def _matches(pattern: str) -> _Root:
    found = sorted(glob.glob(pattern, recursive=True), key=lambda path: (path.count(os.sep), path))  # noqa: PTH207
    once: dict[Path, str] = {}
    for path in map(Path, found):
        if not path.is_dir():  # a loop of links shows one file under many names: keep the shortest
            once.setdefault(path.parent.resolve() / path.name, str(plain_path(path)))
    if not once:
        raise NotFound(f"no file matches {printable(pattern)}; check the pattern", field="source")
    fixed = plain_path(_fixed_part(pattern))
    return _Root(fixed.name, str(fixed), list(once.values()))


def _fixed_part(pattern: str) -> Path:
    """The folder before the first part with a wildcard."""
    folder = Path(pattern).parent
    while glob.has_magic(str(folder)):
        folder = folder.parent
    return folder
