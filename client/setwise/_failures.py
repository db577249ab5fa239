"""From gRPC's own failures to the client's errors, with what the caller can do about them."""

from __future__ import annotations

import grpc
import grpc.aio

from setwise._errors import (
    DeadlineExceededError,
    InternalError,
    PermissionDeniedError,
    SetwiseError,
    UnauthenticatedError,
    UnavailableError,
)
from setwise._status import parse_details
from setwise._wire import API_KEY_VARIABLE, Wire

__all__ = ["translate"]

_DISTRUST = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification")
"""In gRPC's words: the server's certificate is not one that this client takes."""


def translate(error: grpc.RpcError, wire: Wire, timeout: float | None) -> SetwiseError:
    """The client's error for a call that failed. timeout: of the call, in seconds."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return InternalError(f"the call to {wire.address} failed: {error!r}")
    number = error.code().value[0]
    found = parse_details(number, error.details() or "", error.trailing_metadata() or ())
    if isinstance(found, UnauthenticatedError | PermissionDeniedError):
        return _refused(found, wire)
    if found.reason != found.code:
        return found
    # Without a reason of the server's the sentence is gRPC's own, and lacks what the caller needs to know.
    if isinstance(found, UnavailableError):
        return _unavailable(found, wire)
    if isinstance(found, DeadlineExceededError):
        after = "in time" if timeout is None else f"within {timeout:.3g} s"
        what = f"no answer from {wire.address} {after}; allow more time with timeout="
        return DeadlineExceededError(what, request_id=found.request_id)
    return found


def _refused(error: SetwiseError, wire: Wire) -> SetwiseError:
    """With what the server cannot know: where the key came from."""
    advice = f"no key was sent to {wire.address}; give one as api_key=, or in the variable {API_KEY_VARIABLE}"
    return type(error)(
        f"{error.message} ({f'{wire.source} was sent to {wire.address}' if wire.api_key else advice})",
        code=error.code,
        reason=error.reason,
        field=error.field,
        details=error.details,
        request_id=error.request_id,
    )


def _unavailable(error: SetwiseError, wire: Wire) -> UnavailableError:
    said, named = error.message, error.request_id
    if any(words in said for words in _DISTRUST):
        why = said.partition("CERTIFICATE_VERIFY_FAILED: ")[2].partition(":")[0] or "it is made out for another name"
        advice = "give the authority that signed it as ca=, and a name that it holds as the target"
        what = f"the certificate of {wire.address} is not trusted ({why}); {advice}"
        return UnavailableError(what, reason="TLS_FAILED", request_id=named, details={"grpc": said})
    if "WRONG_VERSION_NUMBER" in said:
        what = f"{wire.address} does not speak TLS; leave out tls= and ca=, or start the server with a certificate"
        return UnavailableError(what, reason="TLS_FAILED", request_id=named, details={"grpc": said})
    # A server that closes the door during the handshake looks from here like one that is not there.
    asks = "TLS (tls=, ca=)" if wire.credentials is None else "a certificate of yours (certificate=, key=)"
    advice = f"start one with `setwise serve`, or check the address, and whether it asks for {asks}"
    return UnavailableError(f"no server answers at {wire.address} ({said}); {advice}", request_id=named)
