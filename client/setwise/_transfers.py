"""The two other streams: samples for an encoder on their way there, and a snapshot on its way here."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from setwise._errors import (
    CancelledError,
    DataLossError,
    FailedPreconditionError,
    InternalError,
    ResourceExhaustedError,
    SetwiseError,
)
from setwise._line import Line, StreamEnded
from setwise._parse import parse_collection
from setwise._reports import FitReport, Progress, SnapshotInfo
from setwise._retry import Budget, Retries
from setwise._transport import Transport
from setwise_proto.v1 import collections_pb2 as pb

__all__ = ["Download", "Fit"]

T = TypeVar("T")


class _Transfer:
    """A stream that is begun again only when the server let none in. `cancel` may be called from any thread."""

    _line: Line[pb.FitEncoderResponse] | Line[pb.DownloadSnapshotResponse] | None = None

    def __init__(self) -> None:
        self._cancelled, self._answered = threading.Event(), False

    def cancel(self) -> None:
        """End it soon: `run` raises CancelledError."""
        self._cancelled.set()
        if self._line is not None:
            self._line.cancel()

    def _let_in(self, attempt: Callable[[], T], budget: Budget, retries: Retries) -> T:
        """What an attempt gives, the first that the server does not turn away at the door for being full."""
        number = 0
        budget.renew()
        while True:
            try:
                return attempt()
            except ResourceExhaustedError as error:
                pause = retries.wait(error, number, budget.remaining(), once=True)
                if pause is None or self._answered:
                    raise
            number += 1
            if self._cancelled.wait(pause):
                raise CancelledError("the call was cancelled")


class Fit(_Transfer):
    """Samples for the encoder of a collection."""

    method = "/setwise.v1.CollectionService/FitEncoder"

    def __init__(self, requests: Sequence[pb.FitEncoderRequest]) -> None:
        super().__init__()
        self._requests = requests

    def run(self, transport: Transport, budget: Budget, retries: Retries) -> FitReport:
        """Send them and wait for the encoder. Raises SetwiseError."""
        return self._let_in(lambda: self._send(transport, budget), budget, retries)

    def _send(self, transport: Transport, budget: Budget) -> FitReport:
        self._line = line = Line(transport, self.method, iter(self._requests), pb.FitEncoderResponse)
        try:
            reply = line.expect(budget.timeout())
            line.finish()
        except StreamEnded:
            raise InternalError("the server ended the stream without an answer") from None
        finally:
            line.close()
        return FitReport(parse_collection(reply.collection), reply.samples)


class Download(_Transfer):
    """A snapshot into a file, which appears under its name once it is whole and on disk."""

    method = "/setwise.v1.CollectionService/DownloadSnapshot"

    def __init__(self, name: str, out: Path | BinaryIO, progress: Callable[[Progress], object] | None) -> None:
        super().__init__()
        self._request, self._out, self._progress = pb.DownloadSnapshotRequest(name=name), out, progress

    def run(self, transport: Transport, budget: Budget, retries: Retries) -> SnapshotInfo:
        """Fetch it. budget: how long the next piece may take. Raises SetwiseError; DataLossError when what came is not
        what was sent; FailedPreconditionError when the file cannot be written."""
        out = self._out
        if not isinstance(out, Path):
            return self._let_in(lambda: self._fetch(transport, budget, out), budget, retries)
        part = out.with_name(f"{out.name}.part")
        try:
            with part.open("wb") as file:
                info = self._let_in(lambda: self._fetch(transport, budget, file), budget, retries)
                file.flush()
                os.fsync(file.fileno())
            part.replace(out)
            _sync_folder(out.absolute().parent)
        except BaseException as error:
            with suppress(OSError):
                part.unlink()
            if isinstance(error, OSError) and not isinstance(error, SetwiseError):
                what = f"cannot write the snapshot to {out}: {error.strerror or error}"
                raise FailedPreconditionError(what, field="path") from error
            raise
        return info

    def _fetch(self, transport: Transport, budget: Budget, file: BinaryIO) -> SnapshotInfo:
        self._line = line = Line(transport, self.method, iter([self._request]), pb.DownloadSnapshotResponse)
        begun, received, digest = time.monotonic(), 0, hashlib.sha256()
        start = pb.SnapshotStart()
        try:
            while True:
                reply = line.expect(budget.timeout())
                budget.renew()
                self._answered = True
                match reply.WhichOneof("message"):
                    case "start":
                        start = reply.start
                    case "piece":
                        file.write(reply.piece)
                        digest.update(reply.piece)
                        received += len(reply.piece)
                        if self._progress is not None:
                            seconds = time.monotonic() - begun
                            self._progress(Progress(0, 0, start.bytes or None, received, seconds))
                    case "end":
                        _check(reply.end, received, digest.hexdigest())
                        line.finish()
                        return SnapshotInfo(start.name, start.version, start.images, received, reply.end.sha256)
        except StreamEnded:
            raise DataLossError("the snapshot ended before its end was told; fetch it again") from None
        finally:
            line.close()


def _check(end: pb.SnapshotEnd, received: int, sha256: str) -> None:
    if (end.bytes, end.sha256) != (received, sha256):
        told = f"{end.bytes:,} bytes with SHA-256 {end.sha256} were sent"
        raise DataLossError(f"{told}, {received:,} with {sha256} came; fetch the snapshot again")


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
