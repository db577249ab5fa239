"""Changes to the file of keys."""

from __future__ import annotations

import stat
import threading
from datetime import date
from pathlib import Path

import pytest

from setwise_engine.errors import CollectionError, InvalidInput, NotFound
from setwise_server.security import Access, add_key, key_id, load_keys, revoke_keys
from setwise_server.security._keys import KnownCallers

CERTIFICATE = '# the one in the basement\n[[certificate]]\nname = "c"\nsubject = "CN=c"  # by hand\nscope = "read"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no file yet."""
    return tmp_path / "keys.toml"


def test_a_new_key_is_known_with_its_scope_and_last_day(path: Path) -> None:
    key = add_key(path, "shop", "write", date(2099, 12, 31))
    entry = KnownCallers(load_keys(path)).by_key(key)
    assert entry is not None
    assert (entry.caller.name, entry.caller.access, entry.expires) == ("shop", Access.WRITE, date(2099, 12, 31))


def test_the_file_holds_no_key_and_only_its_owner_may_read_it(path: Path) -> None:
    key = add_key(path, "shop", "read", None)
    assert key.removeprefix("setwise_") not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_may_have_two_keys_while_one_takes_the_place_of_the_other(path: Path) -> None:
    old, new = add_key(path, "shop", "read", None), add_key(path, "shop", "read", None)
    [gone] = revoke_keys(path, key_id(load_keys(path)[0]))
    known = KnownCallers(load_keys(path))
    assert gone.caller.name == "shop"
    assert known.by_key(old) is None
    assert known.by_key(new) is not None


def test_to_revoke_a_name_revokes_all_of_its_keys_and_leaves_the_rest_as_it_was(path: Path) -> None:
    path.write_text(CERTIFICATE)
    path.chmod(0o640)
    add_key(path, "other", "read", None)
    before = path.read_text()
    for _ in range(2):
        add_key(path, "shop", "admin", date(2099, 1, 1))
    assert len(revoke_keys(path, "shop")) == 2
    assert path.read_text() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_behind_a_link_is_replaced_there(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    add_key(real, "shop", "read", None)
    path.symlink_to(real)
    add_key(path, "other", "read", None)
    assert path.is_symlink()
    assert len(load_keys(real)) == 2


def test_two_who_change_the_file_at_once_lose_nothing(path: Path) -> None:
    threads = [threading.Thread(target=add_key, args=(path, f"caller-{n}", "read", None)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.caller.name for entry in load_keys(path)} == {f"caller-{n}" for n in range(16)}


@pytest.mark.parametrize("text", ['key = [{{name = "shop", sha256 = "{0}", scope = "read"}}]\n', "[[ key ]]\n{1}"])
def test_a_layout_that_cannot_be_changed_safely_is_left_alone(path: Path, text: str) -> None:
    lines = f'name = "shop"\nsha256 = "{"0" * 64}"\nscope = "read"\n'
    path.write_text(text.format("0" * 64, lines))
    before = path.read_text()
    with pytest.raises(InvalidInput, match="by hand"):
        revoke_keys(path, "shop")
    assert path.read_text() == before


def test_what_cannot_be_done_is_said_and_changes_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        revoke_keys(path, "shop")
    with pytest.raises(NotFound, match="make it first"):
        add_key(tmp_path / "nowhere" / "keys.toml", "shop", "read", None)
    path.write_text(CERTIFICATE)
    with pytest.raises(NotFound, match="no key"):
        revoke_keys(path, "c")  # a certificate is no key
    with pytest.raises(InvalidInput, match="name"):
        add_key(path, 'a"\nscope = "admin', "read", None)
    assert path.read_text() == CERTIFICATE
    path.write_text("[[key]")
    with pytest.raises(InvalidInput, match="no TOML"):
        add_key(path, "shop", "read", None)
    assert path.read_text() == "[[key]"


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises((InvalidInput, CollectionError)):
        add_key(tmp_path, "shop", "read", None)
