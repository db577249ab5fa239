"""Everything the engine refuses, and why.

    EngineError
    ├── InvalidInput            a value of the caller's is wrong                    INVALID_ARGUMENT
    │   ├── ImageError          bytes that are no usable image                      INVALID_ARGUMENT
    │   │   └── ImageLimitError more pixels than are decoded here                   INVALID_ARGUMENT
    │   └── FeatureError        tokens that are not finite, or of a wrong shape     INVALID_ARGUMENT
    ├── NotFound                no such image, collection, model or file            NOT_FOUND
    ├── AlreadyExists           an image or collection of that name is there        ALREADY_EXISTS
    ├── Incompatible            two things that were not made for each other        FAILED_PRECONDITION
    ├── Unavailable             weights, packages or rights that this machine lacks FAILED_PRECONDITION
    ├── CollectionError         a directory that cannot be used                     FAILED_PRECONDITION
    │   ├── FormatError         not ours, or of an unknown version                  FAILED_PRECONDITION
    │   ├── CorruptError        bytes that differ from what was written             DATA_LOSS
    │   ├── LockedError         another writer holds the lock                       ABORTED
    │   └── ReadOnlyError       opened or gone read-only                            FAILED_PRECONDITION
    ├── DeadlineError           the caller's time is up                             DEADLINE_EXCEEDED
    └── CancelledError          the caller has gone                                 CANCELLED

Every message is a sentence that names the offending file, field or value and says what to do.
The gRPC codes on the right are given by the server's one interceptor.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "CancelledError",
    "CollectionError",
    "CorruptError",
    "DeadlineError",
    "EngineError",
    "FeatureError",
    "FormatError",
    "ImageError",
    "ImageLimitError",
    "Incompatible",
    "InvalidInput",
    "LockedError",
    "NotFound",
    "ReadOnlyError",
    "Unavailable",
]


class EngineError(Exception):
    """Base of everything the engine raises on purpose.

    `reason` is the stable name that travels as google.rpc.ErrorInfo.reason; `field` names the request field or
    command-line option at fault, or is empty.
    """

    reason: ClassVar[str] = "ENGINE_ERROR"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidInput(EngineError, ValueError):
    """A value of the caller's is wrong."""

    reason = "INVALID_INPUT"


class ImageError(InvalidInput):
    """Bytes that are no usable image."""

    reason = "INVALID_IMAGE"


class ImageLimitError(ImageError):
    """An image larger than may be decoded here; `info` names the limit, as a server tells it, and its value."""

    reason = "LIMIT_EXCEEDED"

    def __init__(self, message: str, *, field: str = "", limit: str = "", allowed: int = 0) -> None:
        super().__init__(message, field=field)
        self.info = {"limit": limit, "allowed": str(allowed)} if limit else {}


class FeatureError(InvalidInput):
    """Tokens that are not finite or have a wrong shape."""

    reason = "INVALID_FEATURES"


class NotFound(EngineError, LookupError):
    """No such image, collection, model or file."""

    reason = "NOT_FOUND"


class AlreadyExists(EngineError):
    """An image or a collection of that name is there already."""

    reason = "ALREADY_EXISTS"


class Incompatible(EngineError):
    """Two things that were not made for each other, such as a query of another model."""

    reason = "INCOMPATIBLE"


class Unavailable(EngineError):
    """Weights, packages or rights that this machine lacks."""

    reason = "UNAVAILABLE_HERE"


class CollectionError(EngineError):
    """A collection's directory that cannot be used."""

    reason = "COLLECTION_ERROR"


class FormatError(CollectionError):
    """A directory or file that is not ours or is of a version this release does not know."""

    reason = "UNKNOWN_FORMAT"


class CorruptError(CollectionError):
    """Bytes that differ from what was written."""

    reason = "CORRUPT"


class LockedError(CollectionError):
    """Another writer holds the collection."""

    reason = "LOCKED"


class ReadOnlyError(CollectionError):
    """A write to a collection that was opened, or has become, read-only."""

    reason = "READ_ONLY"


class DeadlineError(EngineError):
    """The caller's time is up."""

    reason = "DEADLINE_EXCEEDED"


class CancelledError(EngineError):
    """The caller has gone."""

    reason = "CANCELLED"
