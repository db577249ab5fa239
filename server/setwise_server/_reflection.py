"""The interface, told to those who ask: server reflection under both of its names."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from setwise_engine.errors import InvalidInput

__all__ = ["REFLECTION_PATHS", "Reflection"]

_SERVICES = ("grpc.reflection.v1.ServerReflection", reflection.SERVICE_NAME)
REFLECTION_PATHS = frozenset(f"/{service}/ServerReflectionInfo" for service in _SERVICES)


class Reflection(grpc.GenericRpcHandler):
    """Bytes in, bytes out, as the rpcs of ours, so that it passes the same door. The package registers v1alpha only,
    and v1 has the same messages."""

    def __init__(self, services: Sequence[str]) -> None:
        """services: full names, besides reflection's own."""
        self._servicer: Any = reflection.aio.ReflectionServicer((*services, *_SERVICES))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of reflection; None for all other rpcs."""
        if handler_call_details.method not in REFLECTION_PATHS:
            return None
        return grpc.stream_stream_rpc_method_handler(self._tell)

    async def _tell(self, requests: AsyncIterable[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        async for reply in self._servicer.ServerReflectionInfo(_parsed(requests), context):
            await context.write(reply.SerializeToString())


async def _parsed(requests: AsyncIterable[bytes]) -> AsyncIterator[Any]:
    async for data in requests:
        try:
            yield reflection_pb2.ServerReflectionRequest.FromString(data)
        except DecodeError as error:
            raise InvalidInput("the request is no ServerReflectionRequest") from error
