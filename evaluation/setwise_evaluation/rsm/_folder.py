"""A matrix in a folder: numbers as .npy files, everything else in manifest.json."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from setwise_engine.errors import AlreadyExists, CorruptError, FormatError, Incompatible, NotFound, Unavailable
from setwise_engine.matching import Kernel
from setwise_evaluation.matchers import Matching

if TYPE_CHECKING:
    from setwise_evaluation.rsm._rsm import Rsm

__all__ = [
    "COLUMNS",
    "DONE",
    "GAPS",
    "MANIFEST",
    "ROWS",
    "SUMS",
    "load_parts",
    "new_folder",
    "read_manifest",
    "save_parts",
    "write_manifest",
    "writing",
]

SUMS, GAPS, ROWS, COLUMNS = "sums.npy", "gaps.npy", "row-squares.npy", "column-squares.npy"
MANIFEST, DONE = "manifest.json", "done"
_FILES = frozenset({MANIFEST, DONE, SUMS, GAPS, ROWS, COLUMNS})
_FORMAT, _VERSION = "setwise-rsm", 1
_IDS = ("row_ids", "column_ids")
_SAID = ("matching", "kernel", "sigma", "symmetric", *_IDS, "row_fingerprint", "column_fingerprint")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises Unavailable, naming the folder, for what the system refuses inside."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{folder} could not be written ({error.strerror or error}); what was stored before stays: make room, or "
            "see to the rights, and begin again, or give another folder",
            field="store",
        ) from error


def new_folder(folder: Path) -> None:
    """Makes the folder if need be. Raises AlreadyExists when it holds anything but an unfinished beginning of ours."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        strangers = sorted({path.name for path in folder.iterdir()} - _FILES)
    if strangers or (folder / MANIFEST).exists():
        found = strangers[0] if strangers else "a matrix"
        raise AlreadyExists(f"{folder} already holds {found}; give a new or an empty folder", field="store")


def write_manifest(folder: Path, says: Mapping[str, Any]) -> None:
    """Puts the manifest in its place, whole, so that it lasts. Raises OSError."""
    part = folder / f".{MANIFEST}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump({"format": _FORMAT, "version": _VERSION} | dict(says), file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What the manifest says; None when there is none. Raises FormatError when it is not ours or of a later version."""
    try:
        says = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = (says["format"], says["version"]) == (_FORMAT, _VERSION)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise FormatError(f"{folder / MANIFEST} cannot be read ({error}); remove the folder", field="store") from error
    if not known:
        raise FormatError(
            f"{folder / MANIFEST} is of a kind this release does not know; use a newer one", field="store"
        )
    return dict(says)


def save_parts(folder: str | os.PathLike[str], rsm: Rsm) -> None:
    """What `Rsm.save` does."""
    path = Path(folder)
    new_folder(path)
    numbers = {SUMS: rsm.sums, GAPS: rsm.gaps, ROWS: rsm.row_squares, COLUMNS: rsm.column_squares}
    with writing(path):
        for name, array in numbers.items():
            if array is not None:
                np.save(path / name, array)
        write_manifest(path, {name: getattr(rsm, name) for name in _SAID})


def load_parts(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields of the `Rsm` in a folder."""
    path = Path(folder)
    says = read_manifest(path)
    if says is None:
        raise NotFound(f"there is no matrix in {path}; give a folder that `Rsm.save` or `rsm(store=...)` made")
    if "run" in says and (missing := (path / DONE).read_bytes().count(0)):
        raise Incompatible(f"{path} is not complete: {missing} of its tiles are missing; run the same `rsm` again")
    fields = {name: says[name] for name in _SAID}
    fields |= {name: None if says[name] is None else tuple(says[name]) for name in _IDS}
    return fields | {
        "matching": Matching(says["matching"]),
        "kernel": Kernel(says["kernel"]),
        "sums": _mapped(path / SUMS),
        "gaps": _mapped(path / GAPS) if (path / GAPS).exists() else None,
        "row_squares": np.array(_mapped(path / ROWS)),
        "column_squares": np.array(_mapped(path / COLUMNS)),
    }


def _mapped(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path} cannot be read ({error}); compute the matrix again") from error
