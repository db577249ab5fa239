"""The asyncio client, and `connect_async`. What each method takes and gives is documented in `Client`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TypeAlias

import grpc

from setwise._async_administration import AsyncAdministration
from setwise._async_writes import AsyncWrites
from setwise._batch import Outcome
from setwise._features import Id
from setwise._hits import Comparison, Hits
from setwise._options import MetadataLike, Options
from setwise._plan import Candidates
from setwise._query import QueryLike
from setwise._region import RegionLike
from setwise._transport import AsyncTransport
from setwise._values import CollectionInfo, Image, ServerInfo
from setwise._where_text import Where
from setwise._wire import PathLike
from setwise_proto.v1 import images_pb2

__all__ = ["AsyncClient", "connect_async"]

# `AsyncClient.list` hides the type inside the class.
Outcomes: TypeAlias = list[Outcome]
CollectionInfos: TypeAlias = list[CollectionInfo]


def connect_async(
    target: PathLike,
    *,
    collection: str | None = None,
    timeout: float | None = 30.0,
    retries: int = 4,
    api_key: str | None = None,
    tls: bool | None = None,
    ca: PathLike | None = None,
    certificate: PathLike | None = None,
    key: PathLike | None = None,
    insecure_api_key: bool = False,
    credentials: grpc.ChannelCredentials | None = None,
    transport: AsyncTransport | None = None,
) -> AsyncClient:
    """Open an asyncio client; needs no await.

        async with setwise.connect_async("localhost:50051") as client:
            hits = await client.search("photo.jpg")

    Arguments and errors as for `setwise.connect`.
    """
    return AsyncClient(
        target,
        collection=collection,
        timeout=timeout,
        retries=retries,
        api_key=api_key,
        tls=tls,
        ca=ca,
        certificate=certificate,
        key=key,
        insecure_api_key=insecure_api_key,
        credentials=credentials,
        transport=transport,
    )


class AsyncClient(AsyncWrites, AsyncAdministration):
    """`Client` for asyncio: the same methods with the same arguments, to be awaited.

        async with setwise.AsyncClient("localhost:50051") as client:
            first, second = await asyncio.gather(client.search("a.jpg"), client.search("b.jpg"))

    Files are read and pictures encoded off the event loop. One client belongs to one event loop.
    """

    async def search(
        self,
        query: QueryLike,
        *,
        k: int = 10,
        region: RegionLike | None = None,
        candidates: int | None = None,
        exhaustive: bool | None = None,
        kernel: str | None = None,
        min_score: float | None = None,
        metadata: MetadataLike = True,
        scores: bool = False,
        matches: bool = False,
        thumbnails: bool = False,
        proof: bool = False,
        where: Where | None = None,
        group_by: str | None = None,
        group_size: int | None = None,
        partial: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Hits:
        """The k most similar images; see `Client.search`."""
        options = Options(
            k,
            candidates,
            kernel,
            min_score,
            metadata,
            scores,
            matches,
            thumbnails,
            exhaustive,
            proof,
            where,
            group_by,
            group_size,
            partial,
        )
        return await self._run(self._plans.search(query, region, options, collection), timeout)

    async def search_many(
        self,
        queries: Iterable[QueryLike],
        *,
        k: int = 10,
        regions: Iterable[RegionLike | None] | None = None,
        candidates: int | None = None,
        exhaustive: bool | None = None,
        kernel: str | None = None,
        min_score: float | None = None,
        metadata: MetadataLike = True,
        scores: bool = False,
        matches: bool = False,
        thumbnails: bool = False,
        proof: bool = False,
        where: Where | None = None,
        group_by: str | None = None,
        group_size: int | None = None,
        partial: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Outcomes:
        """One outcome a query, in their order: its Hits or its SetwiseError; see `Client.search_many`."""
        options = Options(
            k,
            candidates,
            kernel,
            min_score,
            metadata,
            scores,
            matches,
            thumbnails,
            exhaustive,
            proof,
            where,
            group_by,
            group_size,
            partial,
        )
        return await self._run(self._plans.search_many(queries, regions, options, collection), timeout)

    async def rerank(
        self,
        query: QueryLike,
        candidates: Candidates,
        *,
        k: int | None = None,
        region: RegionLike | None = None,
        kernel: str | None = None,
        min_score: float | None = None,
        metadata: MetadataLike = True,
        scores: bool = False,
        matches: bool = False,
        thumbnails: bool = False,
        proof: bool = False,
        partial: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Hits:
        """Your own candidates in exact order; see `Client.rerank`."""
        options = Options(
            k, None, kernel, min_score, metadata, scores, matches, thumbnails, proof=proof, partial=partial
        )
        return await self._run(self._plans.rerank(query, candidates, region, options, collection), timeout)

    async def compare(
        self,
        a: QueryLike,
        b: QueryLike,
        *,
        kernel: str | None = None,
        region_a: RegionLike | None = None,
        region_b: RegionLike | None = None,
        matches: bool = True,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Comparison:
        """Every score of one pair, and which patch matched which; see `Client.compare`."""
        regions = region_a, region_b
        steps = self._plans.compare(a, b, kernel=kernel, regions=regions, matches=matches, collection=collection)
        return await self._run(steps, timeout)

    async def get(
        self,
        id: str | Id,
        *,
        thumbnail: bool = True,
        features: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Image:
        """One stored image; see `Client.get`."""
        return await self._run(self._plans.get(id, thumbnail, features, collection), timeout)

    def list(
        self,
        *,
        where: Where | None = None,
        page_size: int = 100,
        thumbnails: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Image]:
        """All stored images, for `async for`; see `Client.list`."""
        return self._pages(self._plans.page_request(page_size, thumbnails, where, collection), timeout)

    async def count(
        self, *, where: Where | None = None, collection: str | None = None, timeout: float | None = None
    ) -> int:
        """How many images there are, or how many pass a filter."""
        return await self._run(self._plans.count(where, collection), timeout)

    async def collections(self, *, timeout: float | None = None) -> CollectionInfos:
        """What the server holds, by name."""
        return await self._run(self._plans.collections(), timeout)

    async def info(self, *, timeout: float | None = None) -> ServerInfo:
        """Versions, limits and models of the server."""
        return await self._run(self._context.info(), timeout)

    async def _pages(self, first: images_pb2.ListImagesRequest, timeout: float | None) -> AsyncIterator[Image]:
        page = await self._run(self._plans.page(first, ""), timeout)
        for image in page.images:
            yield image
        while page.next_token:
            page = await self._run(self._plans.page(first, page.next_token), timeout)
            for image in page.images:
                yield image
