"""`setwise key`: the keys of a server, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from setwise._cli import main
from setwise_server.security import Access, load_keys
from setwise_server.security._keys import KnownCallers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no file yet."""
    return tmp_path / "keys.toml"


def test_a_key_is_made_listed_and_revoked(path: Path, capsys) -> None:
    assert main(["key", "new", str(path), "shop"]) == 0
    key = capsys.readouterr().out.strip()
    entry = KnownCallers(load_keys(path)).by_key(key)
    assert entry is not None
    assert entry.caller.access is Access.READ
    assert main(["key", "new", str(path), "loader", "--scope", "write", "--expires", "2999-01-31"]) == 0
    capsys.readouterr()
    path.write_text(path.read_text().replace("2999-01-31", "2020-01-31"))
    assert main(["key", "list", str(path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["shop", "read", "key", entry.sha256[:8]]
    assert second.split()[:3] == ["loader", "write", "key"]
    assert second.endswith("expired on 2020-01-31")
    assert main(["key", "revoke", str(path), "shop"]) == 0
    assert capsys.readouterr().out == f"shop ({entry.sha256[:8]}) revoked\n"
    assert [left.caller.name for left in load_keys(path)] == ["loader"]


def test_certificates_are_listed_too(path: Path, capsys) -> None:
    path.write_text('[[certificate]]\nname = "indexer"\nsubject = "CN=indexer"\nscope = "admin"\n')
    assert main(["key", "list", str(path)]) == 0
    assert capsys.readouterr().out.split() == ["indexer", "admin", "certificate", "CN=indexer"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["new", "a b"], 1),
        (["revoke", "nope"], 1),
        (["list"], 1),
        (["new", "shop", "--scope", "root"], 2),
        (["new", "shop", "--expires", "soon"], 2),
        (["new", "shop", "--expires", "2020-01-31"], 2),
        (["new"], 2),
        (["drop", "shop"], 2),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(path: Path, capsys, words: list[str], code: int) -> None:
    action, *rest = words
    try:
        ended = main(["key", action, str(path), *rest])
    except SystemExit as stop:
        ended = stop.code
    assert ended == code
    assert "error: " in capsys.readouterr().err
    assert not path.exists()


def test_help_says_that_no_key_is_kept(capsys) -> None:
    assert main(["key", "--help"]) == 0
    assert "holds no key, only" in " ".join(capsys.readouterr().out.split())
