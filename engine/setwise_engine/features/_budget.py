"""Memory that pictures may take while they are decoded, all together, and what each of them will need."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin

from setwise_engine.errors import ImageLimitError

__all__ = ["DecodeBudget", "decoding_bytes", "pixels_of"]

_POLL_S = 0.02

# Bytes a pixel at the peak, brought to RGB, as measured with Pillow 12 and rounded up (docs/decisions/0117).
_RGB, _CONVERTED, _ALPHA, _DEEP, _WEBP_MORE, _COEFFICIENT = 5, 9, 20, 30, 13, 2
_DEEP_MODES = ("I", "F")


class DecodeBudget:
    """So many bytes, shared by all who decode at once; who finds too few left waits, first come, first served.

    Thread-safe.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @property
    def held(self) -> int:
        """Bytes that are taken now."""
        return self.size - self._free

    @property
    def waiting(self) -> int:
        """Pictures that wait for their bytes now."""
        return len(self._waiting)

    @contextmanager
    def hold(self, wanted: int, name: str, check: Callable[[], None]) -> Iterator[None]:
        """Has `wanted` bytes while what is inside runs. name: of the picture, for messages.

        check: called while waiting; what it raises ends the wait. Raises ImageLimitError for more than there is at all.
        """
        if wanted > self.size:
            raise ImageLimitError(
                f"{name} takes {wanted} bytes of memory to decode, more than the limit of {self.size}; scale it down, "
                "or save it as a JPEG that is not progressive",
                field="image",
                limit="decode_bytes",
                allowed=self.size,
            )
        self._take(wanted, check)
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()

    def _take(self, wanted: int, check: Callable[[], None]) -> None:
        place = object()
        with self._changed:
            self._waiting.append(place)
            try:
                while self._waiting[0] is not place or self._free < wanted:
                    check()
                    self._changed.wait(_POLL_S)
                self._free -= wanted
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()


def pixels_of(picture: Image.Image) -> int:
    """Pixels that decoding makes room for: of the picture, or of one tile of a TIFF whose tiles are larger."""
    pixels = picture.width * picture.height
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        width, height = (picture.tag_v2.get(tag) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
        if isinstance(width, int) and isinstance(height, int):
            pixels = max(pixels, width * height)
    return pixels


def decoding_bytes(picture: Image.Image, whole: int) -> int:
    """Memory that decoding the picture and bringing it to RGB takes at most.

    picture: opened, not loaded; a JPEG in the size in which it will be decoded. whole: pixels before that.
    """
    bands = len(picture.getbands())
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        # A progressive one is kept whole as coefficients, whatever it is scaled to.
        coefficients = _COEFFICIENT * bands * whole if "progressive" in picture.info else 0
        return _CONVERTED * picture.width * picture.height + coefficients
    more = _WEBP_MORE if isinstance(picture, WebPImagePlugin.WebPImageFile) else 0
    return (_rate(picture) + more) * whole


def _rate(picture: Image.Image) -> int:
    if picture.mode.startswith(_DEEP_MODES):
        return _DEEP
    if picture.mode.endswith(("A", "a")) or "transparency" in picture.info or picture.format == "GIF":
        return _ALPHA
    return _RGB if picture.mode == "RGB" else _CONVERTED
