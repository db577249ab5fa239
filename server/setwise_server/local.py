"""The server inside the caller's own process: the same handlers on the same messages, without a wire."""

from __future__ import annotations

from contextlib import ExitStack

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from setwise_server._call import Call
from setwise_server._errors import UnknownMethodError
from setwise_server._registry import Registry
from setwise_server._scratch import scratch_collection
from setwise_server._status import status_of
from setwise_server.handlers import methods
from setwise_server.settings import ServerSettings

__all__ = ["LocalServer", "open_local"]


class LocalServer:
    """One collection, answered in the calling thread. Its network is loaded when the first image is asked with.

    Thread-safe. A context manager.
    """

    def __init__(self, path: str | None) -> None:
        settings = ServerSettings()
        with ExitStack() as stack:
            folder = stack.enter_context(scratch_collection()) if path is None else path
            self._registry = Registry([folder], settings)
            stack.callback(self._registry.close)
            self._stack = stack.pop_all()
        self._methods = methods(self._registry, settings)

    def call(self, method: str, request: Message, timeout: float | None = None) -> tuple[Status, Message | None]:
        """Answer a request as the wire would: `method` is "/setwise.v1.SearchService/Search" and the like, `timeout`
        the deadline in seconds. The status's code is 0 and the response present, or there is no response."""
        try:
            known = self._methods.get(method)
            if known is None:
                raise UnknownMethodError(f'there is no method "{method}"; the .proto files list all of them')
            return Status(), known.handle(request, Call(timeout))
        except Exception as error:  # as on the wire: whatever it is, the caller gets a status
            return status_of(error), None

    def close(self) -> None:
        """Close the collection."""
        self._stack.close()

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_local(path: str | None) -> LocalServer:
    """Open one collection for calls in this process; None: an empty one of the default network, to compare pictures.

    Raises what Collection.open raises, and Unavailable for None when the default network's weights are not here.
    """
    return LocalServer(path)
