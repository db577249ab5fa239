"""`setwise alias`: names that stand for the collections of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from setwise._cli import main
from setwise_engine.collection import Settings
from setwise_server._making import plain_encoder
from setwise_server._root import Root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two empty collections, `old` and `new`."""
    encoder = plain_encoder(4)
    for name in ("old", "new"):
        Root(tmp_path).create(name, Settings("", 0, "", 4, encoder.fingerprint, coarse="mean"), encoder)
    return tmp_path


def test_an_alias_is_set_moved_listed_and_deleted(folder: Path, capsys) -> None:
    for words in (["photos", "old"], ["photos", "new"], [], ["photos", "--delete"], []):
        assert main(["alias", str(folder), *words]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "photos -> old",
        "photos -> new (was old)",
        "photos -> new",
        "photos deleted",
    ]


@pytest.mark.parametrize("words", [["photos"], ["photos", "gone"], ["--delete"], ["old", "new"], ["x", "--delete"]])
def test_what_cannot_be_is_said_in_a_sentence(folder: Path, capsys, words: list[str]) -> None:
    assert main(["alias", str(folder), *words]) == 1
    assert capsys.readouterr().err.startswith("setwise alias: error: ")
