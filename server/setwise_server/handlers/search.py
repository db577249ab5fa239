"""SearchService: search, rerank and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setwise_engine.errors import CancelledError, DeadlineError, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.search import Answer, Options
from setwise_proto.v1 import search_pb2 as pb
from setwise_server import convert
from setwise_server._call import Call
from setwise_server._errors import LimitError, at
from setwise_server._regions import regions_at
from setwise_server._registry import Entry, Registry
from setwise_server._status import item_error
from setwise_server._tensors import features_from_proto, features_to_proto
from setwise_server.handlers._queries import Queries, Resolved, encode_set
from setwise_server.settings import Limits

__all__ = ["SearchHandlers"]

EXPLAINING_S = 2e-7
"""About the seconds that the matches or the proof of a hit take for each pair of its tokens and the query's."""


class SearchHandlers:
    """Each method takes a request and its Call and gives the response, or raises."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits
        self._queries = Queries(registry, limits)

    def search(self, request: pb.SearchRequest, call: Call) -> pb.SearchResponse:
        """The k most similar images of a collection."""
        entry = self._registry.get(request.collection)
        options = convert.options_from_proto(request.options, self._limits)
        (query,) = self._queries.resolve(entry, [("query", request.query)], call)
        return _search(entry, query, _in_time(options, request.options, query, call), call)

    def search_batch(self, request: pb.SearchBatchRequest, call: Call) -> pb.SearchBatchResponse:
        """Several searches; one forward pass for all their images, one item for each, error or answer."""
        entry = self._registry.get(request.collection)
        options = convert.options_from_proto(request.options, self._limits)
        allowed = self._limits.max_batch
        if len(request.queries) > allowed:
            message = f"{len(request.queries)} queries in one batch; this server takes at most {allowed}"
            raise LimitError(message, field="queries", limit="max_batch", allowed=allowed)
        queries = [(f"queries[{i}]", query) for i, query in enumerate(request.queries)]
        resolved = self._queries.resolve(entry, queries, call)
        items = (
            _item(entry, query, _in_time(options, request.options, query, call, len(resolved) - i), call)
            for i, query in enumerate(resolved)
        )
        return pb.SearchBatchResponse(items=items)

    def rerank(self, request: pb.RerankRequest, call: Call) -> pb.RerankResponse:
        """Exact scores of the caller's own candidates."""
        entry = self._registry.get(request.collection)
        count = len(request.ids) + len(request.candidates)
        _check_count(request, count, self._limits)
        options = convert.options_from_proto(request.options, self._limits, default_k=max(1, count))
        (query,) = self._queries.resolve(entry, [("query", request.query)], call)
        features = query.value()
        sets = _candidate_sets(entry, request.candidates, self._limits, call)
        options = _in_time(options, request.options, query, call)
        with regions_at({"region": "query.region"}):
            answer = entry.searcher.rerank(features, request.ids, sets, options, call, region=query.region)
        _recorded(query, answer, call)
        return pb.RerankResponse(
            hits=_hits(answer, features, call),
            certificate=convert.certificate_to_proto(answer),
            timings=_timings(query, answer, call),
            missing_ids=answer.missing,
            collection_version=answer.version,
            kernel=convert.kernel_to_proto(answer.kernel),
            query_features=features_to_proto(features) if options.proofs else None,
            warnings=answer.warnings,
        )

    def compare(self, request: pb.CompareRequest, call: Call) -> pb.CompareResponse:
        """Every score of one pair."""
        entry = self._registry.get(request.collection)
        kernel = convert.kernel_from_proto(request.kernel)
        a, b = self._queries.resolve(entry, [("a", request.a), ("b", request.b)], call)
        left, right = a.value(), b.value()
        call.check()
        before = call.elapsed_ms()
        with regions_at({"region_a": "a.region", "region_b": "b.region"}):
            match = entry.searcher.compare(left, right, call, kernel=kernel, region_a=a.region, region_b=b.region)
        timings = pb.Timings(
            decode_ms=(a.decode_s + b.decode_s) * 1000,
            extract_ms=(a.extract_s + b.extract_s) * 1000,
            encode_ms=(a.encode_s + b.encode_s) * 1000,
            rerank_ms=call.elapsed_ms() - before,
        )
        matches = convert.match_to_proto(match, left, right.grid, right.image_size) if request.include_matches else None
        for query in (a, b):
            _record_query(query, call)
        call.record.add("rerank", timings.rerank_ms / 1000)
        timings.total_ms = call.elapsed_ms()
        return pb.CompareResponse(scores=convert.scores_to_proto(match.scores), matches=matches, timings=timings)


def _in_time(options: Options, asked: pb.SearchOptions, query: Resolved, call: Call, searches: int = 1) -> Options:
    """The options of the first of so many searches, which share the time that is left when partial answers will do."""
    if not asked.allow_partial:
        return options
    tokens = len(query.features) if query.features is not None else 0
    explanations = options.k * ((options.matches or options.scores) + options.proofs)
    return replace(options, answer_by=call.answer_by(searches, explanations * tokens**2 * EXPLAINING_S))


def _search(entry: Entry, query: Resolved, options: Options, call: Call) -> pb.SearchResponse:
    features = query.value()
    call.check()
    with regions_at({"region": f"{query.path}.region"}):
        if query.stored is None:
            answer = entry.searcher.search(features, options, call, region=query.region)
        else:
            answer = entry.searcher.search_id(query.stored, options, call, region=query.region)
    _recorded(query, answer, call)
    return pb.SearchResponse(
        hits=_hits(answer, features, call),
        certificate=convert.certificate_to_proto(answer),
        timings=_timings(query, answer, call),
        collection_version=answer.version,
        kernel=convert.kernel_to_proto(answer.kernel),
        query_features=features_to_proto(features) if options.proofs else None,
        warnings=answer.warnings,
    )


def _hits(answer: Answer, query: FeatureSet, call: Call) -> list[pb.Hit]:
    hits = []
    for hit in answer.hits:
        call.check()
        hits.append(convert.hit_to_proto(hit, query, answer))
    return hits


def _item(entry: Entry, query: Resolved, options: Options, call: Call) -> pb.SearchBatchItem:
    """One query's answer, or its error; only a caller who is gone ends the whole batch."""
    try:
        return pb.SearchBatchItem(response=_search(entry, query, options, call))
    except (DeadlineError, CancelledError):
        raise
    except Exception as error:  # told as this item's status, and logged there when it is a fault of ours
        return pb.SearchBatchItem(error=item_error(error))


def _record_query(query: Resolved, call: Call) -> None:
    for stage in ("queue", "decode", "extract", "encode"):
        call.record.add(stage, getattr(query, f"{stage}_s"))


def _recorded(query: Resolved, answer: Answer, call: Call) -> None:
    _record_query(query, call)
    call.record.searched(answer)


def _timings(query: Resolved, answer: Answer, call: Call) -> pb.Timings:
    timings = query.timings()
    timings.recall_ms = answer.recall_s * 1000
    timings.rerank_ms = answer.rerank_s * 1000
    timings.fetch_ms = answer.fetch_s * 1000
    timings.total_ms = call.elapsed_ms()
    return timings


def _check_count(request: pb.RerankRequest, count: int, limits: Limits) -> None:
    if request.options.HasField("candidates"):
        raise InvalidInput(
            "a rerank scores exactly the given candidates; leave options.candidates out", field="options.candidates"
        )
    if request.options.HasField("where"):
        raise InvalidInput(
            "a rerank scores exactly the given candidates; leave options.where out", field="options.where"
        )
    if request.options.exhaustive:
        raise InvalidInput(
            "a rerank scores exactly the given candidates; leave options.exhaustive out", field="options.exhaustive"
        )
    if count > limits.max_candidates:
        message = f"{count} candidates to rerank; this server takes at most {limits.max_candidates}"
        raise LimitError(message, field="candidates", limit="max_candidates", allowed=limits.max_candidates)


def _candidate_sets(
    entry: Entry, candidates: Sequence[pb.Candidate], limits: Limits, call: Call
) -> list[tuple[str, FeatureSet]]:
    sets = []
    for i, candidate in enumerate(candidates):
        call.check()
        with at(f"candidates[{i}].features"):
            features, _ = encode_set(entry, features_from_proto(candidate.features, limits))
        sets.append((candidate.id, features))
    return sets
