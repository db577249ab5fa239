"""Reading a file whole, within a limit, with errors that name it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from setwise_engine.errors import ImageError, ImageLimitError, NotFound
from setwise_engine.features._budget import DecodeBudget

__all__ = ["DecodeLimits", "read_limited"]


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The largest image that is read: bytes of the encoded file, pixels of the decoded picture.

    budget: memory for decoding that all who have these limits share; None for as much as it takes.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 100_000_000
    budget: DecodeBudget | None = field(default=None, compare=False)

    def memory(self, size: int, name: str, check: Callable[[], None]) -> AbstractContextManager[None]:
        """Has so many bytes of the budget while what is inside runs; see `DecodeBudget.hold`."""
        return nullcontext() if self.budget is None else self.budget.hold(size, name, check)


def read_limited(source: bytes | Path, name: str, limits: DecodeLimits) -> bytes:
    """The encoded bytes of `source`, which errors call `name`.

    Raises NotFound for a missing file; ImageError for a folder, a device, a file that may not be read, is empty or
    is larger than the limit. Sizes are looked up before anything is read.
    """
    data = _read(source, name, limits) if isinstance(source, Path) else source
    _check_bytes(len(data), name, limits)
    return data


def _read(path: Path, name: str, limits: DecodeLimits) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{name} is a folder, not an image file", field="image")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{name} is not a regular file", field="image")
        _check_bytes(status.st_size, name, limits)
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no file {name}", field="image") from error
    except PermissionError as error:
        raise ImageError(f"{name} may not be read by this user; change its permissions", field="image") from error
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror or error}", field="image") from error


def _check_bytes(size: int, name: str, limits: DecodeLimits) -> None:
    if size == 0:
        raise ImageError(f"{name} is empty (0 bytes)", field="image")
    if size > limits.max_bytes:
        raise ImageLimitError(
            f"{name} is larger than the limit of {limits.max_bytes} bytes; scale it down",
            field="image",
            limit="max_image_bytes",
            allowed=limits.max_bytes,
        )
