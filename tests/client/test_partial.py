"""Answers in time, when the caller would rather have some of it than an error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import setwise
from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_proto.v1 import search_pb2, server_pb2


def reply(scope: search_pb2.Scope.ValueType, unexamined: int) -> search_pb2.SearchResponse:
    certificate = search_pb2.Certificate(
        scope=scope, collection_size=5000, matching=5000, recalled=800, pruned=500, solved=100, unexamined=unexamined
    )
    hits = [search_pb2.Hit(id="a", score=0.5)]
    return search_pb2.SearchResponse(hits=hits, certificate=certificate)


def test_a_partial_answer_says_so(script: Any) -> None:
    transport = script(server_pb2.GetServerInfoResponse(), reply(search_pb2.SCOPE_PARTIAL, 200))
    with setwise.connect("localhost:1", transport=transport) as client:
        hits = client.search(setwise.Id("a"), partial=True)
    assert hits.partial
    assert (hits.certificate.scope, hits.certificate.unexamined, hits.certificate.examined) == ("partial", 200, 600)
    assert hits.summary().startswith("cosine, partial, exact among 600 of 5,000 images, ")
    assert hits.certificate.sentence().startswith(
        "exact over the 600 of 800 recalled that there was time for, of 5,000 images; 100 solved"
    )
    assert hits.to_dict()["certificate"]["unexamined"] == 200
    assert transport.calls[-1][1].options.allow_partial


def test_a_whole_answer_does_not(script: Any) -> None:
    transport = script(server_pb2.GetServerInfoResponse(), reply(search_pb2.SCOPE_CANDIDATES, 0))
    with setwise.connect("localhost:1", transport=transport) as client:
        hits = client.search(setwise.Id("a"))
    assert not hits.partial
    assert hits.certificate.examined == 800
    assert not transport.calls[-1][1].options.allow_partial


def test_partial_is_a_flag(script: Any) -> None:
    with setwise.connect("localhost:1", transport=script(server_pb2.GetServerInfoResponse())) as client:
        for ask in (client.search, client.rerank):
            with pytest.raises(setwise.InvalidArgumentError, match="partial is 'yes'"):
                ask(setwise.Id("a"), **({"candidates": ["b"]} if ask == client.rerank else {}), partial="yes")  # type: ignore[operator]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 sets of 300 tokens that have nothing in common: no bound rules any out, each must be solved."""
    path = tmp_path_factory.mktemp("large") / "large.setwise"
    encoder = Encoder("", 32, 32, None, None, 1.0, np.eye(32, dtype=np.float32))
    tokens = np.random.default_rng(3).normal(size=(300, 300, 32)).astype(np.float16)
    settings = Settings("", 0, "", encoder.dims, encoder.fingerprint)
    with Collection.create(path, settings, encoder) as collection:
        collection.append(
            [
                ImageRecord(f"set-{number:03}", FeatureSet(each, Stage.ENCODED, encoder=encoder.fingerprint))
                for number, each in enumerate(tokens)
            ]
        )
    return path


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_there_was_time_for_is_exact(large: Path, asynchronous: bool) -> None:
    """However busy the machine is, somewhere between no time and enough the answer is a part of the whole."""
    options: dict[str, Any] = {"k": 300, "exhaustive": True, "partial": True}

    def ask(timeout: float) -> setwise.Hits:
        if not asynchronous:
            with setwise.connect(large) as client:
                return client.search(setwise.Id("set-000"), timeout=timeout, **options)

        async def main() -> setwise.Hits:
            async with setwise.connect_async(large) as client:
                return await client.search(setwise.Id("set-000"), timeout=timeout, **options)

        return asyncio.run(main())

    whole = ask(600.0)
    scores = {hit.id: hit.score for hit in whole}
    assert not whole.partial and len(scores) == 300
    parts = 0
    timeout = 0.01
    while timeout < 60:
        try:
            hits = ask(timeout)
        except setwise.DeadlineExceededError:
            timeout *= 1.25
            continue
        assert {hit.id: hit.score for hit in hits}.items() <= scores.items()
        assert hits.certificate.examined == hits.certificate.pruned + hits.certificate.solved
        if not hits.partial:
            break
        assert hits.certificate.unexamined > 0 and hits.certificate.scope == "partial"
        parts += len(hits) > 0
        timeout *= 1.25
    assert parts
