"""From reply messages to values: the only place that reads protobuf."""

from __future__ import annotations

import numpy as np

from setwise._errors import InternalError, SetwiseError
from setwise._features import FeatureSet, Grid, ImageSize, Stage
from setwise._hits import Comparison, Hit, Hits
from setwise._metadata import parse_metadata, parse_value
from setwise._options import Kernel
from setwise._proof import Proof
from setwise._query import Query
from setwise._status import make_error
from setwise._values import (
    Certificate,
    CollectionInfo,
    Image,
    Limits,
    Matches,
    Model,
    Scores,
    ServerInfo,
    Stages,
    Timings,
)
from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2, types_pb2

__all__ = ["parse_collection", "parse_comparison", "parse_hits", "parse_image", "parse_item", "parse_server"]

_KERNELS = {
    types_pb2.KERNEL_COSINE: Kernel.COSINE,
    types_pb2.KERNEL_INNER_PRODUCT: Kernel.INNER_PRODUCT,
    types_pb2.KERNEL_RBF: Kernel.RBF,
    types_pb2.KERNEL_CONTAINMENT: Kernel.CONTAINMENT,
}
_SCOPES = {
    search_pb2.SCOPE_CANDIDATES: "candidates",
    search_pb2.SCOPE_COLLECTION: "collection",
    search_pb2.SCOPE_PARTIAL: "partial",
}
_STATES = {
    collections_pb2.COLLECTION_STATE_READY: "ready",
    collections_pb2.COLLECTION_STATE_WAITS_FOR_ENCODER: "waits_for_encoder",
    collections_pb2.COLLECTION_STATE_FAILED: "failed",
}
_DTYPES = {types_pb2.DTYPE_FLOAT16: "<f2", types_pb2.DTYPE_FLOAT32: "<f4"}


def parse_hits(reply: search_pb2.SearchResponse | search_pb2.RerankResponse, query: Query) -> Hits:
    """A ranked answer."""
    features = _features(reply.query_features) if reply.HasField("query_features") else None
    return Hits(
        hits=tuple(_hit(hit, query, features) for hit in reply.hits),
        certificate=_certificate(reply.certificate),
        timings=_timings(reply.timings),
        kernel=str(_KERNELS.get(reply.kernel, Kernel.COSINE)),
        version=reply.collection_version,
        missing=tuple(reply.missing_ids) if isinstance(reply, search_pb2.RerankResponse) else (),
        query=query,
        query_features=features,
        warnings=tuple(reply.warnings),
    )


def parse_item(item: search_pb2.SearchBatchItem, query: Query) -> Hits | SetwiseError:
    """The answer or the error of one query of a batch."""
    if item.HasField("response"):
        return parse_hits(item.response, query)
    error = item.error
    return make_error(error.code, error.message, reason=error.reason, field=error.field)


def parse_comparison(reply: search_pb2.CompareResponse, a: Query, b: Query) -> Comparison:
    """Everything about one pair."""
    matches = _matches(reply.matches) if reply.HasField("matches") else None
    return Comparison(_scores(reply.scores), matches, _timings(reply.timings), a, b)


def parse_image(image: images_pb2.Image) -> Image:
    """What is stored of an image."""
    return Image(
        id=image.id,
        metadata=parse_metadata(image.metadata),
        image_size=_size(image.image_size) if image.HasField("image_size") else None,
        grid=_grid(image.grid) if image.HasField("grid") else None,
        tokens=image.tokens,
        thumbnail_bytes=image.thumbnail,
        features=_features(image.features) if image.HasField("features") else None,
    )


def parse_collection(info: collections_pb2.Collection) -> CollectionInfo:
    """What a collection holds; the two types carry the same names."""
    facts = {name: getattr(info, name) for name in CollectionInfo.__slots__}
    return CollectionInfo(**facts | {"state": _STATES.get(info.state, "ready"), "aliases": tuple(info.aliases)})


def parse_server(reply: server_pb2.GetServerInfoResponse) -> ServerInfo:
    """Versions, limits and models; the two Limits types carry the same names."""
    limits = Limits(**{name: getattr(reply.limits, name) for name in Limits.__slots__})
    models = (
        Model(model.name, model.fingerprint, model.image_size, _grid(model.grid), model.dims) for model in reply.models
    )
    return ServerInfo(
        version=reply.version,
        api_version=reply.api_version,
        limits=limits,
        models=tuple(models),
        libraries=dict(reply.libraries),
        writable=reply.writable,
        has_root=reply.has_root,
        offered_models=tuple(reply.offered_models),
    )


def _hit(hit: search_pb2.Hit, query: Query, features: FeatureSet | None) -> Hit:
    return Hit(
        id=hit.id,
        score=hit.score,
        metadata=parse_metadata(hit.metadata),
        scores=_scores(hit.scores) if hit.HasField("scores") else None,
        matches=_matches(hit.matches) if hit.HasField("matches") else None,
        image_size=_size(hit.image_size) if hit.HasField("image_size") else None,
        thumbnail_bytes=hit.thumbnail,
        proof=_proof(hit.proof) if hit.HasField("proof") else None,
        group=parse_value(hit.group) if hit.HasField("group") else None,
        query=query,
        query_features=features,
    )


def _certificate(message: search_pb2.Certificate) -> Certificate:
    has_bound = message.HasField("highest_pruned_bound")
    return Certificate(
        scope=_SCOPES.get(message.scope, "candidates"),
        collection_size=message.collection_size,
        recalled=message.recalled,
        pruned=message.pruned,
        solved=message.solved,
        kth_score=message.kth_score if message.HasField("kth_score") else None,
        highest_pruned_bound=message.highest_pruned_bound if has_bound else None,
        stages=Stages(**{name: getattr(message.stages, name) for name in Stages.__slots__}),
        largest_gap=message.largest_gap if message.HasField("largest_gap") else None,
        matching=message.matching,
        unexamined=message.unexamined,
    )


def _proof(message: search_pb2.Proof) -> Proof:
    return Proof(
        kernel=str(_KERNELS.get(message.kernel, Kernel.COSINE)),
        query_tokens=np.array(message.query_tokens, np.int64) if message.query_tokens else None,
        hit_tokens=np.array(message.hit_tokens, np.int64),
        value=message.value,
        row_prices=np.array(message.row_prices, np.float64),
        column_prices=np.array(message.column_prices, np.float64),
        gap=message.gap,
    )


def _timings(message: search_pb2.Timings) -> Timings:
    return Timings(**{name: getattr(message, name) for name in Timings.__slots__})


def _scores(message: types_pb2.Scores) -> Scores:
    values = {name: getattr(message, name) for name in Scores.__slots__}
    absent = [name for name in ("spatio_semantic", "containment") if not message.HasField(name)]
    return Scores(**values | dict.fromkeys(absent))


def _matches(message: types_pb2.Matches) -> Matches:
    return Matches(
        query_tokens=np.array(message.query_tokens, np.int64),
        hit_tokens=np.array(message.hit_tokens, np.int64),
        affinities=np.array(message.affinities, np.float64),
        cosines=np.array(message.cosines, np.float64),
        query_grid=_grid(message.query_grid) if message.HasField("query_grid") else None,
        hit_grid=_grid(message.hit_grid) if message.HasField("hit_grid") else None,
        query_image_size=_size(message.query_image_size) if message.HasField("query_image_size") else None,
        hit_image_size=_size(message.hit_image_size) if message.HasField("hit_image_size") else None,
        query_boxes=np.array(message.query_boxes, np.float32).reshape(-1, 4),
        hit_boxes=np.array(message.hit_boxes, np.float32).reshape(-1, 4),
    )


def _features(message: types_pb2.FeatureSet) -> FeatureSet:
    dtype = _DTYPES.get(message.tokens.dtype)
    if dtype is None or len(message.tokens.shape) != 2:
        raise InternalError("the server sent a tensor that this client cannot read; update the client")
    data = np.frombuffer(message.tokens.data, dtype).reshape(tuple(message.tokens.shape))
    return FeatureSet(
        data.astype(data.dtype.newbyteorder("="), copy=False),
        grid=_grid(message.grid) if message.HasField("grid") else None,
        image_size=_size(message.image_size) if message.HasField("image_size") else None,
        stage=Stage.ENCODED if message.stage == types_pb2.STAGE_ENCODED else Stage.RAW,
        model=message.model,
        encoder=message.encoder,
    )


def _grid(message: types_pb2.Grid) -> Grid:
    return Grid(message.rows, message.columns)


def _size(message: types_pb2.ImageSize) -> ImageSize:
    return ImageSize(message.width, message.height)
