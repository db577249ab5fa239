"""What every call passes: the guard, admission, the observer; and what turns what a call raises into its status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from setwise_server._admission import Admission
from setwise_server._status import DETAILS_KEY, error_info, grpc_code, status_of
from setwise_server._visit import REQUEST_ID_KEY, VISIT, Visit, request_id
from setwise_server._wire import check_metadata, joined
from setwise_server.observe import Observer, Outcome
from setwise_server.security import Guard
from setwise_server.security._audit import Audit

__all__ = ["CallInterceptor"]

HEALTH = "/grpc.health.v1.Health/"
AHEAD_S, AHEAD = 0.1, 0.1
"""Who leaves so close to his deadline, in seconds or as a share of his time, left because of it."""
Context = grpc.aio.ServicerContext[bytes, bytes]
Behaviour = Callable[[Any, Context], Awaitable[Any]]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every rpc but health. Nothing of a request is read before its caller was let in: unary rpcs, too, come as
    streams, whose handlers read by themselves."""

    def __init__(self, guard: Guard, admission: Admission, observer: Observer, streams: frozenset[str]) -> None:
        """streams: paths of the rpcs that stream."""
        self._guard, self._admission, self._observer = guard, admission, observer
        self._audit = Audit()
        self._streams = streams

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, wrapped. Health alone is open: those who watch over a server have no keys."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler

        async def wrapped(request: Any, context: Context) -> None:
            await self._call(method, handler.stream_stream, request, context)

        return grpc.stream_stream_rpc_method_handler(wrapped)

    async def _call(self, method: str, behaviour: Behaviour, request: Any, context: Context) -> None:
        metadata = joined(context.invocation_metadata() or ())
        visit = Visit(method, request_id(_text(metadata.get(REQUEST_ID_KEY))), context.peer())
        VISIT.set(visit)
        context.set_trailing_metadata(((REQUEST_ID_KEY, visit.request_id),))
        with self._observer.during(visit, metadata):
            try:
                check_metadata(metadata)
                visit.caller = self._guard.identify(metadata, context.auth_context())
                self._guard.check(visit.caller, method)
                with self._admission.enter(visit.caller, visit.peer, stream=method in self._streams):
                    await behaviour(request, context)
            except asyncio.CancelledError:
                self._ended(visit, _gone(context, visit))
                raise
            except Exception as error:  # whatever it is, the caller gets a status
                status = status_of(error, visit.request_id)
                code, info = grpc_code(status), error_info(status)
                self._ended(visit, code, info.reason, status.message, info.metadata["limit"])
                trailers = ((DETAILS_KEY, status.SerializeToString()), (REQUEST_ID_KEY, visit.request_id))
            else:
                self._ended(visit, grpc.StatusCode.OK)
                return
            # Not in the clause above: what gRPC raises here stays in a ring of its own, and would keep `error` there.
            await context.abort(code, status.message, trailers)

    def _ended(self, visit: Visit, code: grpc.StatusCode, reason: str = "", message: str = "", limit: str = "") -> None:
        self._observer.ended(visit, Outcome(visit.elapsed(), code, reason, message, limit))
        self._audit.ended(visit, code, reason)


def _gone(context: Context, visit: Visit) -> grpc.StatusCode:
    """Why a caller waits no more, as he hears it himself; his clock began before ours, by the way the call took."""
    left = context.time_remaining()
    late = max(AHEAD_S, AHEAD * (visit.elapsed() + (left or 0.0)))
    return grpc.StatusCode.CANCELLED if left is None or left > late else grpc.StatusCode.DEADLINE_EXCEEDED


def _text(value: str | bytes | None) -> str | None:
    return value if isinstance(value, str) else None
