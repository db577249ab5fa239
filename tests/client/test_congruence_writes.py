"""The same writes in process, over the wire and through asyncio have the same outcomes, and leave the same behind."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import setwise
from setwise import F

Call = Callable[[Any], Any]

_SOME_ID = re.compile(r'"request_id": "\w{16}"')


def item(name: str, seed: int = 0, dims: int = 8, **metadata: Any) -> setwise.Item:
    tokens = np.random.default_rng(seed).normal(size=(6, dims)).astype(np.float16)
    return setwise.Item(name, setwise.FeatureSet(tokens, (2, 3), stage="raw"), metadata)


# In this order: each finds what those before it left behind.
CALLS: dict[str, Call] = {
    "count": lambda c: c.count(),
    "count where": lambda c: c.count(where=F("number") >= 6),
    "count by text": lambda c: c.count(where='kind == "odd" and (tags contains "t1" or not tags exists)'),
    "list where": lambda c: c.list(where=~F("tags").exists()),
    "list in pages": lambda c: c.list(where="number not in [2, 3]", page_size=4),
    "search where": lambda c: c.search(setwise.Id("set-03"), where=F("kind") == "even", k=3),
    "search where nothing": lambda c: c.search(setwise.Id("set-03"), where="false"),
    "search grouped": lambda c: c.search(setwise.Id("set-03"), group_by="kind", group_size=2),
    "search many where": lambda c: c.search_many([setwise.Id("set-03"), setwise.Id("set-04")], where="number < 5", k=2),
    "upsert": lambda c: c.upsert([item("new", 1, year=2020), item("set-03", 2, year=2021)]),
    "upsert again": lambda c: c.upsert([item("new", 1, year=2020), item("set-03", 2, year=2022)]),
    "upsert without metadata": lambda c: c.upsert([("new", item("new", 8).image), ("fresh", item("fresh", 9).image)]),
    "metadata that stayed": lambda c: c.get("new"),
    "metadata of a new one": lambda c: c.get("fresh"),
    "the same id often": lambda c: c.upsert(item("often", seed, n=seed) for seed in range(30)),
    "insert": lambda c: c.upsert([item("new", 1), item("newer", 3)], mode="insert", on_error="collect"),
    "update by upsert": lambda c: c.upsert([item("absent", 1), item("newer", 4)], mode="update", on_error="collect"),
    "upsert with faults": lambda c: c.upsert(
        [item("a", 5), ("b", b"no image"), item("c", dims=3), item("", 1), item("d", 6)], on_error="collect"
    ),
    "wrong: the first fault": lambda c: c.upsert([item("e", 7), item("c", dims=3)]),
    "update": lambda c: c.update("new", {"year": 2023, "tags": ["x"]}),
    "update again": lambda c: c.update("new", {"year": 2023}),
    "update by removing": lambda c: c.update("new", {}, remove=["year"]),
    "update by replacing": lambda c: c.update("new", {"only": None}, replace=True),
    "update many": lambda c: c.update_many({"new": {"n": 1}, "absent": {"n": 1}}, on_error="collect"),
    "get": lambda c: c.get("new", features=True),
    "delete": lambda c: c.delete(["set-00", "absent"]),
    "delete one": lambda c: c.delete("set-01"),
    "delete where": lambda c: c.delete(where=F("number") > 8),
    "delete nothing": lambda c: c.delete([]),
    "compact": lambda c: c.compact(everything=True),
    "list": lambda c: c.list(),
    "wrong: update of nothing": lambda c: c.update("absent", {"a": 1}),
    "wrong: both": lambda c: c.delete("a", where="true"),
    "wrong: text": lambda c: c.search(setwise.Id("new"), where="year >="),
    "wrong: group of nothing": lambda c: c.search(setwise.Id("new"), group_size=2),
    "wrong: too many terms": lambda c: c.count(where=F("a").in_(range(20_000))),
    "wrong: metadata": lambda c: c.update("new", {"n": float("inf")}),
    "wrong: long id": lambda c: c.upsert([item("x" * 1001)]),
    "wrong: no such collection": lambda c: c.upsert([item("x")], collection="absent"),
    "delete everything": lambda c: c.delete(where="true"),
    "count of nothing": lambda c: c.count(),
}


def plain(value: Any) -> Any:
    """An answer without what time and chance decide: which commits shared a version, and how long it took."""
    match value:
        case setwise.SetwiseError():
            return type(value).__name__, value.to_dict() | {"request_id": len(value.request_id)}
        case setwise.Hits():
            return [hit.to_dict() for hit in value], value.certificate
        case setwise.Image():
            return value.to_dict(), value.features
        case setwise.CompactionReport():
            return value.segments_after, value.collection.images, value.collection.dead_images
        case setwise.UpsertReport() | setwise.UpdateReport() | setwise.DeleteReport():
            # Sentences name the collection, which is called "more" where asyncio asks the server.
            told = json.dumps(value.to_dict()).replace('\\"more\\"', '\\"sets\\"')
            facts = json.loads(_SOME_ID.sub('"request_id": "some"', told))
            return {name: facts[name] for name in facts if name not in ("version", "seconds")}
        case _:
            return [plain(each) for each in value] if isinstance(value, list) else value


def run(client: setwise.Client) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for name, call in CALLS.items():
        try:
            answer = call(client)
            answers[name] = plain(list(answer) if inspect.isgenerator(answer) else answer)
        except setwise.SetwiseError as error:
            answers[name] = plain(error)
    return answers


async def run_async(target: str | Path, collection: str | None) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    async with setwise.AsyncClient(target, collection=collection, timeout=60) as client:
        for name, call in CALLS.items():
            try:
                answer: Any = call(client)
                answer = [each async for each in answer] if inspect.isasyncgen(answer) else await answer
                answers[name] = plain(answer)
            except setwise.SetwiseError as error:
                answers[name] = plain(error)
    return answers


@pytest.fixture(scope="module")
def in_process(sets_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every answer of a directory."""
    path = tmp_path_factory.mktemp("sync") / "sets.setwise"
    shutil.copytree(sets_path, path)
    with setwise.connect(path, timeout=60) as client:
        return run(client)


@pytest.fixture(scope="module")
def elsewhere(sets_path: Path, rooted: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every answer of a server, and of both through asyncio."""
    path = tmp_path_factory.mktemp("async") / "sets.setwise"
    shutil.copytree(sets_path, path)
    with setwise.connect(rooted, collection="sets", timeout=60) as client:
        wire = run(client)
    return {
        "over the wire": wire,
        "asyncio, in process": asyncio.run(run_async(path, None)),
        "asyncio, over the wire": asyncio.run(run_async(rooted, "more")),
    }


@pytest.mark.parametrize("where", ["over the wire", "asyncio, in process", "asyncio, over the wire"])
@pytest.mark.parametrize("name", CALLS)
def test_same_answers(name: str, where: str, in_process: dict[str, Any], elsewhere: dict[str, dict[str, Any]]) -> None:
    expected, found = in_process[name], elsewhere[where][name]
    if name == "wrong: no such collection":  # the sentence lists what the server holds
        expected, found = expected[0], found[0]
    assert found == expected


def test_the_answers_are_those_that_are_meant(in_process: dict[str, Any]) -> None:
    wrong = {name for name, answer in in_process.items() if isinstance(answer, tuple) and "Error" in str(answer[0])}
    assert wrong == {name for name in CALLS if name.startswith("wrong")}
    assert (in_process["count"], in_process["count where"], in_process["count by text"]) == (12, 6, 3)
    assert [image["id"] for image, _ in in_process["list where"]] == ["set-11"]
    assert [hit["metadata"]["kind"] for hit in in_process["search where"][0]] == ["even"] * 3
    assert [hit["group"] for hit in in_process["search grouped"][0]].count("odd") == 2
    assert (in_process["upsert"]["inserted"], in_process["upsert"]["replaced"]) == (1, 1)
    assert (in_process["upsert again"]["unchanged"], in_process["upsert again"]["updated"]) == (1, 1)
    assert (in_process["the same id often"]["inserted"], in_process["the same id often"]["replaced"]) == (1, 29)
    assert [failure["error"]["code"] for failure in in_process["insert"]["errors"]] == ["ALREADY_EXISTS"]
    assert [failure["error"]["code"] for failure in in_process["update by upsert"]["errors"]] == ["NOT_FOUND"]
    assert [failure["id"] for failure in in_process["upsert with faults"]["errors"]] == ["b", "c", ""]
    assert in_process["delete"] == {"deleted": 1, "missing": ["absent"]}
    assert in_process["get"][0]["metadata"] == {"only": None, "n": 1}
    assert in_process["count of nothing"] == 0


def test_an_image_that_comes_without_metadata_keeps_its_own(in_process: dict[str, Any]) -> None:
    assert in_process["upsert without metadata"]["replaced"] == in_process["upsert without metadata"]["inserted"] == 1
    assert in_process["metadata that stayed"][0]["metadata"] == {"year": 2020}
    assert in_process["metadata of a new one"][0]["metadata"] == {}
