"""Counts what became of images, and does with the failed ones what the caller asked for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Literal, TypeAlias

from setwise._errors import InternalError, InvalidArgumentError, SetwiseError
from setwise._item import shortened
from setwise._reports import OUTCOMES, Failure, Outcome, Progress, UpdateReport, UpsertReport
from setwise._status import make_error
from setwise_proto.v1 import images_pb2

__all__ = ["OnError", "ProgressLike", "Tally", "outcome_of"]

OnError: TypeAlias = Literal["raise", "collect"] | Callable[[Failure], object]
"""What to do with images that fail: raise the first once those before it are answered, collect, or call."""
ProgressLike: TypeAlias = bool | Callable[[Progress], object] | None
"""Who is told how far it has come: None or False nobody, True the standard error stream, or a function."""


class Tally:
    """The counts of one call.

    stop: the first failure, when failures are to be raised; nothing more shall be sent then. Raises
    InvalidArgumentError for another on_error.
    """

    def __init__(self, on_error: OnError, progress: Callable[[Progress], object] | None, total: int | None) -> None:
        if on_error not in ("raise", "collect") and not callable(on_error):
            what = f"on_error is {on_error!r}; give 'raise', 'collect' or a function"
            raise InvalidArgumentError(what, field="on_error")
        self._on_error, self._progress, self._total = on_error, progress, total
        self._counts: Counter[Outcome] = Counter()
        self._errors: list[Failure] = []
        self._failed, self._bytes, self._begun = 0, 0, time.monotonic()
        self.version = 0
        self.stop: Failure | None = None

    @property
    def answered(self) -> int:
        """Images that are done with."""
        return self._counts.total() + self._failed

    def done(self, outcome: Outcome, size: int = 0) -> None:
        """An image is on disk for good."""
        self._counts[outcome] += 1
        self._bytes += size

    def fail(self, failure: Failure) -> None:
        """An image was not stored. What the caller's function raises comes through."""
        self._failed += 1
        if callable(self._on_error):
            self._on_error(failure)
        elif self._on_error == "collect":
            self._errors.append(failure)
        elif self.stop is None:
            self.stop = failure

    def tell(self) -> None:
        """Report how far it has come."""
        if self._progress is not None:
            seconds = time.monotonic() - self._begun
            self._progress(Progress(self._counts.total(), self._failed, self._total, self._bytes, seconds))

    def check(self) -> None:
        """Raise the failure that stopped the call, as the error of its image."""
        if self.stop is None:
            return
        error, name = self.stop.error, self.stop.id
        where = f"image {shortened(name)!r}" if name else f"image number {self.stop.number}"
        raise type(error)(
            f"{where}: {error.message}",
            code=error.code,
            reason=error.reason,
            field=error.field,
            retry_after=error.retry_after,
            details=error.details | {"id": name, "number": str(self.stop.number)},
        )

    def upserts(self) -> UpsertReport:
        """The report of an upsert. Raises what stopped it."""
        self.check()
        stored = (Outcome.INSERTED, Outcome.REPLACED, Outcome.UNCHANGED, Outcome.UPDATED)
        seconds = time.monotonic() - self._begun
        counts = {str(outcome): self._counts[outcome] for outcome in stored}
        return UpsertReport(
            **counts, failed=self._failed, version=self.version, errors=self._sorted_errors(), seconds=seconds
        )

    def updates(self) -> UpdateReport:
        """The report of changes of metadata. Raises what stopped them."""
        self.check()
        updated, unchanged = self._counts[Outcome.UPDATED], self._counts[Outcome.UNCHANGED]
        return UpdateReport(updated, unchanged, self._failed, self.version, self._sorted_errors())

    def _sorted_errors(self) -> tuple[Failure, ...]:
        """In the order of what was given: what is wrong here is known before what a server finds."""
        return tuple(sorted(self._errors, key=lambda failure: failure.number))


def outcome_of(result: images_pb2.ImageResult) -> Outcome | SetwiseError:
    """What became of one image."""
    if result.HasField("error"):
        error = result.error
        return make_error(error.code, error.message, reason=error.reason, field=error.field)
    if result.done not in OUTCOMES:
        return InternalError(f"the server answered {result.done} for image {result.id!r}; update the client")
    return OUTCOMES[result.done]
