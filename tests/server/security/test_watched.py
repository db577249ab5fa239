"""Files that are read again when they change."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput
from setwise_server.security._watched import Watched


def watch(path: Path) -> Watched[str]:
    def read() -> str:
        text = path.read_text()
        if text == "wrong":
            raise InvalidInput("this is wrong")
        return text

    return Watched([path], read)


def test_a_file_that_is_written_over_or_replaced_is_read_again(tmp_path: Path) -> None:
    path, new = tmp_path / "a", tmp_path / "b"
    path.write_text("one")
    watched = watch(path)
    assert not watched.refresh()
    path.write_text("second")
    assert watched.refresh()
    assert watched.value == "second"
    new.write_text("third!")
    new.replace(path)
    assert watched.refresh()
    assert watched.value == "third!"
    assert not watched.refresh()


def test_a_link_that_is_switched_is_followed(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: the file is a link through a link to a folder, and that link is replaced."""
    for folder, text in (("v1", "one"), ("v2", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(text)
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "file").symlink_to("data/file")
    watched = watch(tmp_path / "file")
    (tmp_path / "new").symlink_to("v2")
    (tmp_path / "new").replace(tmp_path / "data")
    assert watched.refresh()
    assert watched.value == "two"


def test_what_cannot_be_used_leaves_what_was_there_and_is_logged_once(tmp_path: Path, caplog) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    watched = watch(path)
    with caplog.at_level(logging.ERROR):
        path.write_text("wrong")
        assert not watched.refresh()
        assert not watched.refresh()
        path.unlink()
        assert not watched.refresh()
        assert not watched.refresh()
    assert watched.value == "one"
    assert len(caplog.records) == 2
    path.write_text("back again")
    assert watched.refresh()
    assert watched.value == "back again"


def test_at_the_start_it_must_be_usable(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("wrong")
    with pytest.raises(InvalidInput):
        watch(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        watch(tmp_path / "b")
