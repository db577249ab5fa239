"""Decoding within a budget of memory: what is counted, who waits, and that hostile pictures do not get round it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise_engine.errors import CancelledError, ImageLimitError
from setwise_engine.features import DecodeBudget, DecodeLimits, prepare_image

MIB = 2**20

# Bytes a pixel of 1200 x 1000: what is counted for each kind.
KINDS = {
    "RGB PNG": ("RGB", "PNG", {}, 5),
    "RGBA PNG": ("RGBA", "PNG", {}, 20),
    "grey PNG": ("L", "PNG", {}, 9),
    "16-bit PNG": ("I;16", "PNG", {}, 30),
    "GIF": ("P", "GIF", {}, 20),
    "BMP": ("RGB", "BMP", {}, 5),
    "TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}, 5),
    "float TIFF": ("F", "TIFF", {}, 30),
    "WebP": ("RGB", "WEBP", {"method": 0}, 18),
    "lossless WebP": ("RGB", "WEBP", {"lossless": True, "method": 0}, 18),
    "RGBA WebP": ("RGBA", "WEBP", {"method": 0}, 33),
    "JPEG": ("RGB", "JPEG", {}, 9 / 16),  # decoded at a quarter of its size
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True}, 9 / 16 + 6),
}


def encoded(mode: str, format: str, options: dict, size: tuple[int, int] = (1200, 1000)) -> bytes:
    picture = Image.new("L" if mode == "I;16" else mode, size)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) + 70)
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_waits_for_as_much_memory_as_its_kind_takes(kind: str) -> None:
    mode, format, options, rate = KINDS[kind]
    data, wanted = encoded(mode, format, options), round(rate * 1200 * 1000)
    prepare_image(data, 120, limits=DecodeLimits(budget=DecodeBudget(wanted)))
    with pytest.raises(ImageLimitError, match="scale it down") as caught:
        prepare_image(data, 120, limits=DecodeLimits(budget=DecodeBudget(wanted - 1)))
    assert caught.value.field == "image"
    assert caught.value.info == {"limit": "decode_bytes", "allowed": str(wanted - 1)}


def test_who_finds_too_little_left_waits_and_large_ones_are_not_passed_over() -> None:
    budget = DecodeBudget(10)
    order: list[str] = []
    first, large, small = threading.Event(), threading.Event(), threading.Event()

    def take(name: str, size: int, waiting: threading.Event) -> None:
        with budget.hold(size, name, waiting.set):
            order.append(name)

    with budget.hold(6, "first", first.set):
        threads = [threading.Thread(target=take, args=("large", 8, large))]
        threads[0].start()
        assert large.wait(30)
        threads.append(threading.Thread(target=take, args=("small", 2, small)))
        threads[1].start()
        assert small.wait(30)
        assert order == []
    for thread in threads:
        thread.join(30)
    assert order == ["large", "small"]
    with budget.hold(10, "all of it is free again", first.set):
        assert not first.is_set()


def test_a_caller_who_goes_while_waiting_leaves_the_queue() -> None:
    budget = DecodeBudget(10)

    def gone() -> None:
        raise CancelledError("the caller cancelled the call")

    with budget.hold(10, "a", gone), pytest.raises(CancelledError), budget.hold(1, "b", gone):
        pass
    with budget.hold(10, "c", gone):
        pass


def test_a_caller_who_has_gone_has_nothing_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise CancelledError("the caller cancelled the call")

    monkeypatch.setattr(Image.Image, "resize", lambda *_, **__: pytest.fail("was decoded"))
    with pytest.raises(CancelledError):
        prepare_image(encoded("RGB", "PNG", {}), 120, check=gone)


def test_a_picture_that_fails_gives_its_memory_back() -> None:
    limits = DecodeLimits(budget=DecodeBudget(8 * MIB))
    data = encoded("RGB", "PNG", {})
    for _ in range(20):
        with pytest.raises(ValueError, match="damaged or cut short"):
            prepare_image(data[: len(data) // 2], 120, limits=limits)
    prepare_image(data, 120, limits=limits)


def _webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + len(body).to_bytes(4, "little") + body
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


HUGE = 16383
WEBPS = {
    "extended": _webp(b"VP8X", b"\x00" * 4 + (HUGE - 1).to_bytes(3, "little") * 2),
    "lossless": _webp(b"VP8L", b"\x2f" + ((HUGE - 1) | (HUGE - 1) << 14).to_bytes(4, "little") + bytes(8)),
    "lossy": _webp(b"VP8 ", b"\x10\x00\x00\x9d\x01\x2a" + HUGE.to_bytes(2, "little") * 2 + bytes(8)),
}


@pytest.mark.parametrize("kind", WEBPS)
def test_a_huge_webp_is_refused_before_room_is_made_for_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile", lambda _: pytest.fail("was opened"))
    with pytest.raises(ImageLimitError, match=f"{HUGE}x{HUGE}"):
        prepare_image(WEBPS[kind], 120, limits=DecodeLimits(max_pixels=10**6))


def tiled(side: int) -> bytes:
    """A small TIFF whose tiles claim to be `side` pixels wide and high."""
    tags = [
        (256, 64),
        (257, 64),
        (258, 8),
        (259, 8),
        (262, 1),
        (277, 1),
        (322, side),
        (323, side),
        (324, 200),
        (325, 8),
    ]
    head = b"II*\x00" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little")
    entries = b"".join(
        tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in tags
    )
    return (head + entries + bytes(4)).ljust(200, b"\x00") + bytes.fromhex("789c030000000001")


def test_a_tile_counts_where_it_is_larger_than_its_picture() -> None:
    with pytest.raises(ImageLimitError):
        prepare_image(tiled(20_000), 120, limits=DecodeLimits(max_pixels=10**8))
    with pytest.raises(ImageLimitError, match="memory to decode"):
        prepare_image(tiled(4_000), 120, limits=DecodeLimits(budget=DecodeBudget(10**7)))


HOSTILE = r"""
import pathlib, re, sys, threading
from setwise_engine.errors import EngineError
from setwise_engine.features import DecodeBudget, DecodeLimits, prepare_image

def peak():
    # Not getrusage: a child begins with its parent's peak.
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1])

folder, budget = sys.argv[1], int(sys.argv[2])
pictures = [path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())]
for data in pictures[:1]:
    prepare_image(data, 120)
before = peak()
limits = DecodeLimits(budget=DecodeBudget(budget))
ends = []

def work(start):
    for i in range(len(pictures)):
        try:
            prepare_image(pictures[(start + i) % len(pictures)], 120, limits=limits, thumbnail=True)
            ends.append("decoded")
        except EngineError as error:
            ends.append(type(error).__name__)

threads = [threading.Thread(target=work, args=(2 * i,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(peak() - before, ends.count("decoded"), ends.count("ImageLimitError"), len(ends))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_eight_callers_with_hostile_pictures_stay_within_the_budget(tmp_path: Path) -> None:
    """Bombs, lies about sizes and large pictures of every kind, decoded by eight threads of a process of its own."""
    budget = 36 * MIB
    large = [encoded(*KINDS[kind][:3], size=(1200, 1000)) for kind in KINDS]
    bombs = [encoded("L", "PNG", {}, (5_000, 5_000)), encoded("RGB", "GIF", {}, (3_000, 3_000)), tiled(4_000)]
    bombs += [encoded("RGB", "JPEG", {"progressive": True}, (3_000, 3_000)), *WEBPS.values()]
    small = [encoded("RGB", "PNG", {}, (64, 64))]
    for i, data in enumerate([*small, *large, *bombs]):
        (tmp_path / f"{i:02}").write_bytes(data)
    command = [sys.executable, "-c", HOSTILE, str(tmp_path), str(budget)]
    # Memory that was given back is then not kept by glibc for each thread (MALLOC_ARENA_MAX: docs/decisions/0117).
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MIB)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    grown, decoded, refused, all = map(int, done.stdout.split())
    assert grown < 1.5 * budget  # thumbnails and threads come on top; without a budget it is ten times as much
    assert (decoded, refused, all) == (8 * 13, 8 * 8, 8 * 21)
