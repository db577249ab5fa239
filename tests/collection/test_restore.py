"""Restore believes no archive: every name, size and byte must be what the manifest says, and the target new."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from setwise_engine.collection import Collection, ImageRecord, SnapshotInfo, restore, verify_folder, write_snapshot
from setwise_engine.collection._durable import Bytes, Disk
from setwise_engine.collection._lock import WriterLock
from setwise_engine.errors import CollectionError, CorruptError, FormatError, LockedError, ReadOnlyError

Make = Callable[..., ImageRecord]
Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def tar(collection: Collection, make: Make) -> bytes:
    """A snapshot of three images in two segments."""
    collection.append([make("a", 1, thumbnail=b"jpeg" * 20), make("b", 2)])
    collection.append([make("c", 3)])
    stream = io.BytesIO()
    write_snapshot(collection, stream)
    return stream.getvalue()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where to restore to."""
    return tmp_path / "restored" / "back.setwise"


def members(tar: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def archive_of(parts: list[Member]) -> bytes:
    """An archive of these members, whatever they are."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in parts:
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def plain(name: str, content: bytes, **fields: Any) -> Member:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def with_manifest(tar: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The snapshot with another manifest, its other members as they are."""
    (first, text), *others = members(tar)
    manifest = json.loads(text)
    change(manifest)
    return archive_of([plain(first.name, json.dumps(manifest).encode()), *others])


def refused(tar: bytes, target: Path, kind: type[Exception], message: str) -> None:
    """It is refused with this message, and nothing of it is left."""
    with pytest.raises(kind, match=message):
        restore(io.BytesIO(tar), target)
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_what_comes_back_opens_verifies_and_can_be_written(tar: bytes, target: Path, make: Make) -> None:
    info = restore(io.BytesIO(tar), target)
    assert info == SnapshotInfo(len(tar), hashlib.sha256(tar).hexdigest(), 2, 3)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert verify_folder(target).problems == []
    with Collection.open(target) as back:
        assert back.append([make("d", 4)]) == 3
        assert back.build_index().rows == 4
        assert back.verify().problems == []


def test_from_a_file(tar: bytes, target: Path, tmp_path: Path) -> None:
    (tmp_path / "OUT.tar").write_bytes(tar)
    assert restore(tmp_path / "OUT.tar", target).images == 3
    with pytest.raises(CollectionError, match=r"NONE\.tar cannot be read"):
        restore(tmp_path / "NONE.tar", target.with_name("other"))


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_the_target_must_be_new(tar: bytes, target: Path, kind: str) -> None:
    target.parent.mkdir()
    match kind:
        case "folder":
            target.mkdir()
        case "file":
            target.touch()
        case _:
            target.symlink_to("nowhere")
    with pytest.raises(CollectionError, match="exists; choose another name"):
        restore(io.BytesIO(tar), target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("../evil", {}),
        ("/etc/evil", {}),
        ("segments/../../evil", {}),
        ("segments/00000001-0123abcd.safetensors.tmp", {}),
        ("catalog.sqlite-wal", {}),
        ("writer.lock", {}),
        ("segments", {"type": tarfile.DIRTYPE}),
        ("evil", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("evil", {"type": tarfile.LNKTYPE, "linkname": "catalog.sqlite"}),
        ("evil", {"type": tarfile.FIFOTYPE}),
        ("evil", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
    ],
)
def test_strange_members_are_refused_wherever_they_stand(
    tar: bytes, target: Path, name: str, fields: dict[str, Any]
) -> None:
    stranger = plain(name, b"" if fields else b"evil", **fields)
    for place in (1, 3, len(members(tar))):
        parts = members(tar)
        parts.insert(place, stranger)
        refused(archive_of(parts), target, CorruptError, "does not name it|is no plain file")
    refused(archive_of([stranger, *members(tar)]), target, CollectionError, "begins with|no plain file")


def test_a_link_in_the_place_of_a_file_is_refused(tar: bytes, target: Path) -> None:
    parts = members(tar)
    parts[1] = plain(parts[1][0].name, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    refused(archive_of(parts), target, CorruptError, r"'catalog\.sqlite', which is no plain file")


@pytest.mark.parametrize("name", ["../evil", "/evil", "segments/x.safetensors", "index/coarse.json", "", "segments/"])
def test_a_manifest_cannot_name_what_is_not_ours(tar: bytes, target: Path, name: str) -> None:
    def add(manifest: dict[str, Any]) -> None:
        manifest["files"][name] = {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}

    refused(with_manifest(tar, add), target, CorruptError, "may not be called")


def test_missing_and_doubled_members_are_named(tar: bytes, target: Path) -> None:
    parts = members(tar)
    for number, (member, _) in enumerate(parts[1:], 1):
        refused(archive_of(parts[:number] + parts[number + 1 :]), target, CorruptError, f"lacks {member.name}")
        refused(archive_of([*parts, parts[number]]), target, CorruptError, f"{member.name}' twice")
    refused(archive_of([parts[0], *parts]), target, CorruptError, r"manifest\.json' twice")
    refused(archive_of(parts[1:]), target, FormatError, r"begins with 'catalog\.sqlite'")


def test_every_flipped_byte_is_found_and_its_member_named(tar: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive.getmembers()[1:]:
            for place in (0, member.size // 2, member.size - 1):
                damaged = bytearray(tar)
                damaged[member.offset_data + place] ^= 4
                refused(bytes(damaged), target, CorruptError, f"{Path(member.name).name} differs")


def test_a_damaged_header_is_found(tar: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        headers = [member.offset for member in archive.getmembers()]
    for header in headers:
        for place in (0, 124, 148, 156):  # name, size, checksum, type
            damaged = bytearray(tar)
            damaged[header + place] ^= 1
            with pytest.raises((CorruptError, FormatError)):
                restore(io.BytesIO(bytes(damaged)), target)
    assert list(target.parent.iterdir()) == []


def test_a_snapshot_that_was_cut_off_is_refused(tar: bytes, target: Path) -> None:
    """At every length; only the zeros at the very end may be missing."""
    whole = len(tar.rstrip(b"\0")) + 512
    for length in (0, 1, 511, 512, 513, 1024, *range(2000, whole - 600, 4321)):
        with pytest.raises((CorruptError, FormatError)):
            restore(io.BytesIO(tar[:length]), target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"snapshot": 2}, FormatError, "snapshot version 2, this release knows versions up to 1; install a newer"),
        ({"format": 99}, FormatError, "format version 99"),
        ({"format": "1"}, CorruptError, "not a whole number"),
        ({"kind": "other"}, FormatError, "is of 'other'"),
        ({"files": {}}, CorruptError, r"does not name catalog\.sqlite"),
        ({"files": []}, CorruptError, "damaged"),
        ({"version": 7}, CorruptError, "another collection or version"),
        ({"images": 7}, CorruptError, "another collection or version"),
        ({"uuid": "7"}, CorruptError, "another collection or version"),
        ({"images": -1}, CorruptError, "damaged"),
    ],
)
def test_manifests_that_cannot_be_right(
    tar: bytes, target: Path, change: dict[str, Any], kind: type[Exception], message: str
) -> None:
    refused(with_manifest(tar, lambda manifest: manifest.update(change)), target, kind, message)


def test_sizes_that_lie_and_a_disk_that_is_too_small(tar: bytes, target: Path) -> None:
    def lie(manifest: dict[str, Any], size: int) -> None:
        manifest["files"]["encoder.safetensors"]["bytes"] = size

    refused(with_manifest(tar, lambda manifest: lie(manifest, 5)), target, CorruptError, "bytes instead of 5")
    refused(with_manifest(tar, lambda manifest: lie(manifest, 1 << 60)), target, CollectionError, "make room")


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 10240, b"PK\3\4" + b"x" * 20000, b"[" * 20000])
def test_what_is_no_archive_is_refused(target: Path, data: bytes) -> None:
    refused(data, target, FormatError, "no snapshot|is empty")


def test_a_manifest_of_endless_brackets_is_refused(target: Path) -> None:
    refused(archive_of([plain("manifest.json", b"[" * 500_000)]), target, CorruptError, "damaged")


def test_what_a_killed_restore_left_is_cleared_away(tar: bytes, target: Path) -> None:
    beside = target.with_name(f".{target.name}.restoring")
    (beside / "segments").mkdir(parents=True)
    (beside / "segments" / "half").write_bytes(b"half")
    (beside / "catalog.sqlite").write_bytes(b"half")
    restore(io.BytesIO(tar), target)
    assert verify_folder(target).problems == []
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_two_restores_to_one_place_do_not_meet(tar: bytes, target: Path) -> None:
    beside = target.with_name(f".{target.name}.restoring")
    beside.mkdir(parents=True)
    with WriterLock(beside).hold(), pytest.raises(LockedError, match="is being restored"):
        restore(io.BytesIO(tar), target)
    assert beside.exists()


def test_every_file_is_forced_to_disk_before_the_folder_gets_its_name(tar: bytes, target: Path) -> None:
    log: list[str] = []

    class Watched(Disk):
        def __init__(self) -> None:
            super().__init__()
            self.names: dict[int, str] = {}

        def create(self, path: Path) -> int:
            descriptor = super().create(path)
            self.names[descriptor] = path.name
            return descriptor

        def fsync(self, descriptor: int) -> None:
            super().fsync(descriptor)
            log.append(self.names[descriptor])

        def fsync_folder(self, folder: Path) -> None:
            super().fsync_folder(folder)
            log.append(f"{folder.name}/")

        def rename(self, source: Path, target: Path) -> None:
            super().rename(source, target)
            log.append(f"-> {target.name}")

    restore(io.BytesIO(tar), target, disk=Watched())
    beside = f".{target.name}.restoring/"
    segments = sorted(path.name for path in (target / "segments").iterdir())
    assert log == [
        f"{target.parent.parent.name}/",  # the folder that the target is put into is new as well
        *("catalog.sqlite", "encoder.safetensors", *segments, "segments/", beside),
        *(f"-> {target.name}", f"{target.parent.name}/"),
    ]


def test_an_fsync_that_fails_leaves_nothing(tar: bytes, target: Path) -> None:
    class Failing(Disk):
        def fsync(self, descriptor: int) -> None:
            with self._must_last("a file"):
                raise OSError(5, os.strerror(5))

    with pytest.raises(ReadOnlyError):
        restore(io.BytesIO(tar), target, disk=Failing())
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_leaves_nothing(tar: bytes, target: Path) -> None:
    class Full(Disk):
        left = 30_000

        def write(self, descriptor: int, chunk: Bytes) -> None:
            self.left -= memoryview(chunk).nbytes
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write(descriptor, chunk)

    with pytest.raises(CollectionError, match="No space left on device"):
        restore(io.BytesIO(tar), target, disk=Full())
    assert list(target.parent.iterdir()) == []


def test_killed_in_the_middle_it_leaves_no_collection_and_can_be_done_again(tar: bytes, target: Path) -> None:
    script = "import sys; from setwise_engine.collection import restore; restore(sys.stdin.buffer, sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", script, target], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(tar[: len(tar) - 2000])
        process.stdin.flush()
        segments = target.with_name(f".{target.name}.restoring") / "segments"
        while not (segments.exists() and list(segments.iterdir())):
            time.sleep(0.01)
            assert process.poll() is None
        process.kill()
    assert not target.exists()
    restore(io.BytesIO(tar), target)
    assert verify_folder(target).problems == []
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_reader_that_fails_is_named(tar: bytes, target: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 20_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(CollectionError, match="Input/output error"):
        restore(Broken(tar), target)
    assert list(target.parent.iterdir()) == []
