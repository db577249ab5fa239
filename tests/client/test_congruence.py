"""The same calls in process, over the wire and through asyncio give equal answers, and equal errors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import setwise

Call = Callable[[Any, Path], Any]


def picture(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")


def own_set(client: Any, path: Path) -> setwise.FeatureSet:
    """A feature set that fits the collection, made without asking for one: raw tokens of the network's size."""
    tokens = np.random.default_rng(7).normal(size=(12, 1280)).astype(np.float32)
    return setwise.FeatureSet(tokens, (3, 4), (400, 300), model="")


CALLS: dict[str, Call] = {
    "search by path": lambda c, q: c.search(q),
    "search by string": lambda c, q: c.search(str(q), k=3),
    "search by bytes": lambda c, q: c.search(q.read_bytes(), metadata=False),
    "search by PIL image": lambda c, q: c.search(picture(q), metadata=["words", "no such"]),
    "search by pixels": lambda c, q: c.search(np.asarray(picture(q)), scores=True),
    "search by grey pixels": lambda c, q: c.search(np.asarray(picture(q).convert("L"))),
    "search by id": lambda c, q: c.search(setwise.Id("cat.jpg"), matches=True, scores=True, thumbnails=True),
    "search with everything": lambda c, q: c.search(q, k=4, candidates=9, matches=True, scores=True, thumbnails=True),
    "search by inner product": lambda c, q: c.search(q, kernel="inner_product"),
    "search by rbf": lambda c, q: c.search(q, kernel=setwise.Kernel.RBF),
    "search above a score": lambda c, q: c.search(q, min_score=0.1),
    "search of everything": lambda c, q: c.search(q, k=3, exhaustive=True),
    "search by region": lambda c, q: c.search(q, k=3, region=(0, 0, 200, 200), matches=True, scores=True),
    "search by mask": lambda c, q: c.search(q, k=3, region=np.eye(10, dtype=np.bool_), kernel="cosine"),
    "search by containment": lambda c, q: c.search(q, kernel="containment"),
    "search with proofs": lambda c, q: c.search(q, k=2, proof=True),
    "search that may be partial": lambda c, q: c.search(q, k=3, partial=True, exhaustive=True),
    "search many that may be partial": lambda c, q: c.search_many([q, setwise.Id("cat.jpg")], k=2, partial=True),
    "rerank that may be partial": lambda c, q: c.rerank(q, ["cat.jpg", "brick.jpg"], partial=True),
    "search many by regions": lambda c, q: c.search_many([q, q], k=2, regions=[None, (0, 0, 99, 99)], exhaustive=True),
    "search for more than there is": lambda c, q: c.search(q, k=500),
    "search by name of collection": lambda c, q: c.search(q, collection="photos"),
    "search many": lambda c, q: c.search_many([q, setwise.Id("cat.jpg"), Path("missing.jpg"), b"no image"], k=2),
    "search many of nothing": lambda c, q: c.search_many([]),
    "rerank": lambda c, q: c.rerank(q, ["cat.jpg", "no such", "brick.jpg", "coffee.jpg"], scores=True),
    "rerank for one": lambda c, q: c.rerank(setwise.Id("cat.jpg"), ["cat.jpg", "coffee.jpg"], k=1),
    "rerank by own sets": lambda c, q: c.rerank(q, {"mine": own_set(c, q)}, matches=True),
    "compare": lambda c, q: c.compare(q, setwise.Id("cat.jpg")),
    "rerank by region": lambda c, q: c.rerank(q, ["cat.jpg", "brick.jpg"], region=(0, 210, 300, 420), proof=True),
    "compare regions": lambda c, q: c.compare(
        q, setwise.Id("cat.jpg"), region_a=(0, 0, 300, 210), region_b=(0, 0, 9, 9)
    ),
    "compare by containment": lambda c, q: c.compare(q, setwise.Id("cat.jpg"), kernel="containment"),
    "compare without matches": lambda c, q: c.compare(setwise.Id("brick.jpg"), setwise.Id("cat.jpg"), matches=False),
    "get": lambda c, q: c.get("cat.jpg"),
    "get features": lambda c, q: c.get(setwise.Id("cat.jpg"), features=True, thumbnail=False),
    "list": lambda c, q: c.list(page_size=3),
    "list in pages beyond the limit": lambda c, q: c.list(page_size=10**6),
    "list with thumbnails": lambda c, q: c.list(thumbnails=True),
    "collections": lambda c, q: c.collections(),
    "info": lambda c, q: c.info(),
    "wrong: k beyond the limit": lambda c, q: c.search(q, k=10**6),
    "wrong: fewer candidates than k": lambda c, q: c.search(q, k=9, candidates=3),
    "wrong: candidates of everything": lambda c, q: c.search(q, candidates=100, exhaustive=True),
    "wrong: region outside": lambda c, q: c.search(q, region=(1000, 0, 1001, 10)),
    "wrong: mask of another shape": lambda c, q: c.search(q, region=np.ones((50, 999), np.bool_)),
    "wrong: region of b": lambda c, q: c.compare(q, q, region_b=(1000, 0, 1001, 10)),
    "wrong: no such id": lambda c, q: c.search(setwise.Id("no such")),
    "wrong: no image": lambda c, q: c.search(b"not an image"),
    "wrong: truncated image": lambda c, q: c.search(q.read_bytes()[:500]),
    "wrong: no such collection": lambda c, q: c.search(q, collection="no such"),
    "wrong: another encoder": lambda c, q: c.search(
        setwise.FeatureSet(np.ones((4, 256), np.float32), stage="encoded", encoder="another")
    ),
    "wrong: other dimensions": lambda c, q: c.search(setwise.FeatureSet(np.ones((4, 7), np.float32))),
    "wrong: candidate twice": lambda c, q: c.rerank(q, ["cat.jpg", "cat.jpg"]),
    "wrong: get no such id": lambda c, q: c.get("no such"),
}


def plain(value: Any) -> Any:
    """An answer without timings, thumbnails as bytes, errors as their facts."""
    match value:
        case setwise.SetwiseError():
            return type(value).__name__, value.to_dict() | {"request_id": len(value.request_id)}
        case setwise.Hits() | setwise.Comparison():
            answer = value.to_dict()
            answer.pop("timings")
            for effort in ("pruned", "solved", "stages", "highest_pruned_bound"):  # several threads share a scan
                answer.get("certificate", {}).pop(effort, None)
            return answer, [hit.thumbnail_bytes for hit in value] if isinstance(value, setwise.Hits) else None
        case setwise.Image():
            return value.to_dict(), value.thumbnail_bytes, value.features
        case setwise.ServerInfo():
            return value.to_dict() | {"models": "a directory loads its network with the first picture"}
        case list():
            return [plain(each) for each in value]
        case _:
            return value


def ask(client: setwise.Client, call: Call, query: Path) -> Any:
    try:
        answer = call(client, query)
        return plain(list(answer) if inspect.isgenerator(answer) else answer)
    except setwise.SetwiseError as error:
        return plain(error)


async def ask_async(target: str | Path, calls: dict[str, Call], query: Path) -> dict[str, Any]:
    answers = {}
    async with setwise.AsyncClient(target, timeout=60) as client:
        for name, call in calls.items():
            try:
                answer: Any = call(client, query)
                answer = [each async for each in answer] if inspect.isasyncgen(answer) else await answer
                answers[name] = plain(answer)
            except setwise.SetwiseError as error:
                answers[name] = plain(error)
    return answers


@pytest.fixture(scope="module")
def in_process(local: setwise.Client, collage: Path) -> dict[str, Any]:
    """Every answer of the directory."""
    return {name: ask(local, call, collage) for name, call in CALLS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_in_process_and_over_the_wire(
    name: str, in_process: dict[str, Any], remote: setwise.Client, collage: Path
) -> None:
    assert ask(remote, CALLS[name], collage) == in_process[name]


@pytest.mark.parametrize("where", ["directory", "server"])
def test_asyncio_gives_the_same(
    where: str, in_process: dict[str, Any], collection_path: Path, address: str, collage: Path
) -> None:
    target: str | Path = collection_path if where == "directory" else address
    answers = asyncio.run(ask_async(target, CALLS, collage))
    for name, answer in answers.items():
        assert answer == in_process[name], name


def test_wrong_calls_fail_and_others_do_not(in_process: dict[str, Any]) -> None:
    failed = {name for name, answer in in_process.items() if isinstance(answer, tuple) and answer[0] in dir(setwise)}
    assert failed == {name for name in CALLS if name.startswith("wrong")}


def test_an_image_finds_itself(remote: setwise.Client, photos: list[Path]) -> None:
    outcomes = remote.search_many(photos, k=1)
    for photo, outcome in zip(photos, outcomes, strict=True):
        assert isinstance(outcome, setwise.Hits)
        assert (outcome[0].id, round(outcome[0].score, 12)) == (photo.name, 1.0)


def test_stored_features_are_a_query_like_the_id(remote: setwise.Client) -> None:
    features = remote.get("cat.jpg", features=True).features
    assert features is not None
    by_set, by_id = remote.search(features), remote.search(setwise.Id("cat.jpg"))
    assert by_set == by_id


def test_metadata_comes_back_as_it_was_given(local: setwise.Client) -> None:
    assert local.get("brick.jpg").metadata == {"even": False, "half": 0.5, "number": 1, "words": ["brick", None]}


def test_many_asyncio_calls_at_once(address: str, photos: list[Path]) -> None:
    async def main() -> list[setwise.Hits]:
        async with setwise.connect_async(address, timeout=60) as client:
            return await asyncio.gather(*(client.search(photo, k=1) for photo in photos))

    assert [hits[0].id for hits in asyncio.run(main())] == [photo.name for photo in photos]


def test_a_deadline_is_an_error_of_its_own(remote: setwise.Client, collage: Path) -> None:
    with pytest.raises(setwise.DeadlineExceededError):
        remote.search(collage, timeout=0.002)
