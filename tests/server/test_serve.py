"""The real `setwise serve`: what it says, how it stops, and what it will not start with."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from setwise._cli import main
from setwise_engine.collection import Collection, ImageRecord
from setwise_proto.v1 import collections_pb2, collections_pb2_grpc, search_pb2, search_pb2_grpc
from setwise_proto.v1 import types_pb2 as types

START = "import sys; from setwise._cli import main; sys.exit(main())"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_answers_and_stops_with_zero_when_told(sets_path, number: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-c", START, "serve", str(sets_path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
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
        assert f"told to stop by {number.name}" in errors
        assert "stopped" in errors.splitlines()[-1]
    finally:
        process.kill()
        process.communicate()


def test_a_folder_is_served_before_it_has_collections(sets_path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", START, "serve", "--root", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline().strip()
        assert line.startswith("serving 0 collections on 127.0.0.1:")
        with grpc.insecure_channel(line.rpartition(" ")[2]) as channel:
            stub = collections_pb2_grpc.CollectionServiceStub(channel)
            stub.CreateCollection(collections_pb2.CreateCollectionRequest(name="sets", features=True, dims=4))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "Traceback" not in errors
        assert (tmp_path / "sets.setwise" / "catalog.sqlite").exists()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def refused(capsys):
    """What a server that must not start says."""

    def refused(*arguments: str | Path) -> str:
        assert main(["serve", *map(str, arguments)]) == 1
        captured = capsys.readouterr()
        assert not captured.out
        return captured.err.strip().splitlines()[-1]

    return refused


def test_a_port_in_use_is_named_even_when_the_other_is_a_server_of_ours(server, sets_path, refused) -> None:
    said = refused(sets_path, "--port", server.address.rpartition(":")[2])
    assert f"{server.address} is in use" in said
    assert "--port 0" in said


def test_two_collections_of_one_name_are_refused_naming_both(tmp_path: Path, refused) -> None:
    a, b = tmp_path / "a" / "x.setwise", tmp_path / "b" / "x.setwise"
    said = refused(a, b, "--port", "0")
    assert str(a) in said
    assert str(b) in said


def test_a_collection_that_is_not_there_is_named(tmp_path: Path, refused) -> None:
    assert str(tmp_path / "gone.setwise") in refused(tmp_path / "gone.setwise", "--port", "0")


def test_either_collections_or_their_folder(sets_path, tmp_path: Path, refused) -> None:
    assert "--root" in refused("--port", "0")
    assert "--root" in refused(sets_path, "--root", tmp_path, "--port", "0")
    assert str(tmp_path / "gone") in refused("--root", tmp_path / "gone", "--port", "0")


def test_a_catalog_that_is_not_ours_is_refused(tmp_path: Path, refused) -> None:
    folder = tmp_path / "x.setwise"
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"not a catalog at all" * 100)
    assert str(folder) in refused(folder, "--port", "0")


def test_a_collection_with_a_damaged_part_is_refused(sets_path, tmp_path: Path, refused) -> None:
    folder = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    (folder / "encoder.safetensors").write_bytes(b"damaged")
    assert "encoder.safetensors" in refused(folder, "--port", "0")


@pytest.mark.parametrize(("option", "value"), [("--port", "70000"), ("--workers", "0"), ("--max-queue", "-1")])
def test_a_number_out_of_range_is_named_by_its_option(sets_path, refused, option: str, value: str) -> None:
    said = refused(sets_path, option, value)
    assert option.strip("-") in said
    assert value in said


@pytest.mark.parametrize("model", ["nosuch", "nosuch@96", "timm"])
def test_a_network_that_does_not_exist_is_told_to_whoever_offers_it(tmp_path: Path, refused, model: str) -> None:
    assert f"no model '{model.partition('@')[0]}'" in refused("--root", tmp_path, "--model", model, "--port", "0")


def test_weights_need_a_model_and_a_file(tmp_path: Path, capsys) -> None:
    assert main(["serve", str(tmp_path), "--weights", "nonsense"]) == 2
    assert '"nonsense" is not MODEL=FILE' in capsys.readouterr().err


def test_a_version_published_by_another_writer_is_served_at_once(sets_path, serving, make_set, tmp_path: Path) -> None:
    path = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    with serving([path]) as stubs:
        request = search_pb2.SearchRequest(query=types.Query(id="set-03"), options=search_pb2.SearchOptions(k=40))
        before = stubs.search.Search(request)
        with Collection.open(path) as writer:
            writer.append([ImageRecord(id="new", features=writer.encoder.encode_set(make_set(77)))])
            writer.delete(["set-04"])
        after = stubs.search.Search(request)
    assert after.collection_version == before.collection_version + 2
    assert {hit.id for hit in before.hits} ^ {hit.id for hit in after.hits} == {"new", "set-04"}
