"""A folder of collections: what is in it, and how collections and aliases are made and dropped there."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, Disk, ImageRecord, Settings, WriterLock
from setwise_engine.encoder import Encoder
from setwise_engine.errors import (
    AlreadyExists,
    CorruptError,
    Incompatible,
    InvalidInput,
    NotFound,
    ReadOnlyError,
)
from setwise_engine.feature_set import FeatureSet
from setwise_server._making import plain_encoder
from setwise_server._root import Root, check_name
from setwise_server._waiting import Waiting

WAITING = Waiting(model="", dims=4, coarse="mean", thumbnails=False, gate=True)


@pytest.fixture
def plain() -> tuple[Settings, Encoder]:
    """What a small collection of ready-made sets is made with."""
    encoder = plain_encoder(4)
    return Settings("", 0, "", 4, encoder.fingerprint, coarse="mean"), encoder


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """An empty folder."""
    return Root(tmp_path)


def test_a_collection_appears_under_its_name_and_opens(root: Root, plain) -> None:
    root.create("photos", *plain)
    assert root.scan() == {"photos": root.folder / "photos.setwise"}
    with Collection.open(root.scan()["photos"]) as collection:
        assert collection.name == "photos"


def test_only_folders_with_a_catalog_count_and_hidden_ones_never(root: Root, plain, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.setwise").write_text("no folder")
    root.create("a", *plain)
    shutil.copytree(tmp_path / "a.setwise", tmp_path / ".b.setwise")
    shutil.copytree(tmp_path / "a.setwise", tmp_path / "c")
    assert sorted(root.scan()) == ["a", "c"]


def test_of_two_folders_of_one_name_the_one_with_the_suffix_counts(root: Root, plain, tmp_path: Path) -> None:
    root.create("a", *plain)
    for other in ("a", "a.zzz"):
        shutil.copytree(tmp_path / "a.setwise", tmp_path / other)
    assert root.scan() == {"a": tmp_path / "a.setwise"}


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "..", "a b", "é", "a" * 101, "a\n"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="letter or digit"):
        check_name(name, "name")


@pytest.mark.parametrize("name", ["a", "7", "photos-2026.v1_b", "a" * 100])
def test_names_that_are_some(name: str) -> None:
    check_name(name, "name")


def test_a_name_is_given_once_to_a_collection_one_that_waits_or_an_alias(root: Root, plain) -> None:
    root.create("photos", *plain)
    root.wait("soon", WAITING)
    root.set_alias("best", "photos")
    for taken in ("photos", "soon", "best"):
        with pytest.raises(AlreadyExists, match=taken):
            root.create(taken, *plain)
        with pytest.raises(AlreadyExists, match=taken):
            root.wait(taken, WAITING)
    for taken in ("photos", "soon"):
        with pytest.raises(AlreadyExists, match="alias needs a name of its own"):
            root.set_alias(taken, "photos")


def test_what_waits_is_no_collection_yet_and_becomes_one_when_finished(root: Root, plain) -> None:
    root.wait("soon", WAITING)
    assert list(root.waiting()) == ["soon"]
    assert not root.scan()
    root.finish("soon", *plain)
    assert (list(root.waiting()), list(root.scan())) == ([], ["soon"])
    with pytest.raises(AlreadyExists, match="has an encoder already"):
        root.finish("soon", *plain)


def test_what_waits_can_be_dropped_and_is_not_finished_then(root: Root, plain) -> None:
    root.wait("soon", WAITING)
    root.drop("soon")
    with pytest.raises(NotFound, match="dropped"):
        root.finish("soon", *plain)


def test_a_dropped_collection_is_gone_with_its_files_and_its_name_is_free(root: Root, plain, tmp_path: Path) -> None:
    root.create("photos", *plain)
    root.drop("photos")
    assert not root.scan()
    assert not list((tmp_path / ".dropped").iterdir())
    root.create("photos", *plain)
    with pytest.raises(NotFound, match="gone"):
        root.drop("gone")


def test_who_has_a_dropped_collection_open_writes_nothing_into_the_next_of_its_name(root: Root, plain) -> None:
    settings, encoder = plain
    root.create("photos", settings, encoder)
    record = ImageRecord(id="a", features=encoder.encode_set(FeatureSet(np.ones((2, 4), np.float32))))
    with Collection.open(root.scan()["photos"]) as stale:
        stale.append([record])
        root.drop("photos")
        for again in (False, True):
            if again:
                root.create("photos", settings, encoder)
            with pytest.raises(NotFound, match="dropped"):
                stale.append([record])
            with pytest.raises(NotFound, match="dropped"):
                stale.delete(["a"])
    with Collection.open(root.scan()["photos"]) as collection:
        assert collection.info().images == 0


def test_a_drop_waits_for_the_commit_of_another_writer(root: Root, plain) -> None:
    root.create("photos", *plain)
    released = threading.Event()
    dropping = threading.Thread(target=root.drop, args=["photos", released.set])
    with WriterLock(root.scan()["photos"]).hold():
        dropping.start()
        assert released.wait(5)
        assert list(root.scan()) == ["photos"]
    dropping.join()
    assert not root.scan()


def test_what_an_alias_stands_for_is_not_dropped_and_the_alias_itself_neither(root: Root, plain) -> None:
    root.create("photos", *plain)
    root.set_alias("best", "photos")
    with pytest.raises(Incompatible, match='"best"'):
        root.drop("photos")
    with pytest.raises(InvalidInput, match="is an alias"):
        root.drop("best")
    root.delete_alias("best")
    root.drop("photos")


def test_an_alias_moves_in_one_step_and_tells_what_it_stood_for(root: Root, plain) -> None:
    for name in ("old", "new"):
        root.create(name, *plain)
    assert root.set_alias("photos", "old") == ""
    assert root.set_alias("photos", "new") == "old"
    assert root.set_alias("photos", "new") == "new"
    assert root.aliases() == {"photos": "new"}
    for wrong, error in (("photos", InvalidInput), ("gone", NotFound)):
        with pytest.raises(error):
            root.set_alias("other", wrong)
    with pytest.raises(NotFound, match="other"):
        root.delete_alias("other")


def test_aliases_that_cannot_be_read_are_named(root: Root, tmp_path: Path) -> None:
    for text in ("no json", "[]", '{"version": 1}', '{"version": 1, "aliases": {"a": 1}}'):
        (tmp_path / "aliases.json").write_text(text)
        with pytest.raises(CorruptError, match=r"aliases\.json"):
            root.aliases()


class Killed(BaseException):
    """The process dies here."""


class DyingDisk(Disk):
    """Dies before it forgets that a collection waits."""

    def remove(self, path: Path) -> None:
        if path.suffix == ".json":
            raise Killed
        super().remove(path)


def test_killed_between_making_a_collection_and_forgetting_that_it_waits(root: Root, plain, tmp_path: Path) -> None:
    root.wait("soon", WAITING)
    with pytest.raises(Killed):
        Root(tmp_path, DyingDisk).finish("soon", *plain)
    again = Root(tmp_path)
    again.sweep()
    assert (list(again.waiting()), list(again.scan())) == ([], ["soon"])


def test_killed_between_hiding_a_collection_and_deleting_it(root: Root, plain, tmp_path: Path, monkeypatch) -> None:
    root.create("photos", *plain)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    root.drop("photos")
    monkeypatch.undo()
    assert not root.scan()
    assert list((tmp_path / ".dropped").iterdir())
    Root(tmp_path).sweep()
    assert not list((tmp_path / ".dropped").iterdir())


def test_two_processes_make_one_name_once(root: Root, plain, tmp_path: Path) -> None:
    outcomes: list[str] = []

    def make(maker: Callable[..., None]) -> None:
        try:
            maker("photos", *plain)
            outcomes.append("made")
        except AlreadyExists:
            outcomes.append("was there")

    threads = [threading.Thread(target=make, args=[Root(tmp_path).create]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "was there", "was there", "was there"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(root: Root, plain, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ReadOnlyError, match=str(tmp_path)):
            root.create("photos", *plain)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="gone"):
        Root(tmp_path / "gone")
