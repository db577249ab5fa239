"""Targets of pictures: one for each format, from a real photo in all the modes and kinds that Pillow writes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_grammar import block_grammar
from fuzz_target import Ready, Target
from PIL import Image

from setwise_engine.features import DecodeLimits, prepare_image

__all__ = ["FORMATS", "TARGETS", "images_of"]

SIDE = 32
LIMITS = DecodeLimits(max_bytes=1 << 20, max_pixels=1 << 20)
Variant = tuple[str, dict[str, Any]]

FORMATS: dict[str, list[Variant]] = {
    "JPEG": [("RGB", {"quality": 60}), ("L", {"progressive": True}), ("CMYK", {}), ("RGB", {"exif": True})],
    "PNG": [("RGB", {}), ("RGBA", {}), ("P", {}), ("I;16", {}), ("1", {}), ("LA", {"optimize": True})],
    "WEBP": [("RGB", {"quality": 50}), ("RGBA", {"lossless": True}), ("RGB", {"exif": True})],
    "BMP": [("RGB", {}), ("P", {}), ("1", {}), ("RGBA", {})],
    "TIFF": [
        ("RGB", {}),
        ("RGB", {"compression": "tiff_lzw"}),
        ("RGB", {"compression": "jpeg"}),
        ("L", {"compression": "tiff_deflate"}),
        ("1", {"compression": "group4"}),
        ("F", {}),
        ("I;16", {}),
        ("RGB", {"exif": True}),
    ],
    "GIF": [("P", {}), ("L", {"interlace": 0}), ("P", {"transparency": 3})],
}


def images_of(format: str) -> Iterator[bytes]:
    """Small pictures of a format in every mode that its writer knows, from one of the demo's photos."""
    folder = Path(str(resources.files("setwise") / "_demo" / "photos"))
    photo = Image.open(min(folder.glob("*.jpg"))).convert("RGB").resize((24, 17))
    for mode, options in FORMATS[format]:
        picture = photo.convert("L").convert("I").convert("I;16") if mode == "I;16" else photo.convert(mode)
        kept = dict(options)
        if kept.pop("exif", False):
            exif = Image.Exif()
            exif[0x0112] = 6
            kept["exif"] = exif
        out = BytesIO()
        picture.save(out, format, **kept)
        yield out.getvalue()


def _images(format: str, _: Path) -> Ready:
    """A picture: a square of bytes and a thumbnail that opens; the same bytes give the same pixels."""

    def run(data: bytes) -> None:
        prepared = prepare_image(data, SIDE, limits=LIMITS, thumbnail=True)
        assert prepared.pixels.shape == (SIDE, SIDE, 3)
        assert prepared.pixels.dtype == np.uint8
        assert 1 <= prepared.image_size.width * prepared.image_size.height <= LIMITS.max_pixels
        assert max(Image.open(BytesIO(prepared.thumbnail)).size) <= 256
        again = prepare_image(data, SIDE, limits=LIMITS)
        assert (again.pixels == prepared.pixels).all()

    return Ready(run, list(images_of(format)), block_grammar())


def _sealed_png(_: Path) -> Ready:
    """A PNG of a stranger who knows its checksums."""
    ready = _images("PNG", _)
    return Ready(lambda data: ready.run(_sealed(data)), ready.seeds, block_grammar())


def _sealed(data: bytes) -> bytes:
    """The same chunks with right checksums."""
    out, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = min(int.from_bytes(data[at : at + 4], "big"), len(data) - at - 12)
        chunk = data[at + 4 : at + 8 + length]
        out.append(length.to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big"))
        at += 12 + length
    return b"".join(out)


TARGETS = (
    *(Target(f"images_{format.lower()}", partial(_images, format), short=25) for format in FORMATS),
    Target("images_sealed_png", _sealed_png, short=25),
)
