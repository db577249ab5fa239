"""From what a caller asks with to the encoded sets that the engine searches with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from setwise_engine.errors import CancelledError, DeadlineError, EngineError, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.search import Region, comparable
from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as pb
from setwise_server._call import Call
from setwise_server._errors import LimitError, at
from setwise_server._picture import Picture
from setwise_server._regions import region_from_proto
from setwise_server._registry import Entry, Registry
from setwise_server._tensors import features_from_proto
from setwise_server.settings import Limits

__all__ = ["Queries", "Resolved", "encode_set"]


@dataclass(slots=True)
class Resolved:
    """A query on its way: the encoded set, or why there is none. `path` is its place in the request; `stored` its id
    when it is an image of the collection itself; `region` the part of it to ask with. Times in seconds: queue_s is the
    wait for the network; those of a forward pass shared by several images are each image's share."""

    path: str
    region: Region | None = None
    features: FeatureSet | None = None
    stored: str | None = None
    error: EngineError | None = None
    queue_s: float = 0.0
    decode_s: float = 0.0
    extract_s: float = 0.0
    encode_s: float = 0.0

    def value(self) -> FeatureSet:
        """The encoded set; raises what stood in its way."""
        if self.error is not None:
            raise self.error
        assert self.features is not None
        return self.features

    def timings(self) -> search_pb2.Timings:
        """The times so far, in milliseconds."""
        return search_pb2.Timings(
            decode_ms=self.decode_s * 1000, extract_ms=self.extract_s * 1000, encode_ms=self.encode_s * 1000
        )


class Queries:
    """Resolves queries of all three kinds against one collection."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits

    def resolve(self, entry: Entry, queries: Sequence[tuple[str, pb.Query]], call: Call) -> list[Resolved]:
        """One Resolved a query, in order; all images are sent to the network before any is waited for. The strings are
        the queries' places in the request, for errors. A caller's mistake is kept in its Resolved; anything else is
        raised."""
        resolved = [Resolved(path) for path, _ in queries]
        pictures: list[tuple[Resolved, Picture]] = []
        try:
            for result, (_, query) in zip(resolved, queries, strict=True):
                call.check()
                try:
                    with at(result.path):
                        picture = self._begin(entry, query, result, call)
                except (CancelledError, DeadlineError):
                    raise
                except EngineError as error:
                    result.error = error
                else:
                    if picture is not None:
                        pictures.append((result, picture))
            for result, picture in sorted(pictures, key=lambda pair: not pair[1].mine):
                _finish(result, picture, call)
        finally:
            for _, picture in pictures:
                picture.give_up()
        return resolved

    def _begin(self, entry: Entry, query: pb.Query, result: Resolved, call: Call) -> Picture | None:
        """All that is done query by query; the picture when there is one, which may have a forward pass before it."""
        kind = query.WhichOneof("source")
        result.region = region_from_proto(query, self._limits)
        if kind == "image":
            with at("image"):
                return self._picture(entry, query.image, call)
        if kind == "id":
            with at("id"):
                result.features = entry.searcher.features(query.id)
                result.stored = query.id
        elif kind == "features":
            with at("features"):
                features = features_from_proto(query.features, self._limits)
                result.features, result.encode_s = encode_set(entry, features)
        else:
            raise InvalidInput("the query is empty; give an image, an id or a feature set")
        return None

    def _picture(self, entry: Entry, image: bytes, call: Call) -> Picture:
        encoder = self._registry.image_encoder(entry)
        allowed = self._limits.max_image_bytes
        if len(image) > allowed:
            message = f"the image has {len(image)} bytes; this server takes at most {allowed}. Send a smaller copy"
            raise LimitError(message, field="image", limit="max_image_bytes", allowed=allowed)
        picture = Picture(encoder, image)
        picture.begin(call.check)
        return picture


def _finish(result: Resolved, picture: Picture, call: Call) -> None:
    try:
        with at(f"{result.path}.image"):
            result.features = picture.finish(call.check)
    except (CancelledError, DeadlineError):
        raise
    except EngineError as error:  # begun anew after another call gave up: the bytes are no picture
        result.error = error
    result.queue_s, result.decode_s = picture.waited_s, picture.decode_s
    result.extract_s, result.encode_s = picture.extract_s, picture.encode_s


def encode_set(entry: Entry, features: FeatureSet) -> tuple[FeatureSet, float]:
    """A caller's set as the collection would store it, and the seconds that took. Raises Incompatible, FeatureError."""
    started = time.perf_counter()
    return comparable(features, entry.collection.encoder), time.perf_counter() - started
