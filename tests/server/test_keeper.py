"""A server over a root folder follows it: collections and aliases come and go, whoever makes or drops them."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from setwise_engine.collection import Collection
from setwise_proto.v1 import collections_pb2 as pb
from setwise_proto.v1 import images_pb2, search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._root import Root

SOON_S = 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root folder."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def rooted(serving: Callable[..., Any], folder: Path) -> Iterator[Any]:
    """Stubs of a server over it."""
    with serving([], ServerSettings(port=0, device="cpu", root=folder)) as stubs:
        yield stubs


def listed(stubs: Any) -> dict[str, pb.Collection]:
    return {each.name: each for each in stubs.collections.ListCollections(pb.ListCollectionsRequest()).collections}


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it holds within a second."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def best(stubs: Any, collection: str) -> search_pb2.SearchResponse:
    request = search_pb2.SearchRequest(collection=collection, query=types.Query(id="set-03"))
    return stubs.search.Search(request)


def test_what_another_process_makes_and_takes_away_is_followed_within_a_second(rooted, folder, sets_path) -> None:
    copy = Path(shutil.copytree(sets_path, folder / ".copying"))
    copy.rename(folder / "sets.setwise")
    assert soon(lambda: "sets" in listed(rooted))
    assert best(rooted, "sets").hits[0].id == "set-03"
    (folder / "sets.setwise").rename(folder / ".gone")
    assert soon(lambda: not listed(rooted))
    failure = rooted.failure(rooted.collections.GetCollection, pb.GetCollectionRequest(name="sets"))
    assert failure.info.reason == "NOT_FOUND"


def test_another_collection_under_the_same_name_is_opened_anew(rooted, folder: Path, sets_path: Path) -> None:
    shutil.copytree(sets_path, folder / "sets.setwise")
    assert soon(lambda: "sets" in listed(rooted))
    rooted.collections.DropCollection(pb.DropCollectionRequest(name="sets"))
    other = Root(folder)  # as another server of this folder would
    with Collection.open(sets_path, read_only=True) as collection:
        other.create("sets", collection.settings, collection.encoder)
    assert soon(lambda: "sets" in listed(rooted))
    assert listed(rooted)["sets"].images == 0
    other.drop("sets")
    shutil.copytree(sets_path, folder / "sets.setwise")
    assert soon(lambda: "sets" in listed(rooted) and listed(rooted)["sets"].images == 30)


def test_one_that_cannot_be_opened_is_reported_and_the_rest_serve(rooted, folder: Path, sets_path: Path) -> None:
    for name in ("bad", "good"):
        shutil.copytree(sets_path, folder / f"{name}.setwise")
    shutil.copyfile(sets_path / "encoder.safetensors", folder / "whole")
    (folder / "bad.setwise" / "encoder.safetensors").write_bytes(b"damaged")
    assert soon(lambda: sorted(listed(rooted)) == ["bad", "good"])
    assert soon(lambda: listed(rooted)["bad"].state == pb.COLLECTION_STATE_FAILED)
    assert "encoder.safetensors" in listed(rooted)["bad"].problem
    assert best(rooted, "good").hits[0].id == "set-03"
    failure = rooted.failure(
        rooted.search.Search, search_pb2.SearchRequest(collection="bad", query=types.Query(id="set-03"))
    )
    assert "encoder.safetensors" in failure.status.message
    (folder / "whole").rename(folder / "bad.setwise" / "encoder.safetensors")
    assert soon(lambda: listed(rooted)["bad"].state == pb.COLLECTION_STATE_READY)


def test_an_alias_moves_for_all_callers_in_one_step(rooted, folder: Path, sets_path: Path) -> None:
    for name in ("old", "new"):
        shutil.copytree(sets_path, folder / f"{name}.setwise")
    with Collection.open(folder / "new.setwise") as collection:
        collection.delete(["set-09"])
    assert soon(lambda: len(listed(rooted)) == 2)
    aliases = rooted.collections
    assert aliases.SetAlias(pb.SetAliasRequest(alias="sets", collection="old")).previous == ""
    seen: list[int] = []
    stopped = threading.Event()

    def ask() -> None:
        while not stopped.is_set():
            seen.append(best(rooted, "sets").certificate.collection_size)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        while len(seen) < 3:
            time.sleep(0.01)
        assert aliases.SetAlias(pb.SetAliasRequest(alias="sets", collection="new")).previous == "old"
        moved = len(seen)
        while len(seen) < moved + 3:
            time.sleep(0.01)
    finally:
        stopped.set()
        asking.join()
    assert sorted(seen, reverse=True) == seen  # 30 until it moved, 29 ever after
    assert {seen[0], seen[-1]} == {30, 29}
    assert list(listed(rooted)["new"].aliases) == ["sets"]
    told = aliases.ListAliases(pb.ListAliasesRequest()).aliases
    assert [(each.alias, each.collection) for each in told] == [("sets", "new")]
    aliases.DeleteAlias(pb.DeleteAliasRequest(alias="sets"))
    assert not aliases.ListAliases(pb.ListAliasesRequest()).aliases


def test_an_alias_of_another_process_is_followed_and_a_damaged_file_changes_nothing(rooted, folder, sets_path) -> None:
    shutil.copytree(sets_path, folder / "real.setwise")
    Root(folder).set_alias("sets", "real")
    assert soon(lambda: "real" in listed(rooted) and list(listed(rooted)["real"].aliases) == ["sets"])
    assert best(rooted, "sets").hits[0].id == "set-03"
    (folder / "aliases.json").write_text("damaged")
    time.sleep(SOON_S)
    assert best(rooted, "sets").hits[0].id == "set-03"
    (folder / "aliases.json").write_text(json.dumps({"version": 1, "aliases": {"sets": "gone"}}))
    assert soon(lambda: not listed(rooted)["real"].aliases)
    failure = rooted.failure(
        rooted.search.Search, search_pb2.SearchRequest(collection="sets", query=types.Query(id="set-03"))
    )
    assert '"gone"' in failure.status.message


def test_a_search_that_runs_when_its_collection_is_dropped_ends_well(rooted, folder, sets_path, gate) -> None:
    shutil.copytree(sets_path, folder / "sets.setwise")
    assert soon(lambda: "sets" in listed(rooted))
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(best(rooted, "sets").hits[0].id)
        except grpc.RpcError as error:
            answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert gate.entered.acquire(timeout=5)
    rooted.collections.DropCollection(pb.DropCollectionRequest(name="sets"))
    gate.opened.set()
    asking.join()
    (answer,) = answers
    assert answer == "set-03" or answer.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_what_another_server_drops_while_it_is_written_to_is_not_found_and_no_fault_of_ours(
    rooted, folder: Path, sets_path: Path, caplog
) -> None:
    shutil.copytree(sets_path, folder / "sets.setwise")
    assert soon(lambda: "sets" in listed(rooted))
    changes = [images_pb2.MetadataChange(id="set-03")]
    told: list[str] = []

    def write() -> None:
        number = 0
        while not told:
            number += 1
            changes[0].set["number"].int_value = number
            request = images_pb2.UpdateMetadataRequest(collection="sets", changes=changes)
            try:
                rooted.images.UpdateMetadata(request)
            except grpc.RpcError as error:
                told.append(error.code().name)

    with caplog.at_level("INFO", "setwise.server"):
        writing = threading.Thread(target=write)
        writing.start()
        time.sleep(0.2)
        Root(folder).drop("sets")  # as another server of this folder would
        writing.join()
    assert told == ["NOT_FOUND"]
    assert not [record for record in caplog.records if record.exc_info]
