"""The size of a WebP picture by its header, before anything makes room for it."""

from __future__ import annotations

from setwise_engine.errors import ImageError

__all__ = ["webp_size"]


def webp_size(data: bytes, name: str) -> tuple[int, int]:
    """Width and height in pixels, of the canvas where there is one (RFC 9649, sections 2.5 to 2.7).

    Raises ImageError, which calls the picture `name`, for bytes that are no WebP picture.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ImageError(f"{name} is not a JPEG, PNG, WebP, BMP, TIFF or GIF image", field="image")
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X" and len(body) == 10:
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(body) == 10 and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise ImageError(f"{name} cannot be decoded: it is damaged or cut short (no WebP header)", field="image")
