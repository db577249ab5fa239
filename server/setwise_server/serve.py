"""The life of a server: listen, load, answer, drain."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health
from threadpoolctl import threadpool_limits

from setwise_server._admission import Admission
from setwise_server._errors import PortError
from setwise_server._health import Health
from setwise_server._holdings import Holdings
from setwise_server._interceptor import CallInterceptor
from setwise_server._pools import Pools
from setwise_server._ports import check_port
from setwise_server._reflection import REFLECTION_PATHS, Reflection
from setwise_server._servicer import SERVICES, STREAMS, Servicer
from setwise_server._signals import told_to_stop
from setwise_server._wire import channel_arguments, raise_open_files
from setwise_server.handlers import methods
from setwise_server.observe import Observer
from setwise_server.security import Guard, server_credentials
from setwise_server.settings import ServerSettings, address

__all__ = ["Server", "run"]

FLUSH_S = 0.5  # for the last replies to leave; health watches never end by themselves

# The event loop needs the interpreter for a moment many times a call, and each time waits as long for a thread that
# computes: with the usual 5 ms, calls beyond the capacity were refused after a second, with this after a quarter of it.
SWITCH_S = 0.0005
LAST_S = 5.0  # after the grace, for calls to notice that they were told to end

log = logging.getLogger("setwise.server")


class Server:
    """One server over some collections: `await start()`, `await load()`, later `await stop()`."""

    def __init__(self, paths: Sequence[str | Path], settings: ServerSettings) -> None:
        self._paths = paths
        self._settings = settings
        self._holdings: Holdings | None = None
        self._opening: asyncio.Future[Holdings] | None = None
        self._blas: threadpool_limits | None = None
        self._pools = Pools(settings)
        self._servicer = Servicer(self._pools, settings.limits.max_message_bytes)
        self._health = Health()
        self._credentials = server_credentials(settings.security)
        streams = STREAMS | REFLECTION_PATHS
        self._observer = Observer(settings.observe, streams)
        gate = CallInterceptor(Guard(settings), Admission(settings), self._observer, streams)
        self._grpc = grpc.aio.server(interceptors=[gate], options=channel_arguments(settings))

    async def start(self) -> int:
        """Listen, answering health checks with NOT_SERVING; the port. Raises PortError."""
        await self._health.alive()
        await self._health.set_collections({Path(path).resolve().stem: False for path in self._paths})
        self._observer.start(self._pools)
        self._grpc.add_generic_rpc_handlers((self._servicer,))
        if self._settings.security.reflection:
            self._grpc.add_generic_rpc_handlers((Reflection((*SERVICES, health.SERVICE_NAME)),))
        self._health.add_to(self._grpc)
        if self._settings.port:
            check_port(self._settings.host, self._settings.port)
        try:
            if self._credentials is None:
                port = self._grpc.add_insecure_port(self._settings.address)
            else:
                port = self._grpc.add_secure_port(self._settings.address, self._credentials)
        except RuntimeError as error:
            raise PortError(f"cannot listen on {self._settings.address}: {error}", field="--port") from error
        await self._grpc.start()
        return port

    async def load(self) -> int:
        """Open the collections, load and warm their networks, turn SERVING; the number of collections.

        Raises what Holdings raises.
        """
        self._opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        holdings = await asyncio.shield(self._opening)
        self._observer.loaded(holdings)
        self._servicer.open(methods(holdings))
        holdings.start()
        self._health.follow(holdings.registry)
        await self._health.set_ready(True)
        return len(holdings.registry)

    async def stop(self) -> bool:
        """Turn NOT_SERVING, refuse new calls, tell streams to end, give what runs `grace` seconds, close everything.

        False when a call heeds nothing at all: then its collection stays open, and the process must be ended."""
        await self._health.stop()
        self._servicer.drain()
        if self._opening is not None:  # a thread that opens collections cannot be told to stop
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._holdings is not None:
            await asyncio.to_thread(self._holdings.stop)
        if not await self._pools.drain(self._settings.grace):
            log.warning("some calls had not ended after %g s of grace and were told to", self._settings.grace)
        await self._grpc.stop(FLUSH_S)
        if not await self._pools.close(LAST_S):
            log.error("some calls did not end %g s after they were told to; the process ends without them", LAST_S)
            return False
        await self._observer.stop()
        if self._holdings is not None:
            await asyncio.to_thread(self._holdings.close)
        if self._blas is not None:
            self._blas.restore_original_limits()
        return True

    def _open(self) -> Holdings:
        self._holdings = Holdings(self._paths, self._settings)
        self._holdings.registry.warm()
        # Calls are the parallelism. BLAS threads beside them only wait for each other: on two busy cores encoding took
        # 49-93 ms with them, 2-8 ms without.
        self._blas = threadpool_limits(1, user_api="blas")
        return self._holdings


def run(paths: Sequence[str | Path], settings: ServerSettings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told, once, in one line, how many collections are served and where.

    Raises PortError, and what opening the collections raises.
    """
    asyncio.run(_run(paths, settings, ready))


async def _run(paths: Sequence[str | Path], settings: ServerSettings, ready: Callable[[str], None]) -> None:
    raise_open_files()
    sys.setswitchinterval(SWITCH_S)
    server = Server(paths, settings)
    with told_to_stop() as told:
        await _serve(server, settings, ready, told)


async def _serve(
    server: Server, settings: ServerSettings, ready: Callable[[str], None], told_to_stop: asyncio.Event
) -> None:
    try:
        port = await server.start()
        stopping, loading = asyncio.create_task(told_to_stop.wait()), asyncio.create_task(server.load())
        await asyncio.wait((stopping, loading), return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            count = loading.result()
            noun = "collection" if count == 1 else "collections"
            ready(f"serving {count} {noun} on {address(settings.host, port)}")
        loading.cancel()
        await stopping
    finally:
        if not await server.stop():
            logging.shutdown()
            os._exit(1)  # the interpreter would wait for its threads for ever; what was acknowledged is on the disk
