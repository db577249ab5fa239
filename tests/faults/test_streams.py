"""Streams that go wrong or go far: clients that vanish, one id a thousand times, ids and metadata at their limits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from conftest import Served
from driver import COLLECTION, tokens_of
from workload import content, created
from zygote import Zygote

import setwise
from setwise_engine.collection import Collection
from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import types_pb2
from setwise_proto.v1.images_pb2_grpc import ImageServiceStub

ENDLESS = """
import itertools, sys, setwise
from driver import COLLECTION, tokens_of
with setwise.connect(sys.argv[1], collection=COLLECTION) as client:
    print(client.count(), flush=True)
    numbers = (n % 1000 for n in itertools.count())
    client.upsert(setwise.Item(f"n-{n}", setwise.FeatureSet(tokens_of(n))) for n in numbers)
"""


def item(id: str, seed: int) -> setwise.Item:
    return setwise.Item(id, setwise.FeatureSet(tokens_of(seed)), {"seed": seed})


def message(id: str, seed: int) -> pb.ImageInput:
    tokens = tokens_of(seed)
    tensor = types_pb2.Tensor(dtype=types_pb2.DTYPE_FLOAT16, shape=tokens.shape, data=tokens.tobytes())
    return pb.ImageInput(id=id, features=types_pb2.FeatureSet(tokens=tensor, stage=types_pb2.STAGE_RAW))


def wholes(path: Path) -> set[str]:
    """Ids of what is stored; every image is whole."""
    with Collection.open(path, read_only=True) as collection:
        found = content(collection)
        assert collection.verify().problems == []
    for id, (tokens, _, _) in found.items():
        assert tokens == tokens_of(int(id.split("-")[1])).tobytes()
    return set(found)


def test_one_id_a_thousand_times_in_one_stream(served: Served) -> None:
    with served.client() as client:
        report = client.upsert(item("same", seed) for seed in range(1000))
        assert report.total == 1000
        assert report.failed == 0
        assert client.count() == 1
        [hit] = client.search(setwise.FeatureSet(tokens_of(999)))
        assert (hit.id, hit.metadata, hit.score) == ("same", {"seed": 999}, pytest.approx(1.0))
    with Collection.open(served.path, read_only=True) as collection:
        assert collection.info().dead_rows < 1000
        assert collection.verify().problems == []


def test_a_client_that_vanishes_leaves_whole_images_only(served: Served) -> None:
    for turn in range(4):
        sent = [f"turn{turn}-{seed}" for seed in range(50)]
        channel = grpc.insecure_channel(served.address)
        vanish = threading.Event()

        def requests(sent: list[str] = sent, vanish: threading.Event = vanish) -> Iterator[pb.UpsertRequest]:
            yield pb.UpsertRequest(start=pb.UpsertStart(collection=COLLECTION))
            for id in sent:
                data = pb.UpsertData(images=[message(id, int(id.split("-")[1]))])
                yield pb.UpsertRequest(data=data)
            vanish.wait(10)

        answers = ImageServiceStub(channel).Upsert(requests())
        acknowledged: set[str] = set()
        next(answers)  # started
        if turn % 2:
            acknowledged |= {result.id for result in next(answers).acks.results if result.done}
            assert acknowledged
        time.sleep(0.02 * turn)
        channel.close()
        vanish.set()
        time.sleep(0.4)
        stored = {id for id in wholes(served.path) if id.startswith(f"turn{turn}-")}
        assert acknowledged <= stored <= set(sent)
    with served.client() as client:
        assert client.upsert([item("after-1", 1)]).inserted == 1


def test_a_client_that_is_killed_in_the_middle_of_its_stream(served: Served) -> None:
    for seconds in (0.05, 0.4):
        client = subprocess.Popen([sys.executable, "-c", ENDLESS, served.address], stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        client.stdout.readline()
        time.sleep(seconds)
        client.kill()
        client.communicate()
        time.sleep(0.3)
        assert wholes(served.path) <= {f"n-{seed}" for seed in range(1000)}
    with served.client() as again:
        assert again.upsert([item("after-2", 2)]).inserted == 1


def test_limits_of_ids_and_metadata_over_the_wire(served: Served) -> None:
    ids = ["a", "a" * 1000, "語" * 1000, "𓀀" * 1000, "🦊👩‍👩‍👧", "../..", " ", "\u202e", "e\u0301", "é", "\t\n"]
    large = {"text": "é" * ((1 << 19) - 10)}
    with served.client() as client:
        items = [setwise.Item(id, setwise.FeatureSet(tokens_of(n)), large) for n, id in enumerate(ids)]
        assert client.upsert(items).inserted == len(ids)
        assert {image.id: image.metadata for image in client.list()} == dict.fromkeys(ids, large)
        assert client.delete(ids[1:]).deleted == len(ids) - 1
        too_much = setwise.Item("b", setwise.FeatureSet(tokens_of(1)), {"text": "x" * (1 << 20)})
        too_long = setwise.Item("c" * 1001, setwise.FeatureSet(tokens_of(1)), {})
        report = client.upsert([too_much, item("fine", 1), too_long], on_error="collect")
        assert (report.inserted, report.failed) == (1, 2)
        assert [image.id for image in client.list()] == ["a", "fine"]


def test_everything_deleted_and_an_empty_collection(served: Served) -> None:
    with served.client() as client:
        for turn in range(3):
            assert client.delete(where=setwise.F("seed") >= 0).deleted == (0 if turn == 0 else 20)
            assert client.count() == 0
            assert len(client.search(setwise.FeatureSet(tokens_of(1)))) == 0
            assert client.upsert(item(f"n-{seed}", seed) for seed in range(20)).inserted == 20
            assert client.delete([f"n-{seed}" for seed in range(20)]).deleted == 20
            assert client.upsert(item(f"n-{seed}", seed) for seed in range(20)).inserted == 20
    assert wholes(served.path) == {f"n-{seed}" for seed in range(20)}


def test_two_servers_take_turns_on_one_folder(zygote: Zygote, tmp_path: Path) -> None:
    path = tmp_path / f"{COLLECTION}.setwise"
    created(path).close()
    servers = [
        zygote.start(["serve", str(path), "--port", "0", "--device", "cpu"], tmp_path / f"{n}.txt") for n in range(2)
    ]
    clients = [setwise.connect(one.line("serving ").split()[-1], collection=COLLECTION) for one in servers]
    threads = [
        threading.Thread(target=lambda c=c, n=n: [c.upsert([item(f"s{n}-{i}", i)]) for i in range(15)])
        for n, c in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"s{n}-{i}" for n in range(2) for i in range(15)}
    assert [{image.id for image in client.list()} for client in clients] == [expected, expected]
    for client, server in zip(clients, servers, strict=True):
        client.close()
        server.kill()
    assert wholes(path) == expected
