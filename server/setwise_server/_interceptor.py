"""Turns what a call raises into its status on the wire: the only place in the server that does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from setwise_server._status import DETAILS_KEY, error_info, grpc_code, status_of

__all__ = ["ErrorInterceptor"]

log = logging.getLogger("setwise.server")

Behaviour = Callable[[Any, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[Any]]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every rpc of ours; a failed call ends with a google.rpc.Status and leaves one line in the log."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, guarded when it is one of ours (others belong to health and reflection)."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/setwise."):
            return handler
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(_guarded(method, handler.stream_stream))
        return grpc.unary_unary_rpc_method_handler(_guarded(method, handler.unary_unary))


def _guarded(method: str, behaviour: Behaviour) -> Any:
    """The behaviour of a unary rpc or of a stream: both are coroutines, a stream's gives nothing."""

    async def guarded(request: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> Any:
        started = time.perf_counter()
        try:
            return await behaviour(request, context)
        except asyncio.CancelledError:
            log.info("%s CANCELLED after %.0f ms", method, (time.perf_counter() - started) * 1000)
            raise
        except Exception as error:  # whatever it is, the caller gets a status
            status = status_of(error)
            elapsed = (time.perf_counter() - started) * 1000
            code, reason = grpc_code(status), error_info(status).reason
            log.warning("%s %s %s after %.0f ms: %s", method, code.name, reason, elapsed, status.message)
            await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))

    return guarded
