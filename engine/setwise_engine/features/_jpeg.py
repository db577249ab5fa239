"""What a JPEG asks of its decoder before anything of it is decoded."""

from __future__ import annotations

import re

from setwise_engine.errors import ImageError

__all__ = ["MAX_SCANS", "check_scans"]

MAX_SCANS = 100
"""As libtiff's JPEG codec has it (tif_jpeg.c). Encoders write about ten."""

_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # but stuffed bytes and restarts, which stand within a scan
_START_OF_SCAN, _END = 0xDA, 0xD9
_BARE = (0x01, 0xD8)  # markers without a length


def check_scans(data: bytes, name: str) -> None:
    """Raises ImageError, which calls the picture `name`, for a JPEG in more than MAX_SCANS scans.

    Each goes over the whole picture and may have no more than a few bytes: 15 MB of them would be decoded for hours.
    """
    # Mostly the first count decides; it may also meet bytes of a film or thumbnail that the file carries along.
    if data.count(b"\xff\xda") > MAX_SCANS and _scans(data) > MAX_SCANS:
        raise ImageError(f"{name} is a JPEG in more than {MAX_SCANS} scans; save it anew", field="image")


def _scans(data: bytes) -> int:
    """Scans up to the end of the picture (ITU-T T.81, B.1)."""
    scans, at = 0, 0
    while (found := _MARKER.search(data, at)) is not None:
        at, marker = found.end(), data[found.end() - 1]
        if marker == _END:
            break
        scans += marker == _START_OF_SCAN
        if marker not in _BARE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans
