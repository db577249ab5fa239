"""CollectionService: what the server holds, and how that is made, kept and dropped."""

from __future__ import annotations

import threading

from setwise_engine.collection import snapshot_tar
from setwise_engine.errors import Incompatible, InvalidInput, Unavailable
from setwise_proto.v1 import collections_pb2 as pb
from setwise_server._call import Call
from setwise_server._describe import describe
from setwise_server._errors import BusyError, NotReadyError, at
from setwise_server._fitting import Sample
from setwise_server._keeper import Keeper
from setwise_server._maintenance import Maintenance
from setwise_server._making import make_encoder, settings_of, waiting_of
from setwise_server._registry import Entry, Registry, State
from setwise_server._waiting import load_waiting
from setwise_server.handlers._method import Emit, Requests

__all__ = ["CollectionHandlers"]


class CollectionHandlers:
    """Each unary method takes a request and its Call and gives the response, or raises; the others emit theirs."""

    def __init__(self, registry: Registry, keeper: Keeper | None, maintenance: Maintenance) -> None:
        """keeper: None where no root folder is served; then collections can be neither made nor dropped."""
        self._registry = registry
        self._keeper = keeper
        self._maintenance = maintenance
        self._fitting = threading.Lock()

    def list_collections(self, request: pb.ListCollectionsRequest, call: Call) -> pb.ListCollectionsResponse:
        """All collections, by name."""
        return pb.ListCollectionsResponse(collections=[self._describe(entry) for entry in self._registry.entries()])

    def get_collection(self, request: pb.GetCollectionRequest, call: Call) -> pb.GetCollectionResponse:
        """One collection."""
        return pb.GetCollectionResponse(collection=self._describe(self._registry.find(request.name, field="name")))

    def create_collection(self, request: pb.CreateCollectionRequest, call: Call) -> pb.CreateCollectionResponse:
        """A new collection, empty, or waiting for its encoder."""
        keeper = self._changing()
        waiting = waiting_of(request, self._registry)
        if request.encoder == pb.ENCODER_SOURCE_FIT:
            if waiting.model:
                self._registry.networks.offered(waiting.model)
            call.check()
            entry = keeper.wait(request.name, waiting)
        else:
            made = make_encoder(request, waiting, self._registry)
            call.check()
            entry = keeper.create(request.name, made.settings, made.encoder)
        return pb.CreateCollectionResponse(collection=self._describe(entry))

    def fit_encoder(self, requests: Requests, call: Call, emit: Emit) -> None:
        """A stream of samples in, the finished collection out. Answers early once more samples would not be used."""
        keeper = self._changing()
        entry = self._start(requests)
        waiting = load_waiting(entry.path)
        if not self._fitting.acquire(blocking=False):
            raise BusyError("another encoder is being fitted, which takes much memory; try again later")
        try:
            sample = Sample(waiting, self._registry.networks, self._registry.settings.limits)
            _gather(requests, sample, call)
            encoder, info = sample.fit(), sample.info
        finally:
            self._fitting.release()
        call.check()
        entry = keeper.finish(entry.name, settings_of(waiting, info, encoder), encoder)
        emit(pb.FitEncoderResponse(collection=self._describe(entry), samples=len(sample)))

    def drop_collection(self, request: pb.DropCollectionRequest, call: Call) -> pb.DropCollectionResponse:
        """It and all its images are gone."""
        self._changing().drop(request.name)
        return pb.DropCollectionResponse()

    def set_alias(self, request: pb.SetAliasRequest, call: Call) -> pb.SetAliasResponse:
        """A name stands for a collection."""
        return pb.SetAliasResponse(previous=self._changing().set_alias(request.alias, request.collection))

    def delete_alias(self, request: pb.DeleteAliasRequest, call: Call) -> pb.DeleteAliasResponse:
        """It stands for nothing any more."""
        self._changing().delete_alias(request.alias)
        return pb.DeleteAliasResponse()

    def list_aliases(self, request: pb.ListAliasesRequest, call: Call) -> pb.ListAliasesResponse:
        """All aliases, by name."""
        aliases = sorted(self._registry.aliases.items())
        return pb.ListAliasesResponse(aliases=[pb.Alias(alias=name, collection=target) for name, target in aliases])

    def compact(self, request: pb.CompactCollectionRequest, call: Call) -> pb.CompactCollectionResponse:
        """What is due is done now."""
        self._registry.settings.check_writes()
        entry = self._registry.get(request.name, field="name")
        done = self._maintenance.compact_now(entry, call, everything=request.everything)
        return pb.CompactCollectionResponse(
            segments_before=done.segments_before,
            segments_after=done.segments_after,
            dropped=done.dropped,
            freed_bytes=done.bytes_before - done.bytes_after,
            written_bytes=done.bytes_written,
            collection=self._describe(entry),
        )

    def download_snapshot(self, requests: Requests, call: Call, emit: Emit) -> None:
        """One version as a tar file, piece by piece."""
        request = _only(requests)
        entry = self._registry.get(request.name, field="name")
        with snapshot_tar(entry.collection) as snapshot:
            start = pb.SnapshotStart(
                name=entry.name, version=snapshot.version, images=snapshot.images, bytes=snapshot.bytes
            )
            emit(pb.DownloadSnapshotResponse(start=start))
            for piece in snapshot.pieces():
                call.check()
                emit(pb.DownloadSnapshotResponse(piece=piece))
            end = pb.SnapshotEnd(bytes=snapshot.bytes, sha256=snapshot.sha256)
        emit(pb.DownloadSnapshotResponse(end=end))

    def _describe(self, entry: Entry) -> pb.Collection:
        return describe(entry, self._registry)

    def _changing(self) -> Keeper:
        """The keeper, when callers may make and drop collections here."""
        self._registry.settings.check_writes()
        if self._keeper is None:
            raise Unavailable("this server serves given collections; start one over a folder: setwise serve --root DIR")
        return self._keeper

    def _start(self, requests: Requests) -> Entry:
        """The collection that waits for the encoder which the stream is about."""
        first = next(requests, None)
        if first is None or first.WhichOneof("message") != "start":
            raise InvalidInput("the first message names the collection; send start", field="start")
        entry = self._registry.find(first.start.collection, "start.collection")
        if entry.state is State.WAITS:
            return entry
        with at("start.collection"):
            entry.check_ready()
            raise Incompatible(f'collection "{entry.name}" has an encoder, which stays; make another collection')


def _gather(requests: Requests, sample: Sample, call: Call) -> None:
    """Reads samples until there are enough. Raises NotReadyError when the server is about to stop before."""
    for request in requests:
        if request.WhichOneof("message") != "data":
            raise InvalidInput("start comes first and once; send data", field="start")
        sample.add(request.data.images, call)
        if sample.full:
            return
    if call.draining:
        raise NotReadyError("the server is about to stop; send the samples again shortly")


def _only(requests: Requests) -> pb.DownloadSnapshotRequest:
    request = next(requests, None)
    if not isinstance(request, pb.DownloadSnapshotRequest):
        raise InvalidInput("the request is missing; send one")
    return request
