"""Which patch matched which: two pictures side by side, the strongest pairs boxed, numbered and joined by lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from setwise._errors import InvalidArgumentError, NotRequestedError
from setwise._features import Grid, ImageSize
from setwise._hits import Comparison, Hit
from setwise._ink import INK, MUTED, PALETTE, PAPER, badge, fit_text, font
from setwise._options import whole
from setwise._pictures import Picture, fit, open_picture
from setwise._query import Query
from setwise._table import printable
from setwise._values import Matches

__all__ = ["draw_comparison", "draw_hit"]

_SCALE = 2
"""Everything is drawn this much larger and then reduced: lines and letters without stairs."""

_WIDTH, _HEIGHT, _GAP, _MARGIN, _LINE = (side * _SCALE for side in (620, 560, 56, 20, 26))
"""Box for one picture, space between the two, space around, height of a line of text; pixels of the large drawing."""

_TEXT = 15 * _SCALE


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two pictures and its patches as fractions of width and height: (p, 4), left, top, right, bottom."""

    title: str
    picture: PILImage.Image
    patches: NDArray[np.float64]


def draw_hit(hit: Hit, query: Picture | None, top: int, original: Picture | None) -> PILImage.Image:
    """`Hit.draw_matches`."""
    if hit.matches is None:
        raise NotRequestedError("this hit carries no matches; ask with matches=True, thumbnails=True")
    left = _own_picture(hit.query, query, "query")
    right = open_picture(original, "original") if original is not None else hit.thumbnail
    if right is None:
        advice = "ask with thumbnails=True, or pass the picture: draw_matches(original=...)"
        raise NotRequestedError(f"hit {hit.id!r} carries no thumbnail; {advice}")
    titles = f"query  {hit.query.label}", f"{hit.score:.4f}  {hit.id}"
    return _draw(_left(hit.matches, titles[0], left), _right(hit.matches, titles[1], right), hit.matches, top)


def draw_comparison(comparison: Comparison, a: Picture | None, b: Picture | None, top: int) -> PILImage.Image:
    """`Comparison.draw_matches`."""
    if comparison.matches is None:
        raise NotRequestedError("this comparison carries no matches; ask with matches=True")
    left, right = _own_picture(comparison.a, a, "a"), _own_picture(comparison.b, b, "b")
    titles = comparison.a.label, f"{comparison.scores.cosine:.4f}  {comparison.b.label}"
    matches = comparison.matches
    return _draw(_left(matches, titles[0], left), _right(matches, titles[1], right), matches, top)


def _own_picture(asked: Query, given: Picture | None, what: str) -> PILImage.Image:
    source = asked.picture if given is None else given
    if source is None:
        raise NotRequestedError(f"the picture of {asked.label!r} is not here; pass it: draw_matches({what}=...)")
    return open_picture(source, what)


def _left(matches: Matches, title: str, picture: PILImage.Image) -> _Side:
    size, grid = matches.query_image_size, matches.query_grid
    patches = _patches(matches.query_boxes, size, grid, matches.query_tokens, title)
    return _Side(printable(title), picture.convert("RGB"), patches)


def _right(matches: Matches, title: str, picture: PILImage.Image) -> _Side:
    patches = _patches(matches.hit_boxes, matches.hit_image_size, matches.hit_grid, matches.hit_tokens, title)
    return _Side(printable(title), picture.convert("RGB"), patches)


def _patches(
    boxes: NDArray[np.float32], size: ImageSize | None, grid: Grid | None, tokens: NDArray[np.int64], title: str
) -> NDArray[np.float64]:
    if len(boxes) and size is not None:
        return boxes / np.array([size.width, size.height, size.width, size.height], np.float64)
    if grid is None:
        advice = "give it when you make the set: FeatureSet(tokens, grid=(rows, columns))"
        raise InvalidArgumentError(f"the places of the tokens are not known ({title}): no grid; {advice}")
    rows, columns = np.divmod(tokens, grid.columns)
    corners = np.stack([columns, rows, columns + 1, rows + 1], axis=1)
    return corners / np.array([grid.columns, grid.rows, grid.columns, grid.rows], np.float64)


def _draw(left: _Side, right: _Side, matches: Matches, top: int) -> PILImage.Image:
    shown = min(whole(top, "top"), len(matches))
    first, second = (fit(side.picture, _WIDTH, _HEIGHT) for side in (left, right))
    height = max(first.height, second.height)
    canvas = PILImage.new(
        "RGB", (first.width + second.width + _GAP + 2 * _MARGIN, height + 2 * _LINE + 2 * _MARGIN), PAPER
    )
    xs = _MARGIN, _MARGIN + first.width + _GAP
    starts, ends = (
        _place(canvas, side, picture, (x, _MARGIN + _LINE + (height - picture.height) // 2), shown)
        for side, picture, x in zip((left, right), (first, second), xs, strict=True)
    )
    _join(ImageDraw.Draw(canvas), starts, ends)
    footer = fit_text(_footer(matches, shown), _TEXT, canvas.width - 2 * _MARGIN)
    bottom = (_MARGIN, canvas.height - _MARGIN)
    ImageDraw.Draw(canvas).text(bottom, footer, fill=MUTED, font=font(_TEXT), anchor="ld")
    return canvas.reduce(_SCALE)


def _place(
    canvas: PILImage.Image, side: _Side, picture: PILImage.Image, corner: tuple[int, int], shown: int
) -> NDArray[np.float64]:
    """Title and picture, darkened but for its patches, so that they stand out of any photo; gives their boxes."""
    x, y = corner
    label = fit_text(side.title, _TEXT, picture.width)
    ImageDraw.Draw(canvas).text((x, _MARGIN), label, fill=INK, font=font(_TEXT, label))
    canvas.paste(PILImage.blend(picture, PILImage.new("RGB", picture.size), 0.5), corner)
    boxes: NDArray[np.float64] = side.patches[:shown] * (picture.size * 2)
    for box in boxes.round().astype(int).tolist():
        canvas.paste(picture.crop(box), (x + box[0], y + box[1]))
    boxes += (x, y, x, y)
    return boxes


def _join(draw: ImageDraw.ImageDraw, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> None:
    """Boxes, then lines, then numbers, so that no number is ever covered; the strongest pair lies on top."""
    pairs = [(number, *pair) for number, pair in enumerate(zip(starts, ends, strict=True), start=1)][::-1]
    for number, *boxes in pairs:
        for box in boxes:
            draw.rectangle(box.tolist(), outline="#000000", width=4 * _SCALE)
            inner = box + np.array((1, 1, -1, -1)) * _SCALE
            draw.rectangle(inner.tolist(), outline=_colour(number), width=2 * _SCALE)
    for number, start, end in pairs:
        line = (_centre(start), _centre(end))
        draw.line(line, fill="#000000", width=4 * _SCALE)
        draw.line(line, fill=_colour(number), width=2 * _SCALE)
    for number, *boxes in pairs:
        for box in boxes:
            side = float(min(box[2] - box[0], box[3] - box[1]))
            radius = min(max(0.45 * side, 6 * _SCALE), 9.5 * _SCALE)
            badge(draw, _centre(box), number, _colour(number), radius)


def _centre(box: NDArray[np.float64]) -> tuple[float, float]:
    return float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2


def _colour(number: int) -> str:
    return PALETTE[(number - 1) % len(PALETTE)]


def _footer(matches: Matches, shown: int) -> str:
    total = float(matches.affinities.sum())
    share = f", {matches.affinities[:shown].sum() / total:.0%} of the matched sum" if total > 0 else ""
    return f"the {shown} strongest of {len(matches)} matched pairs{share}; 1 is the strongest"
