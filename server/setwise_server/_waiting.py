"""Collections that were made and wait for their encoder: one hidden file each, so that they survive a restart."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from setwise_engine.collection import Disk
from setwise_engine.errors import CorruptError

__all__ = ["WAITING_FOLDER", "Waiting", "forget_waiting", "load_waiting", "waiting_files", "write_waiting"]

WAITING_FOLDER = ".waiting"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a collection will be made with once it has an encoder.

    model: as the server offers it, "" for ready-made sets. dims: of an encoded token, None for what is usual. coarse,
    thumbnails, gate: as in Settings.
    """

    model: str
    dims: int | None
    coarse: str
    thumbnails: bool
    gate: bool


def waiting_files(root: Path) -> dict[str, Path]:
    """The files of all collections that wait, by name."""
    return {path.stem: path for path in (root / WAITING_FOLDER).glob("*.json")}


def load_waiting(path: Path) -> Waiting:
    """What a file holds. Raises CorruptError naming it when it cannot be read."""
    try:
        return Waiting(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise CorruptError(f"{path} is damaged ({error}); drop the collection and make it anew") from error


def write_waiting(root: Path, name: str, waiting: Waiting, disk: Disk) -> None:
    """Keeps it for good. The caller holds the root's lock. Raises CollectionError when it cannot be written."""
    folder = root / WAITING_FOLDER
    if not folder.is_dir():
        folder.mkdir()
        disk.fsync_folder(root)
    disk.publish(folder / f"{name}.json", [json.dumps(asdict(waiting)).encode()])


def forget_waiting(root: Path, name: str, disk: Disk) -> None:
    """Removes it, if it is there. The caller holds the root's lock."""
    disk.remove(root / WAITING_FOLDER / f"{name}.json")
