"""CollectionService: what the server holds."""

from __future__ import annotations

from setwise_proto.v1 import collections_pb2 as pb
from setwise_server._call import Call
from setwise_server._registry import Entry, Registry, State

__all__ = ["CollectionHandlers"]

_STATES = {
    State.READY: pb.COLLECTION_STATE_READY,
    State.WAITS: pb.COLLECTION_STATE_WAITS_FOR_ENCODER,
    State.FAILED: pb.COLLECTION_STATE_FAILED,
}


class CollectionHandlers:
    """Each method takes a request and its Call and gives the response, or raises."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def list_collections(self, request: pb.ListCollectionsRequest, call: Call) -> pb.ListCollectionsResponse:
        """All collections, by name."""
        return pb.ListCollectionsResponse(collections=[self._describe(entry) for entry in self._registry.entries()])

    def get_collection(self, request: pb.GetCollectionRequest, call: Call) -> pb.GetCollectionResponse:
        """One collection."""
        return pb.GetCollectionResponse(collection=self._describe(self._registry.find(request.name, field="name")))

    def _describe(self, entry: Entry) -> pb.Collection:
        told = pb.Collection(
            name=entry.name,
            state=_STATES[entry.state],
            problem=entry.problem,
            aliases=self._registry.aliases_of(entry.name),
        )
        if entry.state is State.READY:
            told.MergeFrom(_contents(entry))
        return told


def _contents(entry: Entry) -> pb.Collection:
    settings, info = entry.collection.settings, entry.collection.info()
    return pb.Collection(
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
        writable=not entry.collection.read_only,
        segments=info.segments,
        dead_images=info.dead_rows,
    )
