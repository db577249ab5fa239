"""What became of a call."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """seconds: from the call's arrival to its end. reason: of ErrorInfo; message: the status's; both empty for OK."""

    seconds: float
    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
