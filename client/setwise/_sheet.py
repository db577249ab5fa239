"""The contact sheet: what was asked with, and what was found, each with rank, score and id."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image as PILImage
from PIL import ImageDraw

from setwise._errors import NotRequestedError
from setwise._hits import Hit, Hits, Originals
from setwise._ink import INK, MAT, MUTED, PAPER, fit_text, font
from setwise._options import whole
from setwise._pictures import fit, open_picture
from setwise._table import printable

__all__ = ["draw_sheet"]

_SCALE = 2
"""Drawn this much larger and then reduced, for smooth letters."""

_CELL, _GAP, _MARGIN, _CAPTION, _FOOTER = (side * _SCALE for side in (210, 18, 24, 48, 26))
_BIG, _SMALL = 17 * _SCALE, 13 * _SCALE


def draw_sheet(hits: Hits, columns: int, originals: Originals | None) -> PILImage.Image:
    """`Hits.sheet`."""
    pictures = [_picture(hit, originals) for hit in hits]
    if hits and not any(pictures):
        advice = "ask with thumbnails=True, or say where the pictures are: originals=..."
        raise NotRequestedError(f"the hits carry no thumbnails; {advice}")
    across = max(1, min(whole(columns, "columns"), len(hits)))
    down = max(1, -(-len(hits) // across))
    large = _CELL if down == 1 else _CELL * 3 // 2
    left = _MARGIN + large + 2 * _GAP
    size = (
        left + across * (_CELL + _GAP) - _GAP + _MARGIN,
        2 * _MARGIN + max(large + _CAPTION, down * (_CELL + _CAPTION + _GAP) - _GAP) + _FOOTER,
    )
    canvas = PILImage.new("RGB", size, PAPER)
    _cell(canvas, (_MARGIN, _MARGIN), large, picture=_query_picture(hits), head="query", name=hits.query.label)
    x = left - _GAP
    ImageDraw.Draw(canvas).line((x, _MARGIN, x, size[1] - _MARGIN - _FOOTER), fill="#d5d5d2", width=_SCALE)
    for place, (hit, picture) in enumerate(zip(hits, pictures, strict=True)):
        row, column = divmod(place, across)
        corner = (left + column * (_CELL + _GAP), _MARGIN + row * (_CELL + _CAPTION + _GAP))
        _cell(canvas, corner, _CELL, picture=picture, head=f"{place + 1}", name=hit.id, score=f"{hit.score:.4f}")
    wide = size[0] - 2 * _MARGIN
    _write(canvas, (_MARGIN, size[1] - _MARGIN), hits.summary(), size=_SMALL, colour=MUTED, width=wide, anchor="ld")
    return canvas.reduce(_SCALE)


def _cell(
    canvas: PILImage.Image,
    corner: tuple[int, int],
    side: int,
    *,
    picture: PILImage.Image | None,
    head: str,
    name: str,
    score: str = "",
) -> None:
    """A square with the picture in its middle; below it rank and score, and the id."""
    x, y = corner
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=MAT)
    if picture is None:
        _write(canvas, (x + side // 2, y + side // 2), "no picture", size=_SMALL, colour=MUTED, width=side, anchor="mm")
    else:
        fitted = fit(picture, side, side)
        canvas.paste(fitted, (x + (side - fitted.width) // 2, y + (side - fitted.height) // 2))
    top = y + side + 6 * _SCALE
    _write(canvas, (x, top), head, size=_BIG, colour=INK, width=side)
    _write(canvas, (x + side, top), score, size=_BIG, colour=INK, width=side, anchor="ra")
    _write(canvas, (x, top + 23 * _SCALE), name, size=_SMALL, colour=MUTED, width=side)


def _write(
    canvas: PILImage.Image, place: tuple[int, int], text: str, *, size: int, colour: str, width: int, anchor: str = "la"
) -> None:
    label = fit_text(printable(text), size, width)
    ImageDraw.Draw(canvas).text(place, label, fill=colour, font=font(size, label), anchor=anchor)


def _picture(hit: Hit, originals: Originals | None) -> PILImage.Image | None:
    if isinstance(originals, Mapping):
        if hit.id in originals:
            return open_picture(originals[hit.id], "originals")
    elif originals is not None and (path := Path(os.fspath(originals)) / hit.id).is_file():
        return open_picture(path, "originals")
    thumbnail = hit.thumbnail
    return None if thumbnail is None else thumbnail.convert("RGB")


def _query_picture(hits: Hits) -> PILImage.Image | None:
    """What was asked with; a stored image is usually among its own hits."""
    if hits.query.picture is not None:
        return open_picture(hits.query.picture, "query")
    own = next((hit for hit in hits if hit.id == hits.query.id), None)
    return _picture(own, None) if own else None
