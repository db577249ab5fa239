"""DownloadSnapshot: one version of a collection over the wire, whole, while the collection goes on."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

from setwise_engine.collection import Collection, ImageRecord, restore
from setwise_proto.v1 import collections_pb2 as pb
from setwise_server.local import open_local


def test_a_snapshot_comes_in_pieces_with_its_digest_and_restores(server, sets_path: Path, tmp_path: Path) -> None:
    first, *pieces, last = server.collections.DownloadSnapshot(pb.DownloadSnapshotRequest(name="sets"))
    assert (first.start.name, first.start.images) == ("sets", 30)
    assert all(piece.WhichOneof("message") == "piece" and len(piece.piece) <= 1 << 20 for piece in pieces)
    data = b"".join(piece.piece for piece in pieces)
    assert first.start.bytes == last.end.bytes == len(data)
    assert last.end.sha256 == hashlib.sha256(data).hexdigest()
    restore(io.BytesIO(data), tmp_path / "again.setwise")
    with Collection.open(sets_path) as original, Collection.open(tmp_path / "again.setwise") as again:
        assert (again.uuid, again.info().images) == (original.uuid, 30)
        assert again.verify().ok


def test_writes_go_on_meanwhile_and_are_not_in_it(sets_path, serving, make_set, tmp_path: Path) -> None:
    path = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    with serving([path]) as stubs:
        stream = stubs.collections.DownloadSnapshot(pb.DownloadSnapshotRequest())
        first = next(stream)
        with Collection.open(path) as writer:
            writer.append([ImageRecord(id="new", features=writer.encoder.encode_set(make_set(77)))])
        data = b"".join(message.piece for message in stream)
    restore(io.BytesIO(data), tmp_path / "again.setwise")
    with Collection.open(tmp_path / "again.setwise") as again, again.snapshot() as snapshot:
        assert snapshot.version == first.start.version
        assert snapshot.keys(["new"]) == [None]


def test_an_unknown_collection_is_refused_before_anything_is_sent(server) -> None:
    failure = server.failure(
        lambda request: list(server.collections.DownloadSnapshot(request)), pb.DownloadSnapshotRequest(name="gone")
    )
    assert (failure.info.reason, failure.violations[0].field) == ("NOT_FOUND", "name")


def test_in_process_it_is_the_same_to_the_byte(server, sets_path: Path) -> None:
    wire = b"".join(m.piece for m in server.collections.DownloadSnapshot(pb.DownloadSnapshotRequest(name="sets")))
    with open_local(str(sets_path)) as local:
        method = "/setwise.v1.CollectionService/DownloadSnapshot"
        replies = [reply for _, reply in local.stream(method, iter([pb.DownloadSnapshotRequest()])) if reply]
    assert b"".join(reply.piece for reply in replies) == wire
