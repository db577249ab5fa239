"""Text and colours for pictures that people read: elided labels, numbered badges, colours for every eye."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageDraw, ImageFont

__all__ = ["INK", "MAT", "MUTED", "PALETTE", "PAPER", "badge", "fit_text", "font", "text_on"]

PAPER, MAT, INK, MUTED = "#ffffff", "#f1f1ef", "#1b1b1b", "#6b6b6b"

PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")
"""Told apart by colour-blind people too. Source: M. Okabe, K. Ito, "Color Universal Design", 2008."""

_FALLBACKS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "arial.ttf")
"""Fonts that a system may have, for letters that Pillow's own lacks."""


@lru_cache(maxsize=64)
def _default(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=64)
def _system(size: int) -> ImageFont.FreeTypeFont | None:
    for name in _FALLBACKS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def font(size: int, text: str = "") -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font; a system's when the text needs letters beyond Latin and there is one."""
    beyond = any(ord(letter) > 0x2AF for letter in text.replace("…", ""))
    return (_system(size) if beyond else None) or _default(size)


def fit_text(text: str, size: int, width: float) -> str:
    """The text in at most `width` pixels; its middle gives way, because both ends tell files apart."""
    style = font(size, text)
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
