"""An entry of the registry: open, waiting or failed; and how it lets go of its collection."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from setwise_engine.errors import CollectionError, CorruptError, Incompatible, NotFound
from setwise_server import ServerSettings
from setwise_server._entry import Entry, State


@pytest.fixture
def entry(sets_path: Path, tmp_path: Path) -> Entry:
    """A copy of the sets, opened."""
    path = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    return Entry.open("sets", path, ServerSettings())


def test_an_open_one_is_ready_and_writable_unless_the_server_is_read_only(entry: Entry, sets_path: Path) -> None:
    entry.check_ready()
    assert (entry.state, entry.problem, entry.collection.read_only) == (State.READY, "", False)
    with_rights = Entry.open("sets", sets_path, ServerSettings(read_only=True))
    assert with_rights.collection.read_only


def test_one_that_waits_or_failed_says_why_whatever_is_asked_of_it(tmp_path: Path) -> None:
    settings = ServerSettings()
    waiting = Entry.waiting("soon", tmp_path, settings)
    failed = Entry.failed("bad", tmp_path, settings, CorruptError("the catalog is damaged"))
    for entry, error in ((waiting, Incompatible), (failed, CorruptError)):
        for part in ("collection", "searcher", "writer"):
            with pytest.raises(error) as caught:
                getattr(entry, part)
            assert str(caught.value) == entry.problem
    assert "FitEncoder" in waiting.problem


def test_a_retired_one_takes_no_writes_and_closes_when_nobody_holds_it(sets_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    entry = Entry.open("sets", path, ServerSettings())  # no fixture, which would hold it
    writer, collection = entry.writer, entry.collection
    assert entry.writer is writer
    entry.retire()
    with pytest.raises(NotFound):
        _ = entry.writer
    with collection.snapshot() as snapshot:
        assert len(snapshot) == 30
    del entry
    with pytest.raises(CollectionError, match="closed"), collection.snapshot():
        pass
