"""What became of a call."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """seconds: from the call's arrival to its end. reason: of ErrorInfo; message: the status's; both empty for OK.
    limit: the name of the limit that the call went over, if that was it."""

    seconds: float
    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    limit: str = ""
