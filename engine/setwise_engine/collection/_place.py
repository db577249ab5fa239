"""Where a collection may lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

from setwise_engine.errors import CollectionError, FormatError, NotFound

__all__ = ["absolute", "check_local", "existing_folder", "is_writable"]

_ADDRESS = re.compile(r"[^/\\]+:\d{1,5}")
_MOUNTS = Path("/proc/self/mounts")
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3",
    "smbfs",
}  # fmt: skip


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path from the root. Links stay, because a collection is named after what the caller called it."""
    given = Path(path).absolute()
    return given.resolve() if ".." in given.parts else given


def existing_folder(path: str | os.PathLike[str]) -> Path:
    """The folder as an absolute path. Raises NotFound when there is none, FormatError when it is no folder."""
    folder = absolute(path)
    try:
        exists = folder.exists()
    except OSError as error:
        raise CollectionError(f"{folder} cannot be reached ({error.strerror}); check the rights") from error
    if not exists and _ADDRESS.fullmatch(os.fspath(path)):
        raise NotFound(f"{path} looks like the address of a server; this needs the directory of a collection")
    if not exists:
        raise NotFound(f"there is no collection {folder}; make one with `setwise index SOURCE --into {folder}`")
    if not folder.is_dir():
        raise FormatError(f"{folder} is a file, a collection is a folder; give a folder made by `setwise index`")
    return folder


def check_local(folder: Path, mounts: Path = _MOUNTS) -> None:
    """Raises CollectionError when the folder lies on a network file system.

    SQLite's log needs memory shared between its users, and neither locks nor fsync can be trusted there. Checked on
    Linux only.
    """
    kind = _file_system(folder.resolve(), mounts)
    if kind in _NETWORK:
        message = f"{folder} lies on a network file system ({kind}), where locks and mapped files are not safe"
        raise CollectionError(f"{message}; keep the collection on a local disk")


def is_writable(folder: Path) -> bool:
    """Whether this process may write to the folder and its catalog."""
    catalog = folder / "catalog.sqlite"
    return os.access(folder, os.W_OK | os.X_OK) and (not catalog.exists() or os.access(catalog, os.W_OK))


def _file_system(folder: Path, mounts: Path) -> str:
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        # Of two mounts on one point, the later covers the earlier.
        if folder.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
