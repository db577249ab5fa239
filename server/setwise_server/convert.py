"""Between the wire's messages and the engine's values: options in, answers out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import MetadataValue, StoredImage
from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize
from setwise_engine.matching import Assignment, Kernel, Match, Scores, token_boxes
from setwise_engine.search import Answer, Hit, Options, Scope
from setwise_proto.v1 import images_pb2, search_pb2
from setwise_proto.v1 import types_pb2 as pb
from setwise_server._errors import LimitError, at
from setwise_server._filters import where_of
from setwise_server._tensors import features_to_proto, grid_to_proto, image_size_to_proto
from setwise_server.settings import Limits

__all__ = [
    "certificate_to_proto",
    "hit_to_proto",
    "image_to_proto",
    "kernel_from_proto",
    "kernel_to_proto",
    "match_to_proto",
    "metadata_to_proto",
    "options_from_proto",
    "scores_to_proto",
]

KERNELS = {
    pb.KERNEL_COSINE: Kernel.COSINE,
    pb.KERNEL_INNER_PRODUCT: Kernel.INNER_PRODUCT,
    pb.KERNEL_RBF: Kernel.RBF,
    pb.KERNEL_CONTAINMENT: Kernel.CONTAINMENT,
}
SCOPES = {
    Scope.CANDIDATES: search_pb2.SCOPE_CANDIDATES,
    Scope.COLLECTION: search_pb2.SCOPE_COLLECTION,
    Scope.PARTIAL: search_pb2.SCOPE_PARTIAL,
}


def options_from_proto(message: search_pb2.SearchOptions, limits: Limits, default_k: int = 10) -> Options:
    """The engine's options. Raises InvalidInput or LimitError with the field below `options`."""
    with at("options"):
        _within(message.k, "k", "max_k", limits.max_k)
        _within(message.candidates, "candidates", "max_candidates", limits.max_candidates)
        # Each is looked for in each hit: a message of them would take hours.
        _within(len(message.metadata.fields), "metadata.fields", "max_filter_terms", limits.max_filter_terms)
        return Options(
            k=message.k if message.HasField("k") else default_k,
            candidates=message.candidates if message.HasField("candidates") else None,
            kernel=kernel_from_proto(message.kernel),
            min_score=message.min_score if message.HasField("min_score") else None,
            scores=message.include_scores,
            matches=message.include_matches,
            metadata=True if message.metadata.all else tuple(message.metadata.fields) or False,
            thumbnails=message.include_thumbnail,
            exhaustive=message.exhaustive if message.HasField("exhaustive") else None,
            proofs=message.include_proof,
            where=where_of(message, limits),
            group_by=message.group_by or None,
            group_size=message.group_size if message.HasField("group_size") else 1,
        )


def kernel_from_proto(kernel: int) -> Kernel | None:
    """The kernel of that number; None when it is not set. Raises InvalidInput."""
    if kernel == pb.KERNEL_UNSPECIFIED:
        return None
    for number, known in KERNELS.items():
        if number == kernel:
            return known
    raise InvalidInput(f"kernel {kernel} is unknown; send one that Kernel names", field="kernel")


def kernel_to_proto(kernel: Kernel) -> pb.Kernel.ValueType:
    """The wire's name of the kernel that ranked."""
    return next(number for number, known in KERNELS.items() if known is kernel)


def hit_to_proto(hit: Hit, query: FeatureSet, answer: Answer) -> search_pb2.Hit:
    """One hit of an answer, with whatever it carries. query: the whole set that was asked with."""
    match = None if hit.match is None else match_to_proto(hit.match, query, hit.grid, hit.image_size)
    return search_pb2.Hit(
        id=hit.id,
        score=hit.score,
        metadata=metadata_to_proto(hit.metadata),
        scores=None if hit.scores is None else scores_to_proto(hit.scores),
        matches=match,
        thumbnail=hit.thumbnail,
        image_size=image_size_to_proto(hit.image_size),
        proof=None if hit.proof is None else _proof(hit.proof, answer),
        group=None if hit.group is None else _value(hit.group),
    )


def scores_to_proto(scores: Scores) -> pb.Scores:
    """Every score of one pair."""
    return pb.Scores(
        cosine=scores.cosine,
        inner_product=scores.inner_product,
        rbf=scores.rbf,
        spatio_semantic=scores.spatio_semantic,
        maxsim_query=scores.maxsim_query,
        maxsim_hit=scores.maxsim_hit,
        pooled=scores.pooled,
        containment=scores.containment,
    )


def match_to_proto(match: Match, query: FeatureSet, grid: Grid | None, image_size: ImageSize | None) -> pb.Matches:
    """The matched tokens, strongest first, with boxes where grid and size are known. `grid` and `image_size` are
    the hit's."""
    return pb.Matches(
        query_tokens=match.rows.tolist(),
        hit_tokens=match.columns.tolist(),
        affinities=match.affinities.tolist(),
        cosines=match.cosines.tolist(),
        query_grid=grid_to_proto(query.grid),
        hit_grid=grid_to_proto(grid),
        query_image_size=image_size_to_proto(query.image_size),
        hit_image_size=image_size_to_proto(image_size),
        query_boxes=_boxes(query.grid, query.image_size, match.rows),
        hit_boxes=_boxes(grid, image_size, match.columns),
    )


def certificate_to_proto(answer: Answer) -> search_pb2.Certificate:
    """What an answer proves."""
    stages = answer.stages
    return search_pb2.Certificate(
        scope=SCOPES[answer.scope],
        collection_size=answer.collection_size,
        matching=answer.matching,
        recalled=answer.recalled,
        pruned=answer.pruned,
        solved=answer.solved,
        kth_score=answer.kth_score,
        highest_pruned_bound=answer.highest_pruned_bound,
        stages=search_pb2.Stages(gate=stages.gate, gate_dual=stages.gate_dual, bound=stages.bound, dual=stages.dual),
        largest_gap=answer.largest_gap,
        unexamined=answer.unexamined,
    )


def metadata_to_proto(metadata: Mapping[str, MetadataValue]) -> dict[str, pb.Value]:
    """Metadata as it travels; a JSON null is a Value with nothing set."""
    return {name: _value(value) for name, value in metadata.items()}


def image_to_proto(stored: StoredImage, features: FeatureSet | None = None) -> images_pb2.Image:
    """What is stored of an image."""
    return images_pb2.Image(
        id=stored.id,
        metadata=metadata_to_proto(stored.metadata),
        image_size=image_size_to_proto(stored.image_size),
        grid=grid_to_proto(stored.grid),
        tokens=stored.tokens,
        thumbnail=stored.thumbnail,
        features=None if features is None else features_to_proto(features),
    )


def _proof(proof: Assignment, answer: Answer) -> search_pb2.Proof:
    hit_tokens = np.full(len(proof.row_prices), -1)
    hit_tokens[proof.rows] = proof.columns
    return search_pb2.Proof(
        kernel=kernel_to_proto(answer.kernel),
        query_tokens=None if answer.query_tokens is None else answer.query_tokens.tolist(),
        hit_tokens=hit_tokens.tolist(),
        value=proof.value,
        row_prices=proof.row_prices.tolist(),
        column_prices=proof.column_prices.tolist(),
        gap=proof.gap,
    )


def _within(value: int, field: str, limit: str, allowed: int) -> None:
    if value > allowed:
        message = f"{field} is {value}; this server takes at most {allowed}"
        raise LimitError(message, field=field, limit=limit, allowed=allowed)


def _boxes(grid: Grid | None, size: ImageSize | None, tokens: NDArray[np.intp]) -> list[float]:
    if grid is None or size is None:
        return []
    boxes: list[float] = token_boxes(grid, size, tokens).ravel().tolist()
    return boxes


def _value(value: MetadataValue) -> pb.Value:
    match value:
        case None:
            return pb.Value()
        case bool():
            return pb.Value(bool_value=value)
        case int():
            return pb.Value(int_value=value)
        case float():
            return pb.Value(double_value=value)
        case str():
            return pb.Value(string_value=value)
        case _:
            return pb.Value(list_value=pb.ListValue(values=[_value(item) for item in value]))
