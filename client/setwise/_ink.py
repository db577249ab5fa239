"""Text and colours for pictures that people read: elided labels, numbered badges, colours for every eye."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import TypeAlias

from PIL import ImageDraw, ImageFont

__all__ = ["INK", "MAT", "MUTED", "PALETTE", "PAPER", "Font", "badge", "fit_text", "font", "legible", "text_on"]

PAPER, MAT, INK, MUTED = "#ffffff", "#f1f1ef", "#1b1b1b", "#6b6b6b"

PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")
"""Told apart by colour-blind people too. Source: M. Okabe, K. Ito, "Color Universal Design", 2008."""

_SYSTEM = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "arial.ttf")
"""Fonts that a system may have, for letters that Pillow's own lacks: it knows ASCII and little else."""

Font: TypeAlias = ImageFont.ImageFont | ImageFont.FreeTypeFont


@lru_cache(maxsize=64)
def _fonts(size: int) -> list[Font]:
    found: list[Font] = [ImageFont.load_default(size)]
    for name in _SYSTEM:
        with suppress(OSError):
            found.append(ImageFont.truetype(name, size))
    return found


@lru_cache(maxsize=4096)
def _knows(style: Font, letter: str) -> bool:
    """Whether a font draws this letter, and not the box that stands for all it lacks."""
    if letter.isascii() or letter == "…":
        return True
    return bytes(style.getmask(letter)) != bytes(style.getmask("\U0010fffd"))


def font(size: int, text: str = "") -> Font:
    """The font that knows most letters of the text; Pillow's own when it knows all of them."""
    letters = set(text)
    return min(_fonts(size), key=lambda style: sum(not _knows(style, letter) for letter in letters))


def legible(text: str, size: int) -> str:
    """The text in letters that its font knows: others lose their accents, or become question marks."""
    style = font(size, text)
    return "".join(letter if _knows(style, letter) else _plain(letter) for letter in text)


def _plain(letter: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if part.isascii()) or "?"


def fit_text(text: str, size: int, width: float) -> str:
    """The text, legible, in at most `width` pixels; its middle gives way, because both ends tell files apart."""
    style = font(size, text)
    text = legible(text, size)
    if style.getlength(text) <= width:
        return text
    keep = len(text) - 1
    while keep > 1 and style.getlength(_without_middle(text, keep)) > width:
        keep -= 1
    return _without_middle(text, keep)


def _without_middle(text: str, keep: int) -> str:
    tail = keep * 2 // 3
    return text[: keep - tail] + "…" + text[len(text) - tail :]


def text_on(colour: str) -> str:
    """Black or white, whichever reads better on a colour given as #rrggbb."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else "#ffffff"


def badge(draw: ImageDraw.ImageDraw, centre: tuple[float, float], number: int, colour: str, radius: float) -> None:
    """A filled disc with a number, rimmed so that it stands out on any photo."""
    x, y = centre
    rim = max(1, round(radius / 7))
    draw.ellipse((x - radius - rim, y - radius - rim, x + radius + rim, y + radius + rim), fill="#000000")
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    size = round(radius * (1.35 if number < 10 else 1.1))
    draw.text(centre, str(number), fill=text_on(colour), font=font(size), anchor="mm")
