"""Files and folders named on a command line, as images with ids: the rules of `setwise index`, without its engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from setwise._errors import InvalidArgumentError, NotFoundError
from setwise._table import printable

__all__ = ["IMAGE_SUFFIXES", "list_files"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"})
_CATALOG = "catalog.sqlite"  # a folder with it is a collection; its files are no images to store


def list_files(sources: Sequence[str], prefix: str = "") -> list[tuple[str, Path]]:
    """Ids and paths, in the order of the ids' UTF-8 bytes.

    Folders are searched recursively for image files, hidden ones left out; files that are named are taken whatever
    their suffix. An id is the path inside its folder with slashes, after the folder's name when there are several
    sources, and after `prefix`; the id of a named file is its name. Raises NotFoundError when a source does not exist,
    and InvalidArgumentError when nothing is found or two files get one id.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for name, path in _find(source, len(sources) > 1):
            id = prefix + name
            if found.setdefault(id, path) != path:
                what = f"{printable(str(found[id]))} and {printable(str(path))} both get the id {printable(id)!r}"
                raise InvalidArgumentError(f"{what}; add them one by one with --prefix", field="sources")
    if not found:
        wanted = ", ".join(sorted(IMAGE_SUFFIXES))
        names = ", ".join(map(printable, sources))
        raise InvalidArgumentError(f"no images found in {names}; folders are searched for {wanted}", field="sources")
    return sorted(found.items(), key=lambda entry: entry[0].encode(errors="surrogateescape"))


def _find(source: str, several: bool) -> Iterator[tuple[str, Path]]:
    path = Path(source)
    if path.is_dir():
        start = f"{path.resolve().name}/" if several else ""
        for file in _walk(path):
            yield start + file.relative_to(path).as_posix(), file
    elif path.exists():
        yield path.name, path
    else:
        raise NotFoundError(f"no such file or folder: {printable(source)}; check the path", field="sources")


def _walk(root: Path) -> Iterator[Path]:
    """Links are followed, but no folder is entered twice: loops of links end."""
    entered: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in entered or _CATALOG in files:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(folder, name)
