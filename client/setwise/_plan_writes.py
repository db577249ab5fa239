"""What every method that writes images sends, and how it reads the answer; written once for both clients."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from enum import StrEnum
from typing import Any, TypeAlias

from setwise._context import Context
from setwise._errors import InternalError, InvalidArgumentError, SetwiseError
from setwise._features import Id
from setwise._item import check_items, id_text, prepare_items
from setwise._limits import check_filter
from setwise._metadata import metadata_message
from setwise._progress import ProgressLine
from setwise._reports import DeleteReport, Failure, Outcome, Progress, UpdateReport
from setwise._steps import SLACK, Steps, ask
from setwise._tally import OnError, ProgressLike, Tally, outcome_of
from setwise._upload import Upload
from setwise._values import Limits
from setwise._where_text import Where, where_message
from setwise_proto.v1 import collections_pb2
from setwise_proto.v1 import images_pb2 as pb

__all__ = ["Changes", "Ids", "UpsertMode", "WritePlans", "progress_function"]

Ids: TypeAlias = str | Id | Iterable[str | Id]
Changes: TypeAlias = Mapping[str, Mapping[str, Any]] | Iterable[tuple[str | Id, Mapping[str, Any]]]

_MOST = 1000
"""Changes in one call where the server names no limit."""


class UpsertMode(StrEnum):
    """Whether the image of an id may be new, may be there, or must be either."""

    UPSERT = "upsert"
    INSERT = "insert"
    UPDATE = "update"


_MODES = {
    UpsertMode.UPSERT: pb.UPSERT_MODE_UPSERT,
    UpsertMode.INSERT: pb.UPSERT_MODE_INSERT,
    UpsertMode.UPDATE: pb.UPSERT_MODE_UPDATE,
}


class WritePlans:
    """The plans of the methods that write images."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def upsert(
        self,
        images: Any,
        mode: str,
        on_error: OnError,
        progress: ProgressLike,
        collection: str | None,
    ) -> Steps[Upload]:
        check_items(images)
        if mode not in set(UpsertMode):
            what = f"mode is {mode!r}; give 'upsert', 'insert' or 'update'"
            raise InvalidArgumentError(what, field="mode")
        tally = Tally(on_error, progress_function(progress), len(images) if isinstance(images, Sized) else None)
        start = pb.UpsertStart(collection=self._context.name(collection), mode=_MODES[UpsertMode(mode)])
        limits = yield from self._context.limits()
        return Upload(start, prepare_items(images, limits), tally, limits)

    def delete(self, ids: Ids | None, where: Where | None, collection: str | None) -> Steps[DeleteReport]:
        if (ids is None) == (where is None):
            raise InvalidArgumentError("give either ids or where: what shall be deleted", field="ids")
        frame = pb.DeleteImagesRequest(collection=self._context.name(collection), where=where_message(where))
        if ids is None:
            check_filter(frame.where, (yield from self._context.limits()))
            return _deleted([(yield from self._delete(frame))])
        several = [ids] if isinstance(ids, str | Id) else list(ids)
        names = [id_text(id) for id in several]
        limits = yield from self._context.limits()
        if not names:
            return DeleteReport(0, (), (yield from self._version(frame.collection)))
        replies = []
        for part in _parts(names, [len(name.encode()) for name in names], limits):
            request = pb.DeleteImagesRequest(collection=frame.collection, ids=part)
            replies.append((yield from self._delete(request)))
        return _deleted(replies)

    def update(
        self,
        id: str | Id,
        metadata: Mapping[str, Any],
        replace: bool,
        remove: Iterable[str],
        collection: str | None,
    ) -> Steps[Outcome]:
        change = _change(id, metadata, replace, _names(remove))
        request = pb.UpdateMetadataRequest(collection=self._context.name(collection), changes=[change])
        (result,) = (yield from self._update(request)).results
        outcome = outcome_of(result)
        if isinstance(outcome, SetwiseError):
            raise outcome
        return outcome

    def update_many(
        self,
        changes: Changes,
        replace: bool,
        remove: Iterable[str],
        on_error: OnError,
        collection: str | None,
    ) -> Steps[UpdateReport]:
        names, name = _names(remove), self._context.name(collection)
        messages = [_change(id, metadata, replace, names) for id, metadata in _pairs(changes)]
        tally = Tally(on_error, None, len(messages))
        limits = yield from self._context.limits()
        if not messages:
            tally.version = yield from self._version(name)
        number = 0
        for part in _parts(messages, [message.ByteSize() for message in messages], limits):
            reply = yield from self._update(pb.UpdateMetadataRequest(collection=name, changes=part))
            tally.version = reply.collection_version
            for result in reply.results:
                outcome = outcome_of(result)
                if isinstance(outcome, SetwiseError):
                    tally.fail(Failure(number, result.id, outcome))
                else:
                    tally.done(outcome)
                number += 1
            tally.check()
        return tally.updates()

    def _version(self, name: str) -> Steps[int]:
        """The present version, for a report of no change."""
        request = collections_pb2.GetCollectionRequest(name=name)
        reply = yield from ask("CollectionService", "GetCollection", request, collections_pb2.GetCollectionResponse)
        return reply.collection.version

    def _delete(self, request: pb.DeleteImagesRequest) -> Steps[pb.DeleteImagesResponse]:
        return (yield from ask("ImageService", "DeleteImages", request, pb.DeleteImagesResponse, fresh=True))

    def _update(self, request: pb.UpdateMetadataRequest) -> Steps[pb.UpdateMetadataResponse]:
        reply = yield from ask("ImageService", "UpdateMetadata", request, pb.UpdateMetadataResponse, fresh=True)
        if len(reply.results) != len(request.changes):
            raise InternalError(f"the server answered {len(reply.results)} of {len(request.changes)} changes")
        return reply


def progress_function(progress: Any) -> Callable[[Progress], object] | None:
    """Who is told how far it has come. Raises InvalidArgumentError."""
    if progress is None or isinstance(progress, bool):
        return ProgressLine(sys.stderr) if progress else None
    if not callable(progress):
        what = f"progress is {progress!r}; give True, or a function that takes a setwise.Progress"
        raise InvalidArgumentError(what, field="progress")
    told: Callable[[Progress], object] = progress
    return told


def _parts(entries: Sequence[Any], sizes: Sequence[int], limits: Limits) -> Iterator[list[Any]]:
    """As many at once as the server's limits on number and bytes allow."""
    most, room = limits.max_changes or _MOST, (limits.max_message_bytes or 1 << 20) - SLACK
    part: list[Any] = []
    used = 0
    for entry, size in zip(entries, sizes, strict=True):
        if part and (len(part) >= most or used + size > room):
            yield part
            part, used = [], 0
        part.append(entry)
        used += size + 16
    if part:
        yield part


def _deleted(replies: Sequence[pb.DeleteImagesResponse]) -> DeleteReport:
    missing = tuple(id for reply in replies for id in reply.missing_ids)
    version = max((reply.collection_version for reply in replies), default=0)
    return DeleteReport(sum(reply.deleted for reply in replies), missing, version)


def _change(id: str | Id, metadata: Mapping[str, Any], replace: bool, remove: Sequence[str]) -> pb.MetadataChange:
    if replace and remove:
        raise InvalidArgumentError("replace leaves nothing to remove; give one of the two", field="remove")
    return pb.MetadataChange(id=id_text(id), set=metadata_message(metadata), remove=remove, replace=bool(replace))


def _names(remove: Iterable[str]) -> list[str]:
    names = [remove] if isinstance(remove, str) else list(remove)
    if not all(isinstance(name, str) and name for name in names):
        raise InvalidArgumentError(f"remove is {remove!r}; give names of metadata fields", field="remove")
    return names


def _pairs(changes: Any) -> list[tuple[str | Id, Mapping[str, Any]]]:
    pairs = list(changes.items() if isinstance(changes, Mapping) else changes)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            what = "give a dict from ids to metadata, or pairs of the two"
            raise InvalidArgumentError(f"changes holds {pair!r}; {what}", field="changes")
    return pairs
