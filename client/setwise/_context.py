"""What all plans of one client share: the collection it is for, and the limits that the server told it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from setwise._errors import InvalidArgumentError, SetwiseError
from setwise._parse import parse_server
from setwise._steps import Steps, ask
from setwise._values import Limits, ServerInfo
from setwise_proto.v1 import server_pb2

__all__ = ["Context"]


class Context:
    """Asks for the server's limits once, with the first call that needs them."""

    def __init__(self, collection: str | None) -> None:
        self._collection = _check(collection)
        self._limits: Limits | None = None
        self._doubtful = False

    def info(self, *, shared: bool = False) -> Steps[ServerInfo]:
        """Versions, limits and models of the server."""
        request, reply = server_pb2.GetServerInfoRequest(), server_pb2.GetServerInfoResponse
        info = parse_server((yield from ask("ServerService", "GetServerInfo", request, reply, shared=shared)))
        self._limits, self._doubtful = info.limits, False
        return info

    def limits(self) -> Steps[Limits]:
        """What one call may ask for."""
        if self._limits is None or self._doubtful:
            return (yield from self.info(shared=True)).limits
        return self._limits

    @property
    def known(self) -> Limits | None:
        """The limits, when the server has told them."""
        return self._limits

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Around a call: limits that were passed may be others by now, and are asked for anew by the next one."""
        try:
            yield
        except SetwiseError as error:
            if error.reason == "LIMIT_EXCEEDED":
                self._doubtful = True
            raise

    def name(self, collection: str | None) -> str:
        """The collection of a call: its own, or the client's; empty for the server's only one."""
        return self._collection if collection is None else _check(collection)


def _check(collection: str | None) -> str:
    if not isinstance(collection, str | None):
        raise InvalidArgumentError(f"collection is {collection!r}; give a name", field="collection")
    return collection or ""
