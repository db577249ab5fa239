"""Folders, files and globs become items whose ids are paths relative to their source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput, NotFound
from setwise_indexer._sources import list_sources


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def ids(*sources: Path | str) -> list[str]:
    return [item.id for item in list_sources([str(source) for source in sources]).items]


def test_a_folder_is_searched_recursively_for_known_suffixes(tmp_path: Path) -> None:
    make(tmp_path, "b.JPG", "a/c.png", "a/d/e.webp", "notes.txt", "raw.nef")
    assert ids(tmp_path) == ["a/c.png", "a/d/e.webp", "b.JPG"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", ".b.jpg", ".trash/c.jpg")
    assert ids(tmp_path) == ["a.jpg"]


def test_collections_are_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "photos.setwise/catalog.sqlite", "photos.setwise/segments/1.jpg")
    assert ids(tmp_path) == ["a.jpg"]


def test_a_named_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    make(tmp_path, "photo.dat", ".hidden")
    assert ids(tmp_path / "photo.dat") == ["photo.dat"]
    assert ids(tmp_path / ".hidden") == [".hidden"]


def test_several_sources_prefix_ids_with_their_names(tmp_path: Path) -> None:
    make(tmp_path, "cats/a.jpg", "dogs/a.jpg", "b.jpg")
    assert ids(tmp_path / "cats", tmp_path / "dogs", tmp_path / "b.jpg") == ["b.jpg", "cats/a.jpg", "dogs/a.jpg"]


def test_the_present_folder_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "cats/a.jpg", "dogs/b.jpg")
    monkeypatch.chdir(tmp_path / "cats")
    assert ids(".", "../dogs") == ["cats/a.jpg", "dogs/b.jpg"]


def test_globs_are_relative_to_their_fixed_part(tmp_path: Path) -> None:
    make(tmp_path, "x/2024/a.jpg", "x/2025/b.jpg", "x/2025/deep/c.jpg", "x/2025/d.txt")
    assert ids(str(tmp_path / "x/*/*.jpg")) == ["2024/a.jpg", "2025/b.jpg"]
    assert ids(str(tmp_path / "x/**/*.jpg")) == ["2024/a.jpg", "2025/b.jpg", "2025/deep/c.jpg"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    make(tmp_path, "a[1].jpg", "a1.jpg")
    assert ids(str(tmp_path / "a[1].jpg")) == ["a[1].jpg"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    make(tmp_path, "a/b.jpg")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    assert ids(tmp_path) == ["a/b.jpg"]
    assert ids(str(tmp_path / "**/*.jpg")) == ["a/b.jpg"]


def test_a_link_to_a_file_or_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/a.jpg", "photos/b.jpg")
    (tmp_path / "photos/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/c.jpg").symlink_to(tmp_path / "elsewhere/a.jpg")
    assert ids(tmp_path / "photos") == ["b.jpg", "c.jpg", "linked/a.jpg"]


def test_order_is_that_of_utf8_bytes(tmp_path: Path) -> None:
    make(tmp_path, "Z.jpg", "a.jpg", "é.jpg", "日本.jpg", "😀.jpg")
    assert ids(tmp_path) == ["Z.jpg", "a.jpg", "é.jpg", "日本.jpg", "😀.jpg"]


def test_a_duplicate_id_names_both_files(tmp_path: Path) -> None:
    make(tmp_path, "x/cats/a.jpg", "y/cats/a.jpg")
    with pytest.raises(InvalidInput, match=r"x/cats/a\.jpg and .*y/cats/a\.jpg; nothing was indexed"):
        ids(tmp_path / "x/cats", tmp_path / "y/cats")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no such file or folder: .*nowhere"):
        ids(tmp_path / "nowhere")
    with pytest.raises(NotFound, match=r"no file matches .*\*\.jpg"):
        ids(tmp_path / "*.jpg")


def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no files found in .*\.jpg"):
        ids(tmp_path)


def test_a_name_that_is_not_utf8_is_a_failure_and_the_rest_is_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.jpg")).write_bytes(b"")
    listing = list_sources([str(tmp_path)])
    assert [item.id for item in listing.items] == ["a.jpg"]
    assert [(f.id, "rename the file" in f.reason) for f in listing.failures] == [("b\\udcff.jpg", True)]


def test_a_dangling_link_is_listed_so_that_reading_it_names_it(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert ids(tmp_path) == ["gone.jpg"]
