"""What the standard health service says of this server, name by name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from setwise_server._registry import Registry
from setwise_server._servicer import SERVICES

__all__ = ["LIVENESS", "READINESS", "Health"]

LIVENESS = "liveness"
"""SERVING for as long as the process answers at all: whoever restarts what hangs asks for this."""
READINESS = "readiness"
"""As the empty name: SERVING once everything was loaded and until the server is told to stop."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

MAX_WATCHES = 1000  # health is open to everybody, and a watch never ends by itself


class Health:
    """grpc.health.v1 for "", each of our services, "liveness", "readiness", and "collection/NAME" for each collection
    and alias. A collection is SERVING when it can be asked. For the event loop's thread."""

    def __init__(self) -> None:
        self._servicer = _Servicer()
        self._ready = False
        self._collections: Mapping[str, bool] = {}
        self._lock = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Answer there."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def alive(self) -> None:
        """Say that the server is there, and not ready."""
        await self._servicer.set(LIVENESS, SERVING)
        await self.set_ready(False)

    async def set_ready(self, ready: bool) -> None:
        """Whether calls are answered now."""
        self._ready = ready
        async with self._lock:
            for name in ("", READINESS, *SERVICES):
                await self._servicer.set(name, _status(ready))
        await self.set_collections(self._collections)

    async def set_collections(self, collections: Mapping[str, bool]) -> None:
        """The collections and aliases that there are now, and whether each can be asked."""
        async with self._lock:
            for name in self._collections.keys() - collections.keys():
                await self._servicer.forget(f"collection/{name}")
            self._collections = dict(collections)
            for name, usable in self._collections.items():
                await self._servicer.set(f"collection/{name}", _status(usable and self._ready))

    def follow(self, registry: Registry) -> None:
        """Tell of the collections and aliases there until `stop`."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        async def follow() -> None:
            while True:
                changed.clear()
                await self.set_collections(registry.usable())
                await changed.wait()

        registry.watch(lambda: loop.call_soon_threadsafe(changed.set))
        self._following = asyncio.create_task(follow())

    async def stop(self) -> None:
        """Say that no calls are answered any more."""
        if self._following is not None:
            self._following.cancel()
        await self.set_ready(False)


def _status(serving: bool) -> health_pb2.HealthCheckResponse.ServingStatus:
    return SERVING if serving else NOT_SERVING


class _Servicer(health.aio.HealthServicer):  # type: ignore[misc]  # the package has no types
    """The package's own, which can also forget a name, and bounds the watches."""

    def __init__(self) -> None:
        super().__init__()
        self._watches = 0

    async def forget(self, service: str) -> None:
        """There is no service of that name any more: watchers are told, checks find nothing."""
        await self.set(service, SERVICE_UNKNOWN)
        self._server_status.pop(service, None)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """As the package's, while there are not too many."""
        if self._watches >= MAX_WATCHES:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"this server's health is watched {MAX_WATCHES} times already; ask with Check now and then",
            )
        self._watches += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watches -= 1
