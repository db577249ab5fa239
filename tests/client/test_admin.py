"""Collections are made, fitted, renamed, copied and dropped over the wire."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

import setwise
from setwise_proto.v1 import collections_pb2 as pb
from setwise_proto.v1 import server_pb2


@pytest.fixture
def client(rooted: str) -> Iterator[setwise.Client]:
    """A client of the server that makes collections."""
    with setwise.connect(rooted, timeout=60) as client:
        yield client


def sets(number: int, dims: int = 8) -> Iterator[setwise.Item]:
    random = np.random.default_rng(3)
    for place in range(number):
        tokens = random.normal(size=(6, dims)).astype(np.float32)
        yield setwise.Item(f"made-{place}", setwise.FeatureSet(tokens, (2, 3)), {"place": place})


def test_a_collection_is_made_filled_asked_and_dropped(client: setwise.Client) -> None:
    made = client.create_collection("made", features=True, dims=8, gate=False)
    assert (made.name, made.images, made.dims, made.state, made.writable) == ("made", 0, 8, "ready", True)
    assert client.upsert(sets(20), collection="made").inserted == 20
    hits = client.search(setwise.Id("made-3"), k=3, where=setwise.F("place") < 10, collection="made")
    assert (hits[0].id, hits.certificate.matching, hits.certificate.collection_size) == ("made-3", 10, 20)
    assert "10 images that pass the filter (20 in all)" in hits.summary()
    with pytest.raises(setwise.ConflictError, match="made"):
        client.create_collection("made", features=True, dims=8)
    client.drop_collection("made")
    assert "made" not in [collection.name for collection in client.collections()]
    with pytest.raises(setwise.NotFoundError):
        client.drop_collection("made")


def test_samples_need_no_ids_and_no_change_tells_the_present_version(client: setwise.Client) -> None:
    client.create_collection("bare", features=True, dims=4, encoder="fit")
    with pytest.raises(setwise.InvalidArgumentError, match="of type FeatureSet; give a list"):
        client.fit_encoder(next(sets(1)).image, collection="bare")  # type: ignore[arg-type]
    with pytest.raises(setwise.InvalidArgumentError, match="this one sample spans only"):
        client.fit_encoder([setwise.FeatureSet(np.eye(2, 8, dtype=np.float32))], collection="bare")
    fitted = client.fit_encoder((item.image for item in sets(40)), collection="bare")
    assert (fitted.samples, fitted.collection.dims) == (40, 4)
    version = client.upsert(sets(3), collection="bare").version
    assert client.upsert([], collection="bare").version == version
    assert client.delete([], collection="bare").version == version
    assert client.update_many({}, collection="bare").version == version
    client.drop_collection("bare")


def test_an_encoder_is_fitted_to_samples(client: setwise.Client) -> None:
    waiting = client.create_collection("fitted", features=True, dims=4, encoder="fit")
    assert waiting.state == "waits_for_encoder"
    with pytest.raises(setwise.FailedPreconditionError, match="encoder"):
        client.upsert(sets(1), collection="fitted")
    fitted = client.fit_encoder(sets(60), collection="fitted")
    assert (fitted.samples, fitted.collection.state, fitted.collection.images) == (60, "ready", 0)
    assert client.upsert(sets(3), collection="fitted").inserted == 3
    taken = client.create_collection("taken", features=True, encoder_from="fitted")
    assert taken.encoder_fingerprint == fitted.collection.encoder_fingerprint
    client.drop_collection("fitted")
    client.drop_collection("taken")


def test_an_alias_moves_in_one_step(client: setwise.Client, rooted: str) -> None:
    assert client.set_alias("now", "sets") is None
    assert client.set_alias("now", "more") == "sets"
    assert client.aliases() == {"now": "more"}
    with setwise.connect(rooted, collection="now", timeout=60) as through:
        assert through.count() == client.count(collection="more")
    with pytest.raises(setwise.FailedPreconditionError, match="now"):
        client.drop_collection("more")
    client.delete_alias("now")
    with pytest.raises(setwise.NotFoundError, match="now"):
        client.delete_alias("now")


def test_a_server_tells_what_it_can_do(client: setwise.Client, remote: setwise.Client) -> None:
    info = client.info()
    assert info.writable and info.has_root and "efficientnet-lite0" in info.offered_models
    assert info.limits.max_changes and info.limits.max_streams and info.limits.max_filter_terms
    assert not remote.info().has_root
    with pytest.raises(setwise.FailedPreconditionError, match="--root"):
        remote.create_collection("made")


def test_a_snapshot_is_whole(client: setwise.Client, tmp_path: Path) -> None:
    path = tmp_path / "photos.tar"
    path.write_bytes(b"an older one")
    steps: list[setwise.Progress] = []
    info = client.download_snapshot(path, collection="photos", progress=steps.append)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (info.name, info.images, info.bytes) == ("photos", client.count(collection="photos"), path.stat().st_size)
    assert (steps[-1].bytes, steps[-1].total) == (info.bytes, info.bytes)
    assert [file.name for file in tmp_path.iterdir()] == ["photos.tar"]
    with tarfile.open(path) as tar:
        assert "manifest.json" in tar.getnames()
    stream = io.BytesIO()
    again = client.download_snapshot(stream, collection="photos")
    assert hashlib.sha256(stream.getvalue()).hexdigest() == again.sha256


def test_asyncio_does_the_same(rooted: str, tmp_path: Path) -> None:
    async def main() -> list[Any]:
        async with setwise.connect_async(rooted, timeout=60) as client:
            made = await client.create_collection("awaited", features=True, dims=4, encoder="fit")
            fitted = await client.fit_encoder(sets(30), collection="awaited")
            report = await client.upsert(sets(10), collection="awaited")
            info = await client.download_snapshot(tmp_path / "a.tar", collection="awaited")
            await client.set_alias("later", "awaited")
            aliases = await client.aliases()
            await client.delete_alias("later")
            await client.drop_collection("awaited")
            return [made.state, fitted.samples, report.inserted, info.images, aliases]

    assert asyncio.run(main()) == ["waits_for_encoder", 30, 10, 10, {"later": "awaited"}]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x", "dims": 0}, "dims"),
        ({"name": "x", "encoder": "best"}, "encoder"),
        ({"name": "x", "encoder": "fit", "encoder_from": "y"}, "encoder_from"),
        ({"name": "x", "model": 3}, "model"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_sent(script: Any, arguments: dict[str, Any], field: str) -> None:
    transport = script(setwise.InternalError("asked"))
    client = setwise.Client("localhost:1", transport=transport)
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        client.create_collection(**arguments)
    assert (caught.value.field, transport.calls) == (field, [])


CALLS: list[Callable[[setwise.Client], Any]] = [
    lambda c: c.create_collection("x"),
    lambda c: c.drop_collection("x"),
    lambda c: c.delete_alias("x"),
]


@pytest.mark.parametrize("call", CALLS)
def test_what_must_not_be_done_twice_is_not_asked_twice(script: Any, call: Callable[[setwise.Client], Any]) -> None:
    transport = script(setwise.UnavailableError("the answer was lost"))
    with setwise.connect("localhost:1", transport=transport) as client, pytest.raises(setwise.UnavailableError):
        call(client)
    assert len(transport.calls) == 1


@pytest.mark.parametrize("call", CALLS)
def test_what_a_server_refused_is_asked_again(script: Any, call: Callable[[setwise.Client], Any]) -> None:
    refused = setwise.UnavailableError("still loading", reason="NOT_READY")
    done = {"CreateCollection": pb.CreateCollectionResponse, "DropCollection": pb.DropCollectionResponse}
    transport = script(refused, lambda request: done.get(name(request), pb.DeleteAliasResponse)())
    with setwise.connect("localhost:1", transport=transport, timeout=5) as client:
        call(client)
    assert len(transport.calls) == 2


def name(request: Message) -> str:
    return request.DESCRIPTOR.name.removesuffix("Request")


class Sender:
    """A transport that sends a snapshot of these messages."""

    def __init__(self, *messages: pb.DownloadSnapshotResponse) -> None:
        self.messages = iter(messages)

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """No limits."""
        return server_pb2.GetServerInfoResponse()

    def stream(self, method: str, requests: Iterator[Message], reply: type[Message]) -> Sender:
        """Itself."""
        return self

    def __iter__(self) -> Iterator[Message]:
        return self.messages

    def cancel(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


START = pb.DownloadSnapshotResponse(start=pb.SnapshotStart(name="x", version=3, images=1, bytes=4))
PIECE = pb.DownloadSnapshotResponse(piece=b"tar!")


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([START, PIECE], "ended before its end"),
        (
            [START, PIECE, pb.DownloadSnapshotResponse(end=pb.SnapshotEnd(bytes=4, sha256="0" * 64))],
            "with SHA-256 0000",
        ),
        ([START, pb.DownloadSnapshotResponse(end=pb.SnapshotEnd(bytes=4))], "4 bytes .* were sent, 0 with"),
    ],
)
def test_a_damaged_snapshot_leaves_no_file(messages: list[Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"the one before")
    client = setwise.Client("localhost:1", transport=Sender(*messages))
    with pytest.raises(setwise.DataLossError, match=says):
        client.download_snapshot(tmp_path / "x.tar")
    assert [file.name for file in tmp_path.iterdir()] == ["x.tar"]
    assert (tmp_path / "x.tar").read_bytes() == b"the one before"


def test_a_snapshot_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    client = setwise.Client("localhost:1", transport=Sender())
    with pytest.raises(setwise.InvalidArgumentError, match="is a directory"):
        client.download_snapshot(tmp_path)
    with pytest.raises(setwise.NotFoundError, match="there is no folder"):
        client.download_snapshot(tmp_path / "no" / "x.tar")
    (tmp_path / "x.tar.part").mkdir()
    with pytest.raises(setwise.FailedPreconditionError, match=r"cannot write the snapshot to .*x\.tar"):
        client.download_snapshot(tmp_path / "x.tar")
