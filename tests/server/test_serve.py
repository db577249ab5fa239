"""The real `setwise serve`, in a process of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from setwise_engine.collection import Collection, ImageRecord
from setwise_proto.v1 import search_pb2, search_pb2_grpc
from setwise_proto.v1 import types_pb2 as types

START = "import sys; from setwise._cli import main; sys.exit(main())"


@contextmanager
def serve(*arguments: str | Path):
    """The process; killed when a test leaves it running."""
    command = [sys.executable, "-W", "error", "-c", START, "serve", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(*arguments: str | Path) -> str:
    """What a server that must not start says on its last line."""
    with serve(*arguments) as process:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        return said.strip().splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_answers_and_stops_with_zero_when_told(sets_path, number: signal.Signals) -> None:
    with serve(sets_path, "--port", "0") as process:
        line = process.stdout.readline().strip()
        assert line.startswith("serving 1 collection on 127.0.0.1:")
        with grpc.insecure_channel(line.rpartition(" ")[2]) as channel:
            request = search_pb2.SearchRequest(query=types.Query(id="set-03"))
            assert search_pb2_grpc.SearchServiceStub(channel).Search(request).hits[0].id == "set-03"
        process.send_signal(number)
        said, errors = process.communicate(timeout=30)
        assert process.returncode == 0
        assert not said
        assert "Traceback" not in errors


def test_a_port_in_use_is_named_even_when_the_other_is_a_server_of_ours(sets_path) -> None:
    with serve(sets_path, "--port", "0") as first:
        address = first.stdout.readline().strip().rpartition(" ")[2]
        said = refused(sets_path, "--port", address.rpartition(":")[2])
    assert f"{address} is in use" in said
    assert "--port" in said


def test_two_collections_of_one_name_are_refused_naming_both(tmp_path: Path) -> None:
    a, b = tmp_path / "a" / "x.setwise", tmp_path / "b" / "x.setwise"
    said = refused(a, b, "--port", "0")
    assert str(a) in said
    assert str(b) in said


def test_a_collection_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "gone.setwise") in refused(tmp_path / "gone.setwise", "--port", "0")


def test_a_catalog_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "x.setwise"
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"not a catalog at all" * 100)
    assert str(folder) in refused(folder, "--port", "0")


def test_weights_need_a_model_and_a_file(tmp_path: Path) -> None:
    with serve(tmp_path, "--weights", "nonsense") as process:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2
        assert '"nonsense" is not MODEL=FILE' in said


def test_a_version_published_by_another_process_is_served_at_once(sets_path, serving, make_set, tmp_path) -> None:
    path = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    with serving([path]) as stubs:
        request = search_pb2.SearchRequest(query=types.Query(id="set-03"), options=search_pb2.SearchOptions(k=40))
        before = stubs.search.Search(request)
        with Collection.open(path) as writer:
            writer.append([ImageRecord(id="new", features=writer.encoder.encode_set(make_set(77)))])
            writer.delete(["set-04"])
        after = stubs.search.Search(request)
    assert after.collection_version == before.collection_version + 2
    changed = {hit.id for hit in before.hits} ^ {hit.id for hit in after.hits}
    assert changed == {"new", "set-04"}
