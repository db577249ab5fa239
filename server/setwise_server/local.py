"""The server inside the caller's own process: the same handlers on the same messages, without a wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from setwise_server._blas import one_blas_thread
from setwise_server._call import Call
from setwise_server._errors import UnknownMethodError
from setwise_server._holdings import Holdings
from setwise_server._local_streams import local_stream
from setwise_server._scratch import scratch_collection
from setwise_server._status import status_of
from setwise_server.handlers import Kind, Method, methods
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
            holdings = Holdings([folder], settings)
            stack.callback(holdings.close)
            self._stack = stack.pop_all()
        self._methods = methods(holdings)

    def call(
        self, method: str, request: Message, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Status, Message | None]:
        """Answer a request as the wire would: `method` is "/setwise.v1.SearchService/Search" and the like, `timeout`
        the deadline in seconds, `request_id` what the log calls it. The status's code is 0 and the response present, or
        there is no response."""
        try:
            with one_blas_thread():
                return Status(), self._method(method, streams=False).handle(request, Call(timeout))
        except Exception as error:  # as on the wire: whatever it is, the caller gets a status
            return status_of(error, request_id), None

    def stream(
        self,
        method: str,
        requests: Iterable[Message],
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Iterator[tuple[Status, Message | None]]:
        """Answer a streaming method, whichever side streams; a side that does not has one message.

        Gives each reply with a status of code 0 and at last the status of the whole with None, code 0 when all went
        well. `requests` is read in another thread as the handler asks for them. Closing the iterator early cancels the
        call and waits for it, so `requests` must come to an end then.
        """
        try:
            known = self._method(method, streams=True)
        except UnknownMethodError as error:
            yield status_of(error, request_id), None
            return
        with one_blas_thread():
            yield from local_stream(known, requests, Call(timeout), request_id)

    def close(self) -> None:
        """Close the collection."""
        self._stack.close()

    def _method(self, path: str, *, streams: bool) -> Method:
        known = self._methods.get(path)
        if known is None or (known.kind is Kind.STREAM) != streams:
            raise UnknownMethodError(f'there is no method "{path}" of that kind; the .proto files list all of them')
        return known

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_local(path: str | None) -> LocalServer:
    """Open one collection for calls in this process; None: an empty one of the default network, to compare pictures.

    Raises what Collection.open raises, and Unavailable for None when the default network's weights are not here.
    """
    return LocalServer(path)
