"""The services as grpc.aio sees them: bytes in, bytes out, everything else in the pools."""

from __future__ import annotations

from functools import partial

import grpc
import grpc.aio

from setwise_engine.errors import InvalidInput
from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2
from setwise_server._admission import client_of
from setwise_server._asked import asked
from setwise_server._call import Call
from setwise_server._errors import NotReadyError, UnknownMethodError
from setwise_server._pools import Pools
from setwise_server._streams import Stream, check_reply, check_request
from setwise_server._trim import Trimmer
from setwise_server._visit import VISIT
from setwise_server.handlers import Method

__all__ = ["PATHS", "SERVICES", "STREAMS", "Servicer"]

Context = grpc.aio.ServicerContext[bytes, bytes]

_DESCRIPTORS = [
    service
    for module in (collections_pb2, images_pb2, search_pb2, server_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
]
_RPCS = {f"/{service.full_name}/{rpc.name}": rpc for service in _DESCRIPTORS for rpc in service.methods}
SERVICES = tuple(sorted(service.full_name for service in _DESCRIPTORS))
PATHS = frozenset(_RPCS)
STREAMS = frozenset(path for path, rpc in _RPCS.items() if rpc.client_streaming or rpc.server_streaming)


class Servicer(grpc.GenericRpcHandler):
    """Answers every rpc of ours. Until `open` was called and after `drain` it refuses with NotReadyError.

    Requests are parsed and replies serialised in the pools too: 15 MB of image must not hold up a health check.
    """

    def __init__(self, pools: Pools, max_bytes: int) -> None:
        """max_bytes: of a request or reply message."""
        self._pools = pools
        self._max_bytes = max_bytes
        self._methods: dict[str, Method] = {}
        self._refusal = "the server is still loading its collections; try again shortly"
        self._streams: set[Stream] = set()
        self._trimmer = Trimmer()

    def open(self, methods: dict[str, Method]) -> None:
        """Begin to answer."""
        self._methods = methods

    def drain(self) -> None:
        """Refuse every further call, and end the requests of the streams that run."""
        self._methods = {}
        self._refusal = "the server is about to stop; ask another one, or try again shortly"
        for stream in self._streams:
            stream.drain()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of an rpc of ours; None for all others."""
        path = handler_call_details.method
        if path not in PATHS:
            return None
        # On the wire a side that sends one message is a stream of one: nothing is read before the caller was let in.
        behaviour = self._stream if path in STREAMS else self._answer
        return grpc.stream_stream_rpc_method_handler(partial(behaviour, path))

    async def _answer(self, path: str, _: object, context: Context) -> None:
        method = self._method(path)
        visit, left = VISIT.get(), context.time_remaining()
        call = Call(left, visit.record)
        with self._pools.of(method.kind).place(call, client_of(visit.caller, visit.peer), left) as place:
            data = await place.receive(context.read())
            if not isinstance(data, bytes):
                raise InvalidInput("the call ended without a request")
            check_request(data, self._max_bytes)
            try:
                reply = await place.run(partial(self._work, method, data, call))
            finally:
                self._trimmer.ended(len(data))
        await context.write(reply)

    async def _stream(self, path: str, _: object, context: Context) -> None:
        method = self._method(path)
        visit, left = VISIT.get(), context.time_remaining()
        call = Call(left, visit.record)
        stream = Stream(context, call, method.parse, self._max_bytes)
        with self._pools.of(method.kind).place(call, client_of(visit.caller, visit.peer), left) as place:
            self._streams.add(stream)
            try:
                await place.run(partial(method.handle, stream.requests(), call, stream.emit))
            finally:
                self._streams.discard(stream)

    def _method(self, path: str) -> Method:
        if not self._methods:
            raise NotReadyError(self._refusal)
        method = self._methods.get(path)
        if method is None:
            raise UnknownMethodError(f"this server does not answer {path}")
        return method

    def _work(self, method: Method, data: bytes, call: Call) -> bytes:
        call.record.add("queue", call.elapsed_ms() / 1000)
        call.check()
        request = method.parse(data)
        call.record.asked = asked(request)
        return check_reply(method.handle(request, call), self._max_bytes)
