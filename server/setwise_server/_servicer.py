"""The services as grpc.aio sees them: bytes in, bytes out, everything else in the pool."""

from __future__ import annotations

from functools import partial

import grpc
import grpc.aio

from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2
from setwise_server._call import Call
from setwise_server._errors import NotReadyError, ReplyTooLargeError
from setwise_server._runner import Runner
from setwise_server.handlers import Method

__all__ = ["PATHS", "SERVICES", "Servicer"]

_DESCRIPTORS = [
    service
    for module in (collections_pb2, images_pb2, search_pb2, server_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
]
SERVICES = tuple(sorted(service.full_name for service in _DESCRIPTORS))
PATHS = frozenset(f"/{service.full_name}/{rpc.name}" for service in _DESCRIPTORS for rpc in service.methods)


class Servicer(grpc.GenericRpcHandler):
    """Answers every rpc of ours. Until `open` was called and after `drain` it refuses with NotReadyError.

    Requests are parsed and replies serialised in the pool too: 15 MB of image must not hold up a health check.
    """

    def __init__(self, runner: Runner, max_reply_bytes: int) -> None:
        self._runner = runner
        self._max_reply_bytes = max_reply_bytes
        self._methods: dict[str, Method] = {}
        self._refusal = "the server is still loading its collections; try again shortly"

    def open(self, methods: dict[str, Method]) -> None:
        """Begin to answer."""
        self._methods = methods

    def drain(self) -> None:
        """Refuse every further call."""
        self._methods = {}
        self._refusal = "the server is about to stop; ask another one, or try again shortly"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of an rpc of ours; None for all others."""
        path = handler_call_details.method
        if path not in PATHS:
            return None
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, path))

    async def _answer(self, path: str, data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        method = self._methods.get(path)
        if method is None:
            raise NotReadyError(self._refusal)
        call = Call(context.time_remaining())
        return await self._runner.run(partial(self._work, method, data, call), call)

    def _work(self, method: Method, data: bytes, call: Call) -> bytes:
        call.check()
        reply = method.handle(method.parse(data), call).SerializeToString()
        if len(reply) > self._max_reply_bytes:
            raise ReplyTooLargeError(
                f"the answer has {len(reply)} bytes, more than the {self._max_reply_bytes} of one message; "
                "ask for fewer images, or without thumbnails, matches or features"
            )
        return reply
