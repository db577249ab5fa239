"""Which files `setwise add` takes, and the ids that they get."""

from __future__ import annotations

from pathlib import Path

import pytest

import setwise
from setwise._files import list_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, a hidden one, another file, a collection, and a link that loops."""
    for name in ("cats/b.JPG", "cats/a.png", "cats/deep/c.webp", "cats/.hidden.png", "cats/.h/d.png", "cats/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for name in ("dogs/a.png", "cats/old.setwise/catalog.sqlite", "cats/old.setwise/thumb.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "cats" / "loop").symlink_to(tmp_path / "cats", target_is_directory=True)
    return tmp_path


def ids(*sources: Path, prefix: str = "") -> list[str]:
    return [id for id, _ in list_files([str(source) for source in sources], prefix)]


def test_a_folder_is_searched_and_ids_are_paths_inside_it(folder: Path) -> None:
    assert ids(folder / "cats") == ["a.png", "b.JPG", "deep/c.webp"]
    assert list_files([str(folder / "cats")])[0][1] == folder / "cats" / "a.png"


def test_several_folders_put_their_names_before(folder: Path) -> None:
    assert ids(folder / "cats", folder / "dogs") == ["cats/a.png", "cats/b.JPG", "cats/deep/c.webp", "dogs/a.png"]
    assert ids(folder / "dogs", prefix="pets/") == ["pets/a.png"]


def test_a_named_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert ids(folder / "cats" / "notes.txt", folder / "dogs" / "a.png") == ["a.png", "notes.txt"]


def test_two_files_with_one_id_are_told(folder: Path) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=r"both get the id 'a\.png'"):
        ids(folder / "cats" / "a.png", folder / "dogs" / "a.png")
    assert ids(folder / "dogs" / "a.png", folder / "dogs" / "a.png") == ["a.png"]


def test_nothing_found_is_told(folder: Path) -> None:
    with pytest.raises(setwise.NotFoundError, match="no such file or folder"):
        ids(folder / "birds")
    with pytest.raises(setwise.InvalidArgumentError, match="no images found"):
        ids(folder / "cats" / "old.setwise")
