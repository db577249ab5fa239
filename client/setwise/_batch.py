"""Many queries in few calls: chunked by bytes and by number, and halved when the answers do not fit in one reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from setwise._errors import InternalError, ResourceExhaustedError, SetwiseError
from setwise._hits import Hits
from setwise._parse import parse_item
from setwise._query import Query
from setwise._steps import SLACK, Steps, ask
from setwise._values import Limits
from setwise_proto.v1 import search_pb2, types_pb2

__all__ = ["Batch", "Outcome"]

Outcome: TypeAlias = Hits | SetwiseError
Waiting: TypeAlias = tuple[int, types_pb2.Query, Query]

_TAG = 16
"""Bytes around one query of a batch, at most."""


class Batch:
    """Queries that wait to be sent together: as many as the server's limits on number and bytes allow."""

    def __init__(self, frame: search_pb2.SearchBatchRequest, limits: Limits) -> None:
        self._frame, self._limits = frame, limits
        self._room = limits.max_message_bytes - frame.ByteSize() - SLACK
        self._waiting: list[Waiting] = []
        self._bytes = 0

    def add(self, place: int, message: types_pb2.Query, asked: Query) -> None:
        self._waiting.append((place, message, asked))
        self._bytes += message.ByteSize() + _TAG

    def is_full_with(self, message: types_pb2.Query) -> bool:
        count = len(self._waiting)
        return count > 0 and (count >= self._limits.max_batch or self._bytes + message.ByteSize() + _TAG > self._room)

    def send(self, outcomes: list[Outcome | None]) -> Steps[None]:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        yield from self._send(waiting, outcomes)

    def _send(self, part: Sequence[Waiting], outcomes: list[Outcome | None]) -> Steps[None]:
        if not part:
            return
        request = search_pb2.SearchBatchRequest(queries=[message for _, message, _ in part])
        request.MergeFrom(self._frame)
        try:
            reply = yield from ask("SearchService", "SearchBatch", request, search_pb2.SearchBatchResponse, fresh=True)
        except ResourceExhaustedError as error:
            # Thumbnails and matches of many queries may be more than one reply can carry.
            if error.reason != "REPLY_TOO_LARGE":
                raise
            if len(part) == 1:
                outcomes[part[0][0]] = error
                return
            half = len(part) // 2
            yield from self._send(part[:half], outcomes)
            yield from self._send(part[half:], outcomes)
            return
        if len(reply.items) != len(part):
            raise InternalError(f"the server answered {len(reply.items)} of {len(part)} queries of a batch")
        for (place, _, asked), item in zip(part, reply.items, strict=True):
            outcomes[place] = parse_item(item, asked)
