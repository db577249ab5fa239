"""CollectionService: what the server holds."""

from __future__ import annotations

from setwise_proto.v1 import collections_pb2 as pb
from setwise_server._call import Call
from setwise_server._registry import Entry, Registry

__all__ = ["CollectionHandlers"]


class CollectionHandlers:
    """Each method takes a request and its Call and gives the response, or raises."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def list_collections(self, request: pb.ListCollectionsRequest, call: Call) -> pb.ListCollectionsResponse:
        """All collections, by name."""
        entries = [self._registry.get(name) for name in self._registry.names()]
        return pb.ListCollectionsResponse(collections=[_describe(entry) for entry in entries])

    def get_collection(self, request: pb.GetCollectionRequest, call: Call) -> pb.GetCollectionResponse:
        """One collection."""
        return pb.GetCollectionResponse(collection=_describe(self._registry.get(request.name, field="name")))


def _describe(entry: Entry) -> pb.Collection:
    settings, info = entry.collection.settings, entry.collection.info()
    return pb.Collection(
        name=entry.name,
        uuid=entry.collection.uuid,
        images=info.images,
        tokens=info.tokens,
        dims=settings.dims,
        model=settings.model,
        model_fingerprint=settings.model_fingerprint,
        image_size=settings.image_size,
        encoder_fingerprint=settings.encoder_fingerprint,
        sigma=info.sigma,
        coarse=settings.coarse,
        version=info.version,
        indexed=info.indexed,
        bytes=info.total_bytes,
    )
