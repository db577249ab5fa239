"""Partial answers over the wire: near the deadline, what was examined by then, marked as such."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from setwise_engine.feature_set import FeatureSet
from setwise_proto.v1 import search_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server._call import Call
from setwise_server._tensors import features_to_proto

SETS, TOKENS = 40, 2500


def _query(make_set, seed: int = 7) -> types.Query:
    return types.Query(features=features_to_proto(make_set(seed)))


def _long(make_set) -> pb.RerankRequest:
    """Reranks that take seconds: large sets that are all alike, so that no bound rules any of them out."""
    rng = np.random.default_rng(0)
    d = make_set(0).dims

    def tokens() -> types.FeatureSet:
        features = make_set(0)
        large = FeatureSet(rng.standard_normal((TOKENS, d)).astype(np.float16), features.stage, "", features.encoder)
        return features_to_proto(large)

    candidates = [pb.Candidate(id=f"{i}", features=tokens()) for i in range(SETS)]
    return pb.RerankRequest(collection="sets", query=types.Query(features=tokens()), candidates=candidates)


def test_when_the_time_runs_out_the_best_so_far_come_back(server, make_set) -> None:
    request = _long(make_set)
    request.options.allow_partial = True
    for timeout in (0.6, 1.2, 2.4):  # a busy machine may need more to answer at all
        try:
            response = server.search.Rerank(request, timeout=timeout)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            continue
        break
    certificate = response.certificate
    assert certificate.scope == pb.SCOPE_PARTIAL
    assert certificate.recalled == SETS
    assert 0 < certificate.unexamined < SETS
    assert certificate.pruned + certificate.solved + certificate.unexamined == SETS
    assert len(response.hits) == certificate.solved
    assert {int(hit.id) for hit in response.hits} <= set(range(SETS - certificate.unexamined))
    assert "the time ran out" in response.warnings[0]


def test_without_a_deadline_or_with_time_enough_the_answer_is_whole(server, make_set) -> None:
    request = pb.SearchRequest(collection="sets", query=_query(make_set), options=pb.SearchOptions(allow_partial=True))
    for timeout in (None, 60):
        certificate = server.search.Search(request, timeout=timeout).certificate
        assert (certificate.scope, certificate.unexamined) == (pb.SCOPE_COLLECTION, 0)


def test_who_does_not_ask_for_it_gets_no_partial_answer(server, make_set, monkeypatch) -> None:
    monkeypatch.setattr(Call, "answer_by", lambda call, searches=1, explaining=0.0: 0.0)
    request = pb.SearchRequest(collection="sets", query=_query(make_set))
    assert server.search.Search(request, timeout=60).certificate.scope == pb.SCOPE_COLLECTION
    request.options.allow_partial = True
    assert server.search.Search(request, timeout=60).certificate.scope == pb.SCOPE_PARTIAL


def test_the_queries_of_a_batch_share_the_time(server, make_set, monkeypatch) -> None:
    shares = []
    monkeypatch.setattr(Call, "answer_by", lambda call, searches=1, explaining=0.0: shares.append(searches))
    queries = [_query(make_set, seed) for seed in range(3)]
    options = pb.SearchOptions(allow_partial=True)
    server.search.SearchBatch(pb.SearchBatchRequest(collection="sets", queries=queries, options=options))
    assert shares == [3, 2, 1]


@pytest.mark.parametrize(("timeout", "margin"), [(0.1, 0.03), (2.0, 0.2), (60.0, 0.5)])
def test_some_time_is_kept_for_the_way_back(timeout: float, margin: float, monkeypatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 100.0)
    call = Call(timeout)
    assert call.answer_by() == pytest.approx(100 + timeout - margin)
    assert call.answer_by(4) == pytest.approx(100 + (timeout - margin) / 4)
    assert call.answer_by(explaining=0.01) == pytest.approx(100 + timeout - margin - 0.01)
    assert call.answer_by(explaining=1000) == pytest.approx(100 + (timeout - margin) / 2)
    assert Call().answer_by() is None
    monkeypatch.setattr("time.perf_counter", lambda: 200.0)
    assert call.answer_by() == 200.0
