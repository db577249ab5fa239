"""One file, read once: its bytes, their hash, and what it looked like on disk."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from setwise_engine.errors import ImageError

__all__ = ["content_hash", "read_file", "why_unreadable"]


def read_file(path: str, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Bytes of a file and its status from before they were read, so that a later change is seen by the next run.

    Raises OSError, or ImageError for what is no regular file or is larger than `max_bytes`.
    """
    if not stat.S_ISREG(os.stat(path).st_mode) and not Path(path).is_dir():  # noqa: PTH116 - a pipe would block open()
        raise ImageError("not a regular file; give an image file")
    with open(path, "rb") as file:  # noqa: PTH123 - a path of a listing is text
        status = os.fstat(file.fileno())
        if status.st_size > max_bytes:
            raise ImageError(f"{status.st_size} bytes are more than the limit of {max_bytes}; make the file smaller")
        return file.read(max_bytes + 1), status


def content_hash(*parts: bytes | memoryview) -> str:
    """BLAKE2b-128 over the parts, hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def why_unreadable(error: OSError) -> str:
    """An operating system's refusal as a reason with advice."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "no such file (any more); check the path"
        case IsADirectoryError():
            return "is a folder, not a file; name the folder as a source"
        case PermissionError():
            return "no permission to read it; give this user the right"
    return f"cannot be read: {error.strerror or error}"
