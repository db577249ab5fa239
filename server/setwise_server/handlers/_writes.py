"""ImageService: what changes a collection."""

from __future__ import annotations

from setwise_engine.collection import Change, Outcome, Remove, SetMetadata
from setwise_engine.errors import InvalidInput
from setwise_proto.v1 import images_pb2 as pb
from setwise_server._call import Call, Emit, Requests
from setwise_server._errors import LimitError, at
from setwise_server._filters import filter_from_proto, metadata_from_proto
from setwise_server._registry import Registry
from setwise_server.ingest import Budget, Intake, Shared, UpsertStream, mode_from_proto, result_to_proto, split

__all__ = ["WriteHandlers"]

WINDOWS = 4
"""Windows of streams that may wait in memory together."""


class WriteHandlers:
    """Each method takes a request and its Call and gives the response, or raises; `upsert` is a stream."""

    def __init__(self, registry: Registry) -> None:
        settings = registry.settings
        self._registry = registry
        self._limits = settings.limits
        intake = Intake(registry, settings.limits, max(1, settings.workers // 2))
        window = max(settings.commit_bytes, settings.limits.max_message_bytes)
        self._shared = Shared(intake, Budget(WINDOWS * window), window)

    def upsert(self, requests: Requests, call: Call, emit: Emit) -> None:
        """Stores images as they come."""
        start = _start(requests)
        with at("start"):
            entry = self._registry.get(start.collection)
            mode = mode_from_proto(start.mode)
        version = entry.writer.submit((), check=call.check, urgent=True).result().version  # also: may it be written?
        started = pb.UpsertStarted(window_bytes=self._shared.window, collection_version=version)
        emit(pb.UpsertResponse(started=started))
        UpsertStream(entry, mode, self._shared, call, emit).run(requests)

    def upsert_images(self, request: pb.UpsertImagesRequest, call: Call) -> pb.UpsertImagesResponse:
        """Stores a few images; a fault of one is in its place."""
        entry = self._registry.get(request.collection)
        self._check_count("images", len(request.images))
        mode = mode_from_proto(request.mode)
        taken = self._shared.intake.changes(entry, request.images, mode, call.check)
        changes, faults = split(taken)
        written = entry.writer.submit(tuple(changes.values()), check=call.check, urgent=True).result()
        results: dict[int, Outcome | Exception] = dict(zip(changes, written.results, strict=True))
        results |= faults
        return pb.UpsertImagesResponse(
            collection_version=written.version,
            results=[result_to_proto(i, item.id, results[i], f"images[{i}]") for i, item in enumerate(request.images)],
        )

    def delete_images(self, request: pb.DeleteImagesRequest, call: Call) -> pb.DeleteImagesResponse:
        """Deletes images by id or by filter."""
        entry = self._registry.get(request.collection)
        if bool(request.ids) == request.HasField("where"):
            raise InvalidInput("give either ids or a filter: what to delete must be said once", field="ids")
        self._check_count("ids", len(request.ids))
        if request.HasField("where"):
            where = filter_from_proto(request.where, self._limits)
            written = entry.writer.run(lambda collection: collection.delete_where(where), check=call.check).result()
        else:
            written = entry.writer.submit([Remove(id) for id in request.ids], check=call.check, urgent=True).result()
        for result in written.results:
            if isinstance(result, Exception):
                raise result
        missing = (id for id, result in zip(request.ids, written.results, strict=False) if result is Outcome.MISSING)
        return pb.DeleteImagesResponse(
            deleted=sum(result is Outcome.REMOVED for result in written.results),
            missing_ids=missing,
            collection_version=written.version,
        )

    def update_metadata(self, request: pb.UpdateMetadataRequest, call: Call) -> pb.UpdateMetadataResponse:
        """Changes metadata; a fault of one change is in its place."""
        entry = self._registry.get(request.collection)
        self._check_count("changes", len(request.changes))
        changes: list[Change] = []
        for i, change in enumerate(request.changes):
            with at(f"changes[{i}]"):
                changes.append(_metadata_change(change))
        written = entry.writer.submit(changes, check=call.check, urgent=True).result()
        return pb.UpdateMetadataResponse(
            collection_version=written.version,
            results=[
                result_to_proto(i, change.id, result, f"changes[{i}]")
                for i, (change, result) in enumerate(zip(request.changes, written.results, strict=True))
            ],
        )

    def _check_count(self, field: str, count: int) -> None:
        allowed = self._limits.max_changes
        if count > allowed:
            message = f"{count} {field} in one call; this server takes at most {allowed}"
            raise LimitError(message, field=field, limit="max_changes", allowed=allowed)


def _start(requests: Requests) -> pb.UpsertStart:
    first = next(requests, None)
    if first is None or first.WhichOneof("message") != "start":
        raise InvalidInput("a stream begins with its start; send that first", field="start")
    start: pb.UpsertStart = first.start
    return start


def _metadata_change(change: pb.MetadataChange) -> SetMetadata:
    if change.replace and change.remove:
        raise InvalidInput("with replace the image has exactly the fields of `set`; leave remove empty", field="remove")
    return SetMetadata(change.id, metadata_from_proto(change.set), change.replace, tuple(change.remove))
