"""Pictures made to hurt: bombs, lies about size, cut and crossed files, formats that run something when opened."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin

__all__ = ["bombs", "crossed", "cut", "liars", "strangers"]

SIDE = 9_999  # 100 megapixels, just below what a server takes by default


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    """The picture as a file."""
    out = BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def bombs() -> Iterator[tuple[str, bytes]]:
    """Little to send, much to decode."""
    large = Image.new("L", (SIDE, SIDE), 7)
    yield "PNG", saved(large, "PNG")
    yield "GIF", saved(large, "GIF")
    yield "progressive JPEG", saved(large, "JPEG", progressive=True)
    yield "TIFF", saved(large, "TIFF", compression="tiff_deflate")
    yield "WebP", saved(Image.new("RGB", (SIDE, SIDE), 7), "WEBP", lossless=True, method=0)
    small = saved(Image.new("L", (500, 500), 7), "JPEG", progressive=True)
    scan = small[[found.start() for found in re.finditer(rb"\xff\xda", small)][-1] : -2]
    yield "JPEG of 100,000 scans", small[:-2] + scan * 100_000 + small[-2:]
    text = PngImagePlugin.PngInfo()
    text.add_text("x", "y" * (1 << 26), zip=True)
    yield "PNG with a bomb of text", saved(Image.new("L", (8, 8)), "PNG", pnginfo=text)
    profile = b"iCCP" + b"x\0\0" + zlib.compress(bytes(1 << 28), 9)
    png = saved(Image.new("L", (8, 8)), "PNG")
    chunk = struct.pack(">I", len(profile) - 4) + profile + struct.pack(">I", zlib.crc32(profile))
    yield "PNG with a bomb of a profile", png[:33] + chunk + png[33:]
    frames = [Image.new("L", (2000, 2000), n) for n in range(30)]
    yield "animated WebP", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, method=0)


def liars() -> Iterator[tuple[str, bytes]]:
    """Files whose headers speak of far more than is there."""
    png = bytearray(saved(Image.new("L", (8, 8)), "PNG"))
    png[16:24] = struct.pack(">II", 1_000_000, 1_000_000)
    png[29:33] = struct.pack(">I", zlib.crc32(bytes(png[12:29])))
    yield "PNG of 10^12 pixels", bytes(png)
    bmp = bytearray(saved(Image.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", SIDE, SIDE)
    yield "BMP without its pixels", bytes(bmp)
    gif = bytearray(saved(Image.new("L", (8, 8)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    yield "GIF of 4 * 10^9 pixels", bytes(gif)
    jpeg = saved(Image.new("L", (8, 8)), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    yield "JPEG without its pixels", jpeg[:at] + struct.pack(">HH", SIDE, SIDE) + jpeg[at + 4 :]
    tiff = bytearray(saved(Image.new("L", (8, 8)), "TIFF"))
    tiff[-4:] = struct.pack("<I", 8)
    yield "TIFF whose next directory is itself", bytes(tiff)
    yield "TIFF with 65,535 entries", b"II*\x00\x08\x00\x00\x00\xff\xff" + bytes(range(256)) * 40


def strangers() -> Iterator[tuple[str, bytes]]:
    """What other programs would open, and some would run."""
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n"
    yield "PDF", b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(x)>>>>endobj\n"
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "HTML", b"<!DOCTYPE html><script>alert(1)</script>"
    yield "pickle", b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."
    yield "script", b"#!/bin/sh\nid\n"
    yield "zip", b"PK\x03\x04" + bytes(60)
    yield "numbers", random.Random(4).randbytes(5000)
    yield "a path", b"/etc/passwd"
    yield "an address", b"http://169.254.169.254/latest/meta-data"


def crossed(photo: bytes) -> Iterator[tuple[str, bytes]]:
    """A real photo that is something else besides; it may be read as a photo, and as nothing else."""
    yield "photo and zip", photo + b"PK\x03\x04" + bytes(100)
    yield "photo and page", photo[:2] + b"\xff\xfe\x00\x20<script>alert(document.x)</s>" + photo[2:]
    yield "page and photo", b"<!--" + photo
    yield "PNG's name, JPEG's body", b"\x89PNG\r\n\x1a\n" + photo
    yield "GIF's name, JPEG's body", b"GIF89a" + photo
    yield "WebP's name, JPEG's body", b"RIFF" + struct.pack("<I", len(photo)) + b"WEBP" + photo


def cut(photo: bytes) -> Iterator[tuple[str, bytes]]:
    """The photo cut short, and with holes."""
    rng = random.Random(9)
    for n in range(20):
        yield f"cut {n}", photo[: rng.randrange(1, len(photo))]
        broken = bytearray(photo)
        for _ in range(30):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        yield f"holes {n}", bytes(broken)
