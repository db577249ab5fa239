"""What every method sends and how it reads the answer, written once for both clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as PILImage

from setwise import _parse as parse
from setwise._batch import Batch, Outcome
from setwise._context import Context
from setwise._errors import InvalidArgumentError, SetwiseError
from setwise._features import FeatureSet, Id
from setwise._hits import Comparison, Hits
from setwise._item import id_text
from setwise._limits import check_count, check_filter, check_options
from setwise._options import Options, kernel_number, whole
from setwise._query import QueryLike, features_message, prepare
from setwise._region import RegionLike
from setwise._steps import Steps, ask, check_size
from setwise._values import CollectionInfo, Image, Limits
from setwise._where_text import Where, where_message
from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2

__all__ = ["Candidates", "Page", "Plans"]

Candidates: TypeAlias = Iterable[str | Id | tuple[str, FeatureSet]] | Mapping[str, FeatureSet]


@dataclass(frozen=True, slots=True)
class Page:
    """Some images, and the token that asks for the next ones; empty on the last page."""

    images: tuple[Image, ...]
    next_token: str


class Plans:
    """What reads. The plans that write are `WritePlans`, those about whole collections `AdminPlans`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collections(self) -> Steps[list[CollectionInfo]]:
        request, reply = collections_pb2.ListCollectionsRequest(), collections_pb2.ListCollectionsResponse
        answer = yield from ask("CollectionService", "ListCollections", request, reply)
        return [parse.parse_collection(collection) for collection in answer.collections]

    def search(
        self, query: QueryLike, region: RegionLike | None, options: Options, collection: str | None
    ) -> Steps[Hits]:
        wanted, limits = options.message(), (yield from self._context.limits())
        check_options(wanted, limits)
        message, asked = prepare(query, limits, region)
        request = search_pb2.SearchRequest(collection=self._context.name(collection), query=message, options=wanted)
        check_size(request, limits)
        return parse.parse_hits((yield from ask("SearchService", "Search", request, search_pb2.SearchResponse)), asked)

    def search_many(
        self,
        queries: Iterable[QueryLike],
        regions: Iterable[RegionLike | None] | None,
        options: Options,
        collection: str | None,
    ) -> Steps[list[Outcome]]:
        many, wanted, limits = _several(queries), options.message(), (yield from self._context.limits())
        check_options(wanted, limits)
        frame = search_pb2.SearchBatchRequest(collection=self._context.name(collection), options=wanted)
        outcomes: list[Outcome | None] = [None] * len(many)
        batch = Batch(frame, limits)
        for place, (query, region) in enumerate(zip(many, _regions(regions, len(many)), strict=True)):
            try:
                message, asked = prepare(query, limits, region)
                check_size(search_pb2.SearchBatchRequest(queries=[message]), limits)
            except SetwiseError as error:
                outcomes[place] = error
                continue
            if batch.is_full_with(message):
                yield from batch.send(outcomes)
            batch.add(place, message, asked)
        yield from batch.send(outcomes)
        return [outcome for outcome in outcomes if outcome is not None]

    def rerank(
        self,
        query: QueryLike,
        candidates: Candidates,
        region: RegionLike | None,
        options: Options,
        collection: str | None,
    ) -> Steps[Hits]:
        given, wanted = _entries(candidates), options.message()
        limits = yield from self._context.limits()
        check_options(wanted, limits)
        check_count(len(given), limits, "max_candidates", "candidates", f"there are {len(given):,} candidates")
        ids, sets = _split(given, limits)
        message, asked = prepare(query, limits, region)
        request = search_pb2.RerankRequest(
            collection=self._context.name(collection), query=message, ids=ids, candidates=sets, options=wanted
        )
        check_size(request, limits)
        return parse.parse_hits((yield from ask("SearchService", "Rerank", request, search_pb2.RerankResponse)), asked)

    def compare(
        self,
        a: QueryLike,
        b: QueryLike,
        *,
        kernel: str | None,
        regions: tuple[RegionLike | None, RegionLike | None],
        matches: bool,
        collection: str | None,
    ) -> Steps[Comparison]:
        number, limits = kernel_number(kernel), (yield from self._context.limits())
        first, asked_a = prepare(a, limits, regions[0], "region_a")
        second, asked_b = prepare(b, limits, regions[1], "region_b")
        request = search_pb2.CompareRequest(
            collection=self._context.name(collection), a=first, b=second, include_matches=bool(matches), kernel=number
        )
        check_size(request, limits)
        reply = yield from ask("SearchService", "Compare", request, search_pb2.CompareResponse)
        return parse.parse_comparison(reply, asked_a, asked_b)

    def get(self, id: str | Id, thumbnail: bool, features: bool, collection: str | None) -> Steps[Image]:
        request = images_pb2.GetImageRequest(
            collection=self._context.name(collection),
            id=id_text(id),
            include_thumbnail=bool(thumbnail),
            include_features=bool(features),
        )
        reply = yield from ask("ImageService", "GetImage", request, images_pb2.GetImageResponse)
        return parse.parse_image(reply.image)

    def count(self, where: Where | None, collection: str | None) -> Steps[int]:
        request = images_pb2.CountImagesRequest(collection=self._context.name(collection), where=where_message(where))
        check_filter(request.where, (yield from self._context.limits()))
        reply = yield from ask("ImageService", "CountImages", request, images_pb2.CountImagesResponse)
        return reply.count

    def page_request(
        self, page_size: int, thumbnails: bool, where: Where | None, collection: str | None
    ) -> images_pb2.ListImagesRequest:
        """The request for the first page; made at once, so that a wrong argument is told at once."""
        return images_pb2.ListImagesRequest(
            collection=self._context.name(collection),
            page_size=whole(page_size, "page_size"),
            include_thumbnail=bool(thumbnails),
            where=where_message(where),
        )

    def page(self, first: images_pb2.ListImagesRequest, token: str) -> Steps[Page]:
        limits = yield from self._context.limits()
        check_filter(first.where, limits)
        request = images_pb2.ListImagesRequest()
        request.CopyFrom(first)
        request.page_size = min(first.page_size, limits.max_page_size or first.page_size)
        request.page_token = token
        reply = yield from ask("ImageService", "ListImages", request, images_pb2.ListImagesResponse)
        return Page(tuple(parse.parse_image(image) for image in reply.images), reply.next_page_token)


def _several(queries: Iterable[QueryLike]) -> list[QueryLike]:
    one = str | bytes | bytearray | memoryview | Path | np.ndarray | PILImage.Image | FeatureSet | Id
    if isinstance(queries, one) or not isinstance(queries, Iterable):
        what = type(queries).__name__
        raise InvalidArgumentError(f"a {what} is not several queries; give a list, or use search", field="queries")
    return list(queries)


def _regions(regions: Iterable[RegionLike | None] | None, count: int) -> list[RegionLike | None]:
    if regions is None:
        return [None] * count
    several = list(regions)
    if len(several) != count:
        what = f"{len(several)} regions for {count} queries; give one for each, or None where the whole is meant"
        raise InvalidArgumentError(what, field="regions")
    return several


def _entries(candidates: Candidates) -> list[Any]:
    if isinstance(candidates, str | bytes) or not isinstance(candidates, Iterable):
        raise InvalidArgumentError(f"candidates is {candidates!r}; give a list of ids", field="candidates")
    return list(candidates.items() if isinstance(candidates, Mapping) else candidates)


def _split(entries: list[Any], limits: Limits) -> tuple[list[str], list[search_pb2.Candidate]]:
    ids: list[str] = []
    sets: list[search_pb2.Candidate] = []
    for entry in entries:
        match entry:
            case str() | Id():
                ids.append(id_text(entry))
            case (str() | Id() as id, FeatureSet() as features):
                sets.append(
                    search_pb2.Candidate(id=id_text(id), features=features_message(features, limits, "candidates"))
                )
            case _:
                what = "give ids, or pairs of an id and a FeatureSet"
                raise InvalidArgumentError(f"candidates holds {entry!r}; {what}", field="candidates")
    return ids, sets
