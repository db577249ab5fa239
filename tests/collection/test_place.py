"""Where a collection may lie, and what happens in a folder without write permission."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings, _place
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CollectionError, NotFound

Make = Callable[..., ImageRecord]

# Run by a user without rights (root takes another's place once all is imported); prints one line.
READ = """
import os, sys
import numpy.ma  # numpy imports it late, and others may not be allowed to read this environment
from setwise_engine.collection import Collection, verify_folder
from setwise_engine.errors import EngineError
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with Collection.open(sys.argv[1]) as opened, opened.snapshot() as snapshot:
        found = snapshot.ids(snapshot.page("", 10))
        vector = snapshot.coarse(snapshot.page("", 1)[0])
        assert len(snapshot.recall(vector, 5)) == len(found)
        ok = verify_folder(sys.argv[1]).ok
        try:
            opened.delete(["a"])
        except EngineError as error:
            print(opened.read_only, found, ok, error.reason, "this process may not write" in str(error))
except EngineError as error:
    print(error.reason, error)
"""


@pytest.fixture
def public(settings: Settings, tiny: Encoder, make: Make) -> Iterator[Path]:
    """A collection of one image in a folder that every user can reach (pytest's own are private)."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "photos.setwise"
        with Collection.create(folder, settings, tiny) as made:
            made.append([make("a")])
            made.build_index()
        yield folder


def read_without_rights(folder: Path) -> str:
    """What READ prints when run by a user who may not write to the folder."""
    root = os.geteuid() == 0
    for path in [folder, *folder.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 if root else mode & ~0o222)
    command = [sys.executable, "-c", READ, str(folder)]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


def test_a_folder_without_write_permission_opens_read_only_and_stays_as_it_is(public: Path) -> None:
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in public.rglob("*") if path.is_file()}
    assert read_without_rights(public) == "True ['a'] True READ_ONLY True"
    after = {path: hashlib.sha256(path.read_bytes()).digest() for path in public.rglob("*") if path.is_file()}
    assert after == before


def test_a_reader_without_rights_sees_what_another_user_is_writing(public: Path, make: Make) -> None:
    with Collection.open(public) as writer:
        writer.append([make("b", 1)])
        assert (public / "catalog.sqlite-wal").stat().st_size > 0
        assert read_without_rights(public) == "True ['a', 'b'] True READ_ONLY True"


def test_a_log_left_by_a_crash_in_a_folder_without_rights_is_explained(
    public: Path, make: Make, tmp_path: Path
) -> None:
    with Collection.open(public) as writer:
        writer.append([make("b", 1)])
        shutil.copy(public / "catalog.sqlite-wal", tmp_path)
        shutil.copy(public / "catalog.sqlite", tmp_path)
    for name in ("catalog.sqlite", "catalog.sqlite-wal"):
        shutil.copy(tmp_path / name, public)
    said = read_without_rights(public)
    assert said.startswith("COLLECTION_ERROR")
    assert "open it once with the right to write" in said
    with Collection.open(public) as opened:
        assert opened.info().images == 2


def test_a_read_only_view_follows_another_users_commits(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader takes the immutable way, since this process is told that it may not write."""
    collection.append([make("a")])
    collection.close()
    monkeypatch.setattr("setwise_engine.collection._collection.is_writable", lambda folder: False)
    with Collection.open(collection.path) as reader:
        assert reader.info().images == 1
        monkeypatch.undo()
        with Collection.open(collection.path) as writer:
            writer.append([make("b", 1)])
            assert reader.info().images == 2
        assert reader.info().images == 2
        with Collection.open(collection.path) as writer:
            writer.delete(["a", "b"])
        assert reader.info().images == 0


@pytest.mark.parametrize("part", ["", "catalog.sqlite", "encoder.safetensors", "segments", "segments/*"])
def test_what_cannot_be_read_is_named(public: Path, part: str) -> None:
    (path,) = public.glob(part) if "*" in part else [public / part]
    path.chmod(0)
    command = [sys.executable, "-c", READ, str(public)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()
    path.chmod(0o755)
    assert said.startswith("COLLECTION_ERROR")
    assert path.name in said
    assert "rights" in said


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_refused_with_advice(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\nproc /proc proc rw 0 0\n")
    with pytest.raises(CollectionError, match=rf"network file system \({kind}\).*local disk"):
        _place.check_local(tmp_path / "photos.setwise", mounts)
    _place.check_local(tmp_path.parent, mounts)


def test_mount_points_are_told_apart(tmp_path: Path) -> None:
    spaced, beside = tmp_path / "my photos", tmp_path / "my photos2"
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"a / nfs rw 0 0\nb {tmp_path} ext4 rw 0 0\nc {str(spaced).replace(' ', chr(92) + '040')} nfs rw 0 0\n"
        f"d {tmp_path}/twice nfs rw 0 0\ne {tmp_path}/twice ext4 rw 0 0\n"
    )
    for fine in (tmp_path, beside, tmp_path / "twice"):
        _place.check_local(fine, mounts)
    with pytest.raises(CollectionError):
        _place.check_local(spaced / "x", mounts)
    _place.check_local(tmp_path, tmp_path / "no such file")  # not Linux


def test_a_collection_is_named_after_what_the_caller_called_it(collection: Collection) -> None:
    link = collection.path.with_name("current.setwise")
    link.symlink_to(collection.path)
    with Collection.open(link) as opened:
        assert opened.name == "current"
    with Collection.open(link.parent / "other" / ".." / "photos.setwise") as opened:
        assert opened.name == "photos"


def test_the_address_of_a_server_is_told_apart_from_a_directory_that_is_missing() -> None:
    with pytest.raises(NotFound, match="looks like the address of a server"):
        Collection.open("localhost:50051")
    with pytest.raises(NotFound, match="setwise index"):
        Collection.open("missing.setwise")
