"""A collection as callers see it."""

from __future__ import annotations

from setwise_engine.errors import EngineError
from setwise_proto.v1 import collections_pb2 as pb
from setwise_server._registry import Entry, Registry, State
from setwise_server._waiting import load_waiting

__all__ = ["describe"]

_STATES = {
    State.READY: pb.COLLECTION_STATE_READY,
    State.WAITS: pb.COLLECTION_STATE_WAITS_FOR_ENCODER,
    State.FAILED: pb.COLLECTION_STATE_FAILED,
}


def describe(entry: Entry, registry: Registry) -> pb.Collection:
    """What the collection holds and how it was made, as far as it can be told; never raises for one that is damaged."""
    told = pb.Collection(name=entry.name, aliases=registry.aliases_of(entry.name))
    try:
        if entry.state is State.READY:
            told.MergeFrom(_contents(entry))
        elif entry.state is State.WAITS:
            told.MergeFrom(_wishes(entry, registry))
    except EngineError as error:
        told.state, told.problem = pb.COLLECTION_STATE_FAILED, str(error)
        return told
    told.state, told.problem = _STATES[entry.state], entry.problem
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


def _wishes(entry: Entry, registry: Registry) -> pb.Collection:
    waiting = load_waiting(entry.path)
    return pb.Collection(
        model=waiting.model, dims=waiting.dims or 0, coarse=waiting.coarse, writable=not registry.settings.read_only
    )
