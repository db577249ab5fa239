"""A real server on loopback over two real collections: the demo photos, and ready-made sets that need no network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize
from setwise_engine.features import Extractor
from setwise_engine.featurizer import Featurizer
from setwise_engine.search import Answer, Check, Options, Searcher
from setwise_proto.v1 import (
    collections_pb2_grpc,
    images_pb2,
    images_pb2_grpc,
    search_pb2_grpc,
    server_pb2_grpc,
    types_pb2,
)
from setwise_server import ServerSettings
from setwise_server._tensors import features_to_proto
from setwise_server.serve import Server

SETS = 30
TOKENS = 6
DIMS = 16


@dataclass(frozen=True)
class Failure:
    """What a failed call told its caller."""

    status: Status
    info: ErrorInfo
    violations: list[BadRequest.FieldViolation]
    retry: RetryInfo | None

    @classmethod
    def of(cls, status: Status) -> Failure:
        """The details of a status, unpacked."""
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        found = {type(kind): detail.Unpack(kind) for kind in (info, bad, retry) for detail in _of(status, kind)}
        return cls(status, info, list(bad.field_violations), retry if found.get(RetryInfo) else None)

    @classmethod
    def on_the_wire(cls, error: grpc.RpcError) -> Failure:
        """The details of an error that a stub raised."""
        trailers = dict(error.trailing_metadata() or ())
        status = Status.FromString(trailers["grpc-status-details-bin"])
        assert status.code == error.code().value[0]
        assert status.message == error.details()
        return cls.of(status)


def _of(status: Status, kind: Message) -> list[Any]:
    return [detail for detail in status.details if detail.Is(kind.DESCRIPTOR)]


@dataclass(frozen=True)
class Stubs:
    """A channel to a server, the stubs of every service, and how to stop it early."""

    address: str
    channel: grpc.Channel
    stop: Callable[[], None]

    def __post_init__(self) -> None:
        object.__setattr__(self, "search", search_pb2_grpc.SearchServiceStub(self.channel))
        object.__setattr__(self, "images", images_pb2_grpc.ImageServiceStub(self.channel))
        object.__setattr__(self, "collections", collections_pb2_grpc.CollectionServiceStub(self.channel))
        object.__setattr__(self, "server", server_pb2_grpc.ServerServiceStub(self.channel))

    def failure(self, rpc: Callable[..., Message], request: Message, **options: Any) -> Failure:
        """How a call that must fail fails."""
        with pytest.raises(grpc.RpcError) as caught:
            rpc(request, **options)
        return Failure.on_the_wire(caught.value)


@contextmanager
def running(paths: Sequence[Path], settings: ServerSettings | None = None) -> Iterator[Stubs]:
    """A server in a thread with an event loop of its own, loaded and ready."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def await_(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    async def build() -> Server:
        return Server(paths, settings or ServerSettings(port=0, device="cpu"))

    server = await_(build())
    try:
        address = f"127.0.0.1:{await_(server.start())}"
        await_(server.load())
        with grpc.insecure_channel(address) as channel:
            yield Stubs(address, channel, lambda: await_(server.stop()))
    finally:
        await_(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def ready_made(seed: int) -> FeatureSet:
    """A raw set of no network: TOKENS vectors of DIMS numbers, on a grid over an image of 300 x 200 pixels."""
    tokens = np.random.default_rng(seed).normal(size=(TOKENS, DIMS)).astype(np.float32)
    return FeatureSet(tokens, grid=Grid(2, 3), image_size=ImageSize(300, 200))


@pytest.fixture(scope="session")
def sets_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of SETS ready-made sets, `set-00` on, with metadata of every kind."""
    path = tmp_path_factory.mktemp("collections") / "sets.setwise"
    encoder = fit_encoder([ready_made(seed).tokens.astype(np.float32) for seed in range(SETS)], model="", dims=None)
    settings = Settings("", 0, "", encoder.dims, encoder.fingerprint)
    with Collection.create(path, settings, encoder) as collection:
        collection.append([_record(seed, encoder) for seed in range(SETS)])
        collection.build_index()
    return path


def _record(seed: int, encoder: Encoder) -> ImageRecord:
    metadata = {"seed": seed, "even": seed % 2 == 0, "half": seed / 2, "name": f"n{seed}", "tags": ["a", 1], "no": None}
    return ImageRecord(
        id=f"set-{seed:02}",
        features=encoder.encode_set(ready_made(seed)),
        metadata=metadata,
        thumbnail=b"jpeg %d" % seed,
    )


@pytest.fixture(scope="session")
def photos_path(
    tmp_path_factory: pytest.TempPathFactory, photos: list[Path], extractor: Extractor, encoder: Encoder
) -> Path:
    """A collection of the demo photos; an id is the file's name."""
    path = tmp_path_factory.mktemp("collections") / "photos.setwise"
    info = extractor.info
    featurizer = Featurizer(extractor, encoder)
    prepared = [featurizer.prepare(photo, thumbnail=True) for photo in photos]
    records = [
        ImageRecord(id=photo.name, features=features, thumbnail=image.thumbnail)
        for photo, image, features in zip(photos, prepared, featurizer.encode(prepared), strict=True)
    ]
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    with Collection.create(path, settings, encoder) as collection:
        collection.append(records)
        collection.build_index()
    return path


@pytest.fixture(scope="session")
def server(photos_path: Path, sets_path: Path) -> Iterator[Any]:
    """Stubs of a running server that holds `photos` and `sets`."""
    with running([photos_path, sets_path]) as stubs:
        yield stubs


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """`with serving(paths, settings) as stubs`: a server for one test."""
    return running


@pytest.fixture(scope="session")
def make_set() -> Callable[[int], FeatureSet]:
    """Ready-made sets by seed; seeds below 30 are those of the collection."""
    return ready_made


@pytest.fixture(scope="session")
def make_item() -> Callable[..., images_pb2.ImageInput]:
    """`make_item(id, seed, **metadata)`: a ready-made set as it is sent to be stored; metadata of integers and text."""

    def make_item(id: str, seed: int = 0, **metadata: int | str) -> images_pb2.ImageInput:
        values = {
            name: types_pb2.Value(**({"int_value": each} if isinstance(each, int) else {"string_value": each}))
            for name, each in metadata.items()
        }
        return images_pb2.ImageInput(id=id, features=features_to_proto(ready_made(seed)), metadata=values)

    return make_item


@pytest.fixture
def own_path(sets_path: Path, tmp_path: Path) -> Path:
    """An empty collection of ready-made sets, `own`, that a test may write to."""
    with Collection.open(sets_path, read_only=True) as sets:
        Collection.create(tmp_path / "own.setwise", sets.settings, sets.encoder).close()
    return tmp_path / "own.setwise"


@pytest.fixture(scope="session")
def failure_of() -> Callable[[Status], Failure]:
    """Unpacks the details of a status."""
    return Failure.of


class Gate:
    """Holds every search before its first stage until it is opened; counts those that came and how they ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.entered = threading.Event(), threading.Semaphore(0)
        self.ended: list[str] = []
        search_id = Searcher.search_id

        def held(searcher: Searcher, id: str, options: Options, check: Check, **region: Any) -> Answer:
            self.entered.release()
            try:
                while not self.opened.wait(0.01):
                    check()
                return search_id(searcher, id, options, check, **region)
            except BaseException as error:
                self.ended.append(type(error).__name__)
                raise

        monkeypatch.setattr(Searcher, "search_id", held)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Searches by id wait at the gate."""
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()
