"""The blocking client, and `connect`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import grpc

from setwise._administration import Administration
from setwise._batch import Outcome
from setwise._features import Id
from setwise._hits import Comparison, Hits
from setwise._options import MetadataLike, Options
from setwise._plan import Candidates
from setwise._query import QueryLike
from setwise._region import RegionLike
from setwise._transport import Transport
from setwise._values import CollectionInfo, Image, ServerInfo
from setwise._where_text import Where
from setwise._wire import PathLike
from setwise._writes import Writes
from setwise_proto.v1 import images_pb2

__all__ = ["Client", "connect"]

# `Client.list` hides the type inside the class.
Outcomes: TypeAlias = list[Outcome]
CollectionInfos: TypeAlias = list[CollectionInfo]


def connect(
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
    transport: Transport | None = None,
) -> Client:
    """Open a client for a server or for a collection on this machine.

        with setwise.connect("localhost:50051") as client:
            hits = client.search("photo.jpg")
        with setwise.connect("photos.setwise") as client:      # no server needed: it runs in this process
            hits = client.search("photo.jpg")

    target: "host:port", or the directory that `setwise index` made (needs `pip install "setwise[server]"`).
    collection: which one to ask; needed only when the server holds several. Each call may name another.
    timeout: seconds that a call may take, retries included; None for no limit. Each call may give its own.
    retries: further attempts when no server answers or a full one says when to come back; 0 for none.
    api_key: what the server knows the caller by; None for what the environment variable SETWISE_API_KEY holds, "" for
        none. It is never sent in clear text but to this machine itself, unless insecure_api_key=True.
    tls: whether the wire is encrypted; None: when ca or certificate are given. ca: PEM file of the authorities that may
        have signed the server's certificate; without it those that gRPC brings. certificate, key: PEM files of the
        caller's own certificate chain and private key, where the server asks for them. Or credentials: gRPC's own.
    transport: one of your own, for tests. A directory needs nothing of all this.
    A server is contacted by the first call; a directory is opened at once.
    Raises NotFoundError, InvalidArgumentError, FailedPreconditionError and MissingExtraError, naming the target.
    """
    return Client(
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


class Client(Writes, Administration):
    """Asks a server, or a collection on this machine, and waits for the answers. Thread-safe.

        with setwise.Client("localhost:50051") as client:
            for hit in client.search("photo.jpg", k=5):
                print(hit.score, hit.id)

    Arguments as for `setwise.connect`. Every method raises `SetwiseError` or a class below it, and nothing of gRPC's.
    """

    def search(
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
        """The k most similar images.

            hits = client.search("photo.jpg", k=5, matches=True, thumbnails=True)
            hits.save("answer.png")
            hits[0].draw_matches().save("matches.png")

        query: a path to an image file (any `str` is a path), bytes of an image file, a PIL image, a uint8 array of
            pixels (h, w), (h, w, 3) or (h, w, 4), `setwise.Id(...)` for a stored image, or a `setwise.FeatureSet`.
        k: how many hits; fewer come back when the collection holds fewer.
        region: the part of the picture to ask with: (left, top, right, bottom) in pixels of the upright original, or a
            (height, width) array of bool over the picture or over the token grid. Matches still speak of the whole
            picture. Collections of up to 20,000 images are then searched exhaustively unless the server was told
            otherwise; beyond, `hits.warnings` says what that means.
        candidates: how many images the coarse stage recalls for exact scoring, at least k; None for the server's
            default. More cost time and find what the coarse stage ranks low.
        exhaustive: True to score every image, so that the answer is proven for the whole collection; False never to.
        kernel: "cosine", "inner_product", "rbf" or "containment" (how much of the query is found in the hit); None
            for the cosine, and for containment with a region. The scale of score and min_score is the kernel's.
        min_score: hits below it are left out.
        metadata: True for all fields, False for none, or a list of names.
        scores, matches, thumbnails: return every score, the matched patches, a small picture of each hit.
        proof: return why each hit's matching is optimal; `Hit.verify` checks it.
        where: only images that pass: `setwise.F("year") >= 2020`, or text such as 'year >= 2020 and camera == "front"'.
        group_by, group_size: at most group_size hits (1 unless given) for each value of this metadata field.
        partial: when the timeout is near, take the best of the candidates examined so far instead of an error;
            `hits.partial` tells, and `hits.certificate.unexamined` how many were left.
        collection, timeout: for this call instead of the client's; None for the client's.
        Raises SetwiseError: InvalidArgumentError, NotFoundError, UnavailableError, DeadlineExceededError and so on.
        """
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
        return self._run(self._plans.search(query, region, options, collection), timeout)

    def search_many(
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
        """One outcome a query, in their order: its Hits, or the SetwiseError that it met.

            for outcome in client.search_many(["a.jpg", "b.jpg"]):
                print(outcome if isinstance(outcome, setwise.SetwiseError) else outcome[0])

        Queries travel in batches as large as the server allows; `timeout` counts for each batch. One bad query does
        not fail the others; what fails a whole batch (no server, a wrong option) is raised. regions: one for each
        query, None where the whole is meant. Other arguments as for `search`.
        """
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
        return self._run(self._plans.search_many(queries, regions, options, collection), timeout)

    def rerank(
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
        """Your own candidates in exact order: usable behind any other search engine.

            hits = client.rerank("photo.jpg", ["beach.jpg", "harbour.jpg", ("mine", setwise.FeatureSet(tokens))])

        candidates: ids of stored images (here a string is an id), pairs of a name and a FeatureSet, or a mapping from
            names to FeatureSets. Ids that the collection does not hold are listed in `hits.missing`.
        k: how many hits; None for all candidates. Other arguments as for `search`.
        """
        options = Options(
            k, None, kernel, min_score, metadata, scores, matches, thumbnails, proof=proof, partial=partial
        )
        return self._run(self._plans.rerank(query, candidates, region, options, collection), timeout)

    def compare(
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
        """Every score of one pair, and which patch of a was matched with which of b.

            client.compare("left.jpg", "right.jpg").draw_matches().save("matches.png")

        a, b: as the query of `search`, region_a and region_b as its region. kernel: which matching the matches show;
        with "containment", the default with region_a, `scores.containment` says how much of a is found in b.
        The collection's model, encoder and sigma apply.
        """
        regions = region_a, region_b
        steps = self._plans.compare(a, b, kernel=kernel, regions=regions, matches=matches, collection=collection)
        return self._run(steps, timeout)

    def get(
        self,
        id: str | Id,
        *,
        thumbnail: bool = True,
        features: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Image:
        """One stored image: metadata, size, thumbnail, and on request its encoded feature set.

        client.get("holiday/beach.jpg").thumbnail.show()
        """
        return self._run(self._plans.get(id, thumbnail, features, collection), timeout)

    def list(
        self,
        *,
        where: Where | None = None,
        page_size: int = 100,
        thumbnails: bool = False,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[Image]:
        """All stored images, in the order of the UTF-8 bytes of their ids; fetched page by page while you iterate.

            ids = [image.id for image in client.list(where='camera == "front"')]

        where: only images that pass, as for `search`. page_size: images a call, at least 1, and no more than
            the server gives. timeout: for each page.
        """
        return self._pages(self._plans.page_request(page_size, thumbnails, where, collection), timeout)

    def count(self, *, where: Where | None = None, collection: str | None = None, timeout: float | None = None) -> int:
        """How many images there are, or how many pass a filter."""
        return self._run(self._plans.count(where, collection), timeout)

    def collections(self, *, timeout: float | None = None) -> CollectionInfos:
        """What the server holds, by name."""
        return self._run(self._plans.collections(), timeout)

    def info(self, *, timeout: float | None = None) -> ServerInfo:
        """Versions, limits and models of the server."""
        return self._run(self._context.info(), timeout)

    def _pages(self, first: images_pb2.ListImagesRequest, timeout: float | None) -> Iterator[Image]:
        page = self._run(self._plans.page(first, ""), timeout)
        yield from page.images
        while page.next_token:
            page = self._run(self._plans.page(first, page.next_token), timeout)
            yield from page.images
