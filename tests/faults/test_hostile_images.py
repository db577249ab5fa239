"""Pictures made to hurt, sent to a real server: refused or read, within a bound of memory, and others are answered."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import hostile_images
import numpy as np
import pytest
from conftest import Served
from driver import COLLECTION
from zygote import Zygote

import setwise
from setwise_engine.collection import Collection, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.features import Extractor
from setwise_proto.v1 import search_pb2, types_pb2
from setwise_proto.v1.search_pb2_grpc import SearchServiceStub

BUDGET = 96 << 20
SLACK = 160 << 20  # what the allocator keeps, the network's own memory and that of the messages

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(
    zygote: Zygote, tmp_path_factory: pytest.TempPathFactory, extractor: Extractor, encoder: Encoder
) -> Iterator[Served]:
    """A server of an empty collection of the default network, with a small budget for decoding."""
    folder = tmp_path_factory.mktemp("hostile")
    path, info = folder / f"{COLLECTION}.setwise", extractor.info
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    Collection.create(path, settings, encoder).close()
    command = ["serve", str(path), "--port", "0", "--device", "cpu", "--decode-bytes", str(BUDGET)]
    process = zygote.start(command, folder / "server.txt")
    served = Served(process, process.line("serving ").split()[-1], path)
    with served.client() as client:  # loads the network
        client.search(np.zeros((64, 64, 3), np.uint8), k=1)
    yield served
    process.kill()


@pytest.fixture
def ask(server: Served) -> Iterator[Callable[[bytes], str]]:
    """Searches with the bytes of an image as they are; why it was refused, "" when it was read."""
    with grpc.insecure_channel(server.address) as channel:
        search = SearchServiceStub(channel).Search

        def ask(image: bytes) -> str:
            request = search_pb2.SearchRequest(collection=COLLECTION, query=types_pb2.Query(image=image))
            try:
                search(request, timeout=120)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
                return str(error.details())
            return ""

        yield ask


def check_answers(server: Served) -> None:
    with server.client() as client:
        assert len(client.search(np.zeros((64, 64, 3), np.uint8), k=1)) == 0
    assert "Traceback" not in server.process.output.read_text()


def test_bombs_stay_within_the_budget(server: Served, ask: Callable[[bytes], str]) -> None:
    before = server.memory()
    refused = {name: ask(data) for name, data in itertools.chain(hostile_images.bombs(), hostile_images.liars())}
    used = server.memory() - before
    print(f"{used >> 20} MiB more at most, with a budget of {BUDGET >> 20} MiB")
    assert used < BUDGET + SLACK
    for name in ("PNG", "GIF", "progressive JPEG", "TIFF", "WebP", "JPEG of 100,000 scans", "PNG of 10^12 pixels"):
        assert refused[name], name
    check_answers(server)


def test_what_is_no_picture_is_refused(server: Served, ask: Callable[[bytes], str]) -> None:
    for name, data in hostile_images.strangers():
        assert "is not a JPEG, PNG, WebP, BMP, TIFF or GIF image" in ask(data), name
    check_answers(server)


def test_crossed_and_cut_photos_are_read_as_photos_or_refused(
    server: Served, ask: Callable[[bytes], str], photos: list[Path]
) -> None:
    photo = photos[0].read_bytes()
    refused = {name: ask(data) for name, data in hostile_images.crossed(photo)}
    assert not refused["photo and zip"]
    assert not refused["photo and page"]
    assert all(refused[name] for name in refused if name.endswith("body"))
    outcomes = [ask(data) for _, data in hostile_images.cut(photo)]
    assert any(outcomes)
    check_answers(server)


def test_hostile_pictures_are_told_one_by_one_in_an_upsert(server: Served, photos: list[Path]) -> None:
    hostile = dict(itertools.chain(hostile_images.strangers(), hostile_images.liars()))
    items = [setwise.Item(name, data) for name, data in hostile.items()]
    with server.client() as client:
        report = client.upsert([*items, setwise.Item("fine", photos[0])], on_error="collect")
        assert report.inserted + report.failed == len(items) + 1
        assert {failure.id for failure in report.errors} >= {name for name, _ in hostile_images.strangers()}
        assert client.get("fine").id == "fine"
        client.delete([item.id for item in items] + ["fine"])
    check_answers(server)
