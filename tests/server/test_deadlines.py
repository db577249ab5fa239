"""A call whose time is up, or whose caller has gone, leaves its worker to others in the middle of a long ranking.

How soon one matching stops is held by tests/matching/test_stopping.py.
"""

from __future__ import annotations

from collections.abc import Callable

import grpc
import numpy as np
import pytest

from setwise_engine.feature_set import FeatureSet
from setwise_proto.v1 import search_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._tensors import features_to_proto

SOON_S = 10.0  # the whole ranking takes minutes


@pytest.fixture
def single(serving, sets_path):
    """A server with one worker."""
    with serving([sets_path], ServerSettings(port=0, device="cpu", workers=1)) as stubs:
        yield stubs


@pytest.fixture
def large(make_set) -> Callable[[int], types.FeatureSet]:
    """`large(seed)`: a set as large as a server takes, whose matching with another takes long."""

    def large(seed: int) -> types.FeatureSet:
        plain = make_set(0)
        tokens = np.random.default_rng(seed).standard_normal((4096, plain.dims)).astype(np.float16)
        return features_to_proto(FeatureSet(tokens, plain.stage, "", plain.encoder))

    return large


def _small(make_set) -> pb.SearchRequest:
    return pb.SearchRequest(collection="sets", query=types.Query(features=features_to_proto(make_set(7))))


def _rerank(large) -> pb.RerankRequest:
    candidates = [pb.Candidate(id=f"{i}", features=large(i)) for i in range(100)]
    return pb.RerankRequest(
        collection="sets",
        query=types.Query(features=large(1000)),
        candidates=candidates,
        options=pb.SearchOptions(kernel=types.KERNEL_CONTAINMENT),
    )


def test_a_passed_deadline_frees_the_worker_in_the_middle_of_a_ranking(single, make_set, large) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        single.search.Rerank(_rerank(large), timeout=0.7)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert single.search.Search(_small(make_set), timeout=SOON_S).hits


def test_a_caller_who_goes_frees_the_worker_in_the_middle_of_a_ranking(single, make_set, large) -> None:
    call = single.search.Rerank.future(_rerank(large))
    with pytest.raises(grpc.FutureTimeoutError):
        call.result(timeout=0.7)
    call.cancel()
    assert single.search.Search(_small(make_set), timeout=SOON_S).hits
