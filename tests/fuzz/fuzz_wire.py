"""Targets on the wire: messages, tensors, regions, filters, metadata, page tokens, request ids."""

from __future__ import annotations

import re
import secrets
import shutil
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from fuzz_grammar import message_grammar
from fuzz_target import Ready, Target
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from workload import created, record, tiny_encoder

from setwise_engine.collection import Collection, check_metadata
from setwise_engine.collection._metadata import read_metadata
from setwise_engine.errors import InvalidInput
from setwise_engine.filters import evaluate, matches
from setwise_engine.search import comparable
from setwise_proto.v1 import collections_pb2, filters_pb2, images_pb2, search_pb2, server_pb2, types_pb2

__all__ = ["METADATA", "TARGETS", "requests"]

Wheres = list[filters_pb2.Filter]

METADATA = [
    {"year": 2020, "camera": "front", "tags": ["a", 1, None], "no": None, "half": 0.5, "ok": True},
    {"year": -(2**63), "camera": "Ü", "tags": [], "half": 2**63 - 1, "ok": 1},
    {"year": 2019.5, "camera": "", "a": "\U0001f600"},
    {},
]
FAULTS = {2, 13, 15}  # UNKNOWN, INTERNAL, DATA_LOSS
ALL_PATHS = {
    f"/{service.full_name}/{rpc.name}": rpc
    for module in (collections_pb2, images_pb2, search_pb2, server_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for rpc in service.methods
}
PATHS = sorted(ALL_PATHS)
REQUESTS = {path: GetMessageClass(rpc.input_type) for path, rpc in ALL_PATHS.items()}


@cache
def _sample() -> types_pb2.FeatureSet:
    from setwise_server._tensors import features_to_proto

    return features_to_proto(record("", 4).features)


def _value(value: object) -> types_pb2.Value:
    from setwise_server.convert import metadata_to_proto

    return metadata_to_proto({"x": value})["x"]  # type: ignore[dict-item]


def wheres() -> Wheres:
    """Filters of every kind."""
    pb = filters_pb2
    leaves = [
        pb.Filter(equals=pb.Equals(field="year", value=_value(2020))),
        pb.Filter(any_of=pb.AnyOf(field="camera", values=[_value("front"), _value(None), _value(True)])),
        pb.Filter(range=pb.Range(field="half", ge=_value(0.5), lt=_value(2**62))),
        pb.Filter(exists=pb.Exists(field="no")),
        pb.Filter(contains=pb.Contains(field="tags", value=_value("a"))),
    ]
    joined = pb.Filter(every=pb.FilterList(filters=leaves))
    return [*leaves, joined, pb.Filter(negation=pb.Filter(some=pb.FilterList(filters=[joined, *leaves])))]


def requests() -> list[tuple[str, Message]]:
    """At least one real request for every rpc, by its path."""
    query = types_pb2.Query(features=_sample())
    by_id = types_pb2.Query(id="a")
    by_id.region.box.right = by_id.region.box.bottom = 100.0
    by_set = types_pb2.Query(features=_sample())
    by_set.region.mask.rows, by_set.region.mask.columns, by_set.region.mask.bits = 2, 2, b"\xc0"
    options = search_pb2.SearchOptions(k=3, include_scores=True, include_matches=True, include_proof=True)
    options.where.CopyFrom(wheres()[-1])
    options.metadata.all = True
    item = images_pb2.ImageInput(id="new", features=_sample(), metadata={"year": _value(7), "l": _value([1, "x"])})
    change = images_pb2.MetadataChange(id="a", set={"year": _value(1)}, remove=["ok"])
    known: dict[str, list[Message]] = {
        "Search": [
            search_pb2.SearchRequest(collection="c", query=one, options=options) for one in (query, by_id, by_set)
        ],
        "SearchBatch": [search_pb2.SearchBatchRequest(collection="c", queries=[query, by_id], options=options)],
        "Rerank": [search_pb2.RerankRequest(collection="c", query=query, ids=["a", "b", "z"], options=options)],
        "Compare": [search_pb2.CompareRequest(a=query, b=by_id, collection="c", include_matches=True)],
        "GetImage": [images_pb2.GetImageRequest(collection="c", id="a", include_features=True)],
        "ListImages": [images_pb2.ListImagesRequest(collection="c", page_size=2, where=wheres()[0])],
        "CountImages": [images_pb2.CountImagesRequest(collection="c", where=wheres()[-1])],
        "UpsertImages": [images_pb2.UpsertImagesRequest(collection="c", images=[item])],
        "Upsert": [images_pb2.UpsertRequest(data=images_pb2.UpsertData(images=[item]))],
        "DeleteImages": [images_pb2.DeleteImagesRequest(collection="c", ids=["new", "zz"])],
        "UpdateMetadata": [images_pb2.UpdateMetadataRequest(collection="c", changes=[change])],
    }
    return [
        (path, message)
        for path, rpc in ALL_PATHS.items()
        for message in known.get(rpc.name) or [_empty(REQUESTS[path]())]
    ]


def _empty(message: Message) -> Message:
    if "collection" in message.DESCRIPTOR.fields_by_name:
        message.collection = "c"  # type: ignore[attr-defined]
    return message


def small_collection(folder: Path) -> Path:
    """Four images with metadata of every kind; the same names each time, so that a case is worth keeping."""
    path = folder / "c.setwise"
    shutil.rmtree(path, ignore_errors=True)
    same = patch.multiple(uuid, uuid4=lambda: uuid.UUID(int=7)), patch.multiple(secrets, token_hex="0123abcd".format)
    with same[0], same[1], created(path) as collection:
        collection.append([record("abcd"[n], n, one) for n, one in enumerate(METADATA)])
        collection.build_index()
    return path


def _messages(folder: Path) -> Ready:
    """A byte for the rpc, the rest its message (of a stream the second), through the handlers, in process."""
    from setwise_server._servicer import STREAMS
    from setwise_server.local import open_local

    state = {"cases": 0, "local": open_local(str(small_collection(folder)))}

    def fresh() -> object:
        """The server; now and then with the collection as it was, or the cases would feed on each other."""
        state["cases"] += 1  # type: ignore[operator]
        if state["cases"] % 20_000 == 0:  # type: ignore[operator]
            state["local"].close()  # type: ignore[attr-defined]
            state["local"] = open_local(str(small_collection(folder)))
        return state["local"]

    def run(data: bytes) -> None:
        local, path = fresh(), PATHS[data[0] % len(PATHS) if data else 0]
        request = local._methods[path].parse(data[1:])  # type: ignore[attr-defined]
        if path not in STREAMS:
            status, reply = local.call(path, request, timeout=20)  # type: ignore[attr-defined]
            assert (reply is None) == (status.code != 0)
            _check(status)
            return
        start = type(request)()
        if path.endswith("/Upsert"):
            start.start.collection = "c"
        *_, (status, nothing) = local.stream(path, [start, request], timeout=20)  # type: ignore[attr-defined]
        assert nothing is None
        _check(status)

    seeds = [bytes([PATHS.index(path)]) + message.SerializeToString() for path, message in requests()]
    grammar = message_grammar(lambda data: REQUESTS[PATHS[data[0] % len(PATHS)]], skip=1)
    return Ready(run, seeds, grammar, lambda: state["local"].close())  # type: ignore[attr-defined]  # noqa: PLW0108  # not yet bound


def _check(status: object) -> None:
    assert status.code not in FAULTS, status  # type: ignore[attr-defined]
    if status.code:  # type: ignore[attr-defined]
        raise InvalidInput(str(status.message))  # type: ignore[attr-defined]  # counted as the refusal it is


def _parsed(kind: Callable[[], Message]) -> Callable[[bytes], Message]:
    from setwise_server.handlers import Method

    return Method("", kind, print).parse  # type: ignore[arg-type]


def _features(_: Path) -> Ready:
    """A feature set: what comes in goes out as it came, and is finite."""
    from setwise_server._tensors import features_from_proto, features_to_proto
    from setwise_server.settings import Limits

    parse, limits, encoder = _parsed(types_pb2.FeatureSet), Limits(max_tokens=64), tiny_encoder()

    def run(data: bytes) -> None:
        message = parse(data)
        features = features_from_proto(message, limits)
        assert len(features) <= 64
        assert np.isfinite(features.tokens).all()
        assert features_to_proto(features).tokens.data == message.tokens.data  # type: ignore[attr-defined]
        encoded = comparable(features, encoder)
        assert encoded.tokens.dtype == np.float16
        assert np.isfinite(encoded.tokens).all()

    raw = types_pb2.FeatureSet()
    raw.CopyFrom(_sample())
    raw.stage, raw.encoder = types_pb2.STAGE_RAW, ""
    return Ready(
        run, [_sample().SerializeToString(), raw.SerializeToString()], message_grammar(lambda _: types_pb2.FeatureSet)
    )


def _queries(_: Path) -> Ready:
    """A query's region: tokens that rise and lie within the set."""
    from setwise_server._regions import region_from_proto
    from setwise_server._tensors import features_from_proto
    from setwise_server.settings import Limits

    parse, limits = _parsed(types_pb2.Query), Limits(max_tokens=256, max_image_pixels=1 << 20)

    def run(data: bytes) -> None:
        message = parse(data)
        region = region_from_proto(message, limits)  # type: ignore[arg-type]
        features = features_from_proto(message.features, limits)  # type: ignore[attr-defined]
        if region is None:
            return
        part = region.of(features)
        assert part.tokens is not None
        assert len(part.tokens)
        assert (np.diff(part.tokens) > 0).all()
        assert 0 <= part.tokens[0] <= part.tokens[-1] < len(features)

    seeds = []
    for n in range(6):
        query = types_pb2.Query(features=_sample())
        if n % 2:
            query.region.mask.rows, query.region.mask.columns = 1 + n, 2
            query.region.mask.bits = b"\xa5" * ((2 * (1 + n) + 7) // 8)
        else:
            box = query.region.box
            box.left, box.top, box.right, box.bottom = -n, 1.5, 300.0 + n, 200.0
        seeds.append(query.SerializeToString())
    return Ready(run, seeds, message_grammar(lambda _: types_pb2.Query))


def _options(_: Path) -> Ready:
    """A search's options: within the limits, whatever is asked for."""
    from setwise_server.convert import options_from_proto
    from setwise_server.settings import Limits

    parse, limits = _parsed(search_pb2.SearchOptions), Limits(max_k=100, max_candidates=500, max_filter_terms=50)

    def run(data: bytes) -> None:
        options = options_from_proto(parse(data), limits)  # type: ignore[arg-type]
        assert 1 <= options.k <= 100
        assert options.candidates is None or 1 <= options.candidates <= 500

    full = search_pb2.SearchOptions(
        k=5, candidates=50, kernel=types_pb2.KERNEL_RBF, min_score=0.5, include_matches=True, group_by="year"
    )
    full.where.CopyFrom(wheres()[-1])
    seeds = [search_pb2.SearchOptions(k=3).SerializeToString(), full.SerializeToString()]
    return Ready(run, seeds, message_grammar(lambda _: search_pb2.SearchOptions))


def _filters(folder: Path) -> Ready:
    """A filter: SQL and its slow twin choose the same images."""
    from setwise_server._filters import filter_from_proto
    from setwise_server.settings import Limits

    parse, limits = _parsed(filters_pb2.Filter), Limits(max_filter_terms=200)
    stack = ExitStack()
    collection = stack.enter_context(Collection.open(small_collection(folder), read_only=True))
    snapshot = stack.enter_context(collection.snapshot())

    def run(data: bytes) -> None:
        where = filter_from_proto(parse(data), limits)  # type: ignore[arg-type]
        mask = snapshot.read_catalog(lambda connection: evaluate(connection, snapshot.view, where))
        expected = [matches(where, one) for one in METADATA]
        assert mask.tolist() == expected, (where, mask, expected)
        assert hash(where) == hash(filter_from_proto(parse(data), limits))  # type: ignore[arg-type]

    seeds = [where.SerializeToString() for where in wheres()]
    return Ready(run, seeds, message_grammar(lambda _: filters_pb2.Filter), stack.close)


def _metadata(_: Path) -> Ready:
    """An image's id and metadata: what is stored is read back equal, and travels back equal."""
    from setwise_engine.collection import check_id
    from setwise_server._filters import metadata_from_proto
    from setwise_server.convert import metadata_to_proto

    parse = _parsed(images_pb2.ImageInput)

    def run(data: bytes) -> None:
        message = parse(data)
        id = check_id(message.id)  # type: ignore[attr-defined]
        metadata = metadata_from_proto(message.metadata)  # type: ignore[attr-defined]
        again = read_metadata(check_metadata(metadata, id), id)
        assert again == metadata
        assert {name: type(one) for name, one in again.items()} == {name: type(one) for name, one in metadata.items()}
        assert metadata_from_proto(metadata_to_proto(again)) == metadata

    values = {name: _value(value) for one in METADATA for name, value in one.items()}
    seed = images_pb2.ImageInput(id="ü/1", metadata=values).SerializeToString()
    return Ready(run, [seed], message_grammar(lambda _: images_pb2.ImageInput))


def _page_tokens(_: Path) -> Ready:
    """A page token: only one of this listing passes, and names the id that it was made for."""
    from setwise_server.handlers.images import _after, _token

    bound = bytes(range(24))

    def run(data: bytes) -> None:
        last = _after(data.decode("utf-8", "replace"), bound)
        if last:
            assert _after(_token(last, bound), bound) == last

    return Ready(run, [_token(id, bound).encode() for id in ("a", "ü" * 5, "set-01")] + [b"", b"AAAA"])


def _request_ids(_: Path) -> Ready:
    """A caller's name for a request: nothing comes out that would break a log line."""
    from setwise_server._visit import request_id

    def run(data: bytes) -> None:
        text = data.decode("latin-1")
        name = request_id(text)
        assert re.fullmatch(r"[!-~]{1,128}", name)
        if name != text:
            raise InvalidInput("another name was given")

    return Ready(run, [b"a-1", b"0123456789abcdef" * 8, b"trace/1:2=3+4_5."])


TARGETS = (
    Target("messages", _messages, short=400),
    Target("features", _features),
    Target("queries", _queries),
    Target("options", _options),
    Target("filters", _filters),
    Target("metadata", _metadata),
    Target("page_tokens", _page_tokens),
    Target("request_ids", _request_ids),
)
