"""Contact sheets and drawn matches: whole, in their places, and clear about what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

import setwise
from setwise import _ink
from setwise._ink import PALETTE, fit_text, font, legible, text_on
from setwise._pictures import check_picture_file, fit, open_picture


@pytest.fixture(scope="module")
def hits(local: setwise.Client, collage: Path) -> setwise.Hits:
    """An answer that can be drawn."""
    return local.search(collage, k=7, matches=True, thumbnails=True)


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return set(map(tuple, np.unique(np.asarray(picture)[::2, ::2].reshape(-1, 3), axis=0).tolist()))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def has_white_border(picture: Image.Image, width: int = 8) -> bool:
    pixels = np.asarray(picture)
    inside = np.zeros(pixels.shape[:2], bool)
    inside[width:-width, width:-width] = True
    return bool((pixels[~inside] == 255).all())


def test_a_sheet_holds_the_query_and_every_hit(hits: setwise.Hits) -> None:
    sheet = hits.sheet(columns=4)
    assert sheet.mode == "RGB" and sheet.width > 4 * 200 and sheet.height > 2 * 200
    assert len(colours(sheet)) > 10_000
    assert has_white_border(sheet)


def test_more_columns_make_a_wider_and_lower_sheet(hits: setwise.Hits) -> None:
    narrow, wide = hits.sheet(columns=2), hits.sheet(columns=7)
    assert narrow.width < wide.width and narrow.height > wide.height


def test_a_sheet_is_written_in_the_format_that_its_name_says(hits: setwise.Hits, tmp_path: Path) -> None:
    for name, format in (("answer.png", "PNG"), ("answer.jpg", "JPEG")):
        hits.save(tmp_path / name)
        with Image.open(tmp_path / name) as written:
            assert written.format == format


def test_a_sheet_is_shown(hits: setwise.Hits, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def show(picture: Image.Image) -> None:
        shown.append(picture.size)

    monkeypatch.setattr(Image.Image, "show", show)
    hits.show(columns=3)
    assert shown == [hits.sheet(columns=3).size]


def test_originals_are_drawn_instead_of_thumbnails(local: setwise.Client, collage: Path, photos: list[Path]) -> None:
    bare = local.search(collage, k=3)
    with pytest.raises(setwise.NotRequestedError, match="thumbnails=True"):
        bare.sheet()
    assert len(colours(bare.sheet(originals=photos[0].parent))) > 10_000
    assert len(colours(bare.sheet(originals={hit.id: photos[0].parent / hit.id for hit in bare}))) > 10_000


def test_a_stored_query_is_drawn_from_its_own_hit(local: setwise.Client) -> None:
    asked = local.search(setwise.Id("cat.jpg"), k=2, thumbnails=True)
    strip = asked.sheet().crop((0, 0, 230, 230))
    assert len(colours(strip)) > 1000


def test_an_empty_answer_has_a_sheet_too(local: setwise.Client, collage: Path) -> None:
    assert local.search(collage, min_score=0.999).sheet().width > 200


def test_matches_are_boxed_in_colours_for_every_eye(hits: setwise.Hits) -> None:
    drawn = hits[0].draw_matches(top=7)
    found = colours(drawn)
    assert {rgb(colour) for colour in PALETTE} <= found
    assert has_white_border(drawn)
    first = hits[0].draw_matches(top=1)
    assert rgb(PALETTE[0]) in colours(first) and rgb(PALETTE[1]) not in colours(first)


def test_boxes_lie_where_the_patches_are(hits: setwise.Hits) -> None:
    """The only place that is not darkened is the patch: a white query shows where it was drawn."""
    matches = hits[0].matches
    assert matches is not None
    drawn = np.asarray(hits[0].draw_matches(query=Image.new("RGB", (300, 420), "white"), top=1))
    left = drawn[46:606, 20:420]
    rows, columns = np.nonzero((left == 255).all(axis=2))
    box = matches.query_boxes[0] * (400 / 300)
    assert abs(rows.min() - box[1]) < 6 and abs(rows.max() - box[3]) < 6
    assert abs(columns.min() - box[0]) < 6 and abs(columns.max() - box[2]) < 6


def test_what_is_missing_is_asked_for_by_name(local: setwise.Client, collage: Path) -> None:
    with pytest.raises(setwise.NotRequestedError, match="matches=True, thumbnails=True"):
        local.search(collage, k=1)[0].draw_matches()
    with pytest.raises(setwise.NotRequestedError, match="thumbnails=True"):
        local.search(collage, k=1, matches=True)[0].draw_matches()
    by_id = local.search(setwise.Id("cat.jpg"), k=1, matches=True, thumbnails=True)[0]
    with pytest.raises(setwise.NotRequestedError, match=r"draw_matches\(query=\.\.\.\)"):
        by_id.draw_matches()
    assert by_id.draw_matches(query=by_id.thumbnail).width > 1000
    with pytest.raises(setwise.NotRequestedError, match="matches=True"):
        local.compare(collage, collage, matches=False).draw_matches()


def test_a_comparison_is_drawn_from_what_was_compared(local: setwise.Client, collage: Path, photos: list[Path]) -> None:
    compared = local.compare(collage, photos[3])
    assert compared.draw_matches(top=3).width > 800
    assert compared.draw_matches(collage, photos[3].read_bytes(), top=3) == compared.draw_matches(top=3)
    with pytest.raises(setwise.InvalidArgumentError, match="top is 0"):
        compared.draw_matches(top=0)


def test_sets_without_a_grid_cannot_be_drawn(local: setwise.Client, collage: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(5, 1280)).astype(np.float32)
    hit = local.search(setwise.FeatureSet(tokens), k=1, matches=True, thumbnails=True)[0]
    with pytest.raises(setwise.InvalidArgumentError, match="grid=\\(rows, columns\\)"):
        hit.draw_matches(query=collage)
    gridded = local.search(setwise.FeatureSet(tokens, (1, 5)), k=1, matches=True, thumbnails=True)[0]
    assert gridded.draw_matches(query=collage).width > 800


def test_pictures_are_opened_as_people_see_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "sideways.jpg", exif=exif)
    assert open_picture(tmp_path / "sideways.jpg", "query").size == (20, 40)
    assert open_picture(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "query").getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(Image.new("I;16", (2, 2), 65535), "query").getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(np.zeros((3, 4), np.uint8), "query").size == (4, 3)
    assert open_picture(Image.new("L", (5000, 100)), "query").size == (1600, 32)
    with pytest.raises(setwise.NotFoundError, match=r"cannot draw query: no file .*gone\.png"):
        open_picture(tmp_path / "gone.png", "query")
    with pytest.raises(setwise.InvalidArgumentError, match="cannot draw query"):
        open_picture(b"no picture", "query")


def test_pictures_fit_whole() -> None:
    assert fit(Image.new("RGB", (100, 50)), 200, 200).size == (200, 100)
    assert fit(Image.new("RGB", (1, 3000)), 200, 200).size == (1, 200)


@pytest.mark.parametrize("text", ["x.jpg", "a/very/long/path/to/some/picture-0001.jpg", "W" * 500, "日本語の名前" * 9])
def test_text_fits_its_width(text: str) -> None:
    fitted = fit_text(text, 26, 300)
    assert font(26, fitted).getlength(fitted) <= 300
    shown = legible(text, 26)
    assert fitted == shown or (fitted[0] == shown[0] and fitted[-1] == shown[-1] and "…" in fitted)


def test_letters_that_no_font_knows_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ink, "_fonts", lambda size: [ImageFont.load_default(size)])
    assert legible("Übergröße, café …", 26) == "Ubergro?e, cafe …"
    assert legible("日本.jpg", 26) == "??.jpg"


def test_numbers_are_readable_on_every_colour() -> None:
    assert text_on("#f0e442") == "#000000" and text_on("#0072b2") == "#ffffff"


def test_where_no_picture_can_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    check_picture_file(tmp_path / "answer.png")
    with pytest.raises(setwise.InvalidArgumentError, match=r"answer\.foo has no suffix of a picture format"):
        check_picture_file(tmp_path / "answer.foo")
    with pytest.raises(setwise.NotFoundError, match=r"there is no folder .*nowhere"):
        check_picture_file(tmp_path / "nowhere" / "answer.png")
