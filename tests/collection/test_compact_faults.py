"""Compaction that is stopped, killed or short of disk, and that meets damage, loses and hides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from setwise_engine.collection import (
    Collection,
    ImageRecord,
    _compact,
)
from setwise_engine.collection._durable import Disk
from setwise_engine.errors import CancelledError, CollectionError, LockedError

Make = Callable[..., ImageRecord]
Content = Callable[[Collection], dict[str, tuple[Any, ...]]]
Files = Callable[[Collection], list[str]]


@pytest.mark.parametrize("where", ["tokens", "thumbnail"])
def test_a_damaged_segment_is_left_alone_and_named(scattered: Collection, make: Make, where: str, files: Files) -> None:
    with scattered.snapshot() as snapshot:
        (key,) = snapshot.keys(["10-2"])
        assert key is not None
        name, tokens = snapshot.view.entries[key >> 32].file, snapshot.tokens(key).tobytes()
    path = scattered.path / "segments" / name
    scattered.close()
    data = bytearray(path.read_bytes())
    data[data.index(tokens) if where == "tokens" else data.rindex(b"jj")] ^= 1
    path.write_bytes(data)
    with Collection.open(scattered.path) as opened:
        done = opened.compact(everything=True)
        (problem,) = done.problems
        assert problem.startswith(f"segment {name} differs from its SHA-256 and was left as it is")
        assert name in files(opened)
        assert done.segments_after == 3  # those before it, it, those after it
        assert not opened.compaction_due()
        assert opened.compact(everything=True).steps == 0
        (left,) = opened.verify().problems
        assert name in left
        assert len(opened.sources()) == 52


class _Dies(Exception):
    pass


class _Dying(Disk):
    """Ends the work before the given call."""

    def __init__(self, call: str, times: int) -> None:
        super().__init__()
        self.call, self.times = call, times

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "__dict__").get("call"):
            self.times -= 1
            if self.times < 0:
                raise _Dies
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("call", "times"), [("commit", 0), ("create", 0), ("write", 3), ("rename", 0), ("commit", 1), ("remove", 0)]
)
def test_a_crash_anywhere_loses_nothing_and_leaves_nothing(
    scattered: Collection, call: str, times: int, content: Content, files: Files
) -> None:
    """The disk stops working at one call, and whatever would tidy up afterwards finds it still not working."""
    before = content(scattered)
    path = scattered.path
    scattered.close()
    dying = Collection.open(path)
    disk = _Dying(call, times)
    dying._disk = dying._writer.disk = disk
    dying._writer.sweep = dying._writer.forget_reserved = lambda: None
    with pytest.raises(_Dies):
        dying.compact(everything=True)
    dying.close()
    with Collection.open(path) as opened:
        assert content(opened) == before
        assert opened.verify().problems == []
        assert files(opened) == sorted(entry.file for entry in _entries(opened))
        opened.compact(everything=True)
        assert content(opened) == before
        assert len(files(opened)) == 1


def _entries(collection: Collection) -> Iterator[Any]:
    with collection.snapshot() as snapshot:
        yield from snapshot.view.entries.values()


def test_an_unfinished_file_is_not_removed_by_other_writers(
    scattered: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = _compact.merge_segments

    def meanwhile(path: Path, *arguments: Any) -> Any:
        written = merge(path, *arguments)
        with Collection.open(scattered.path) as other:
            other.append([make("other", 1)])
            with pytest.raises(LockedError):
                other._writer.compaction_lock._wait_s = 0
                other.compact()
        assert path.exists()
        return written

    monkeypatch.setattr(_compact, "merge_segments", meanwhile)
    assert scattered.compact(everything=True).segments_after == 2
    assert scattered.verify().problems == []


def test_it_can_be_called_off(scattered: Collection, content: Content, files: Files) -> None:
    before = content(scattered)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 30:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        scattered.compact(everything=True, check=check)
    assert len(files(scattered)) == scattered.info().segments == 21  # one had nothing but dead rows
    assert content(scattered) == before


def test_a_full_disk_stops_it_and_loses_nothing(
    scattered: Collection, monkeypatch: pytest.MonkeyPatch, content: Content, files: Files
) -> None:
    before = content(scattered)

    def full(self: Disk, descriptor: int, chunk: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as small:
        small.setattr(Disk, "write", full)
        with pytest.raises(CollectionError, match="could not be written"):
            scattered.compact(everything=True)
    assert content(scattered) == before
    assert len(files(scattered)) == 21
    assert scattered.compact(everything=True).segments_after == 1
