"""ServerService: versions, limits and models."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from setwise_engine.features import ModelInfo
from setwise_engine.matching import kernel_name
from setwise_engine.search import default_candidates
from setwise_proto.v1 import server_pb2 as pb
from setwise_server._call import Call
from setwise_server._registry import Registry, State
from setwise_server._tensors import grid_to_proto
from setwise_server._wire import MAX_METADATA_BYTES
from setwise_server.handlers.images import MAX_PAGE

__all__ = ["ServerHandlers"]

LIBRARIES = ("numpy", "torch", "faiss-cpu", "grpcio", "protobuf")


class ServerHandlers:
    """Each method takes a request and its Call and gives the response, or raises."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def get_server_info(self, request: pb.GetServerInfoRequest, call: Call) -> pb.GetServerInfoResponse:
        """Versions, limits and models."""
        settings = self._registry.settings
        limits = pb.Limits(
            **asdict(settings.limits),
            default_candidates=default_candidates(10),
            max_concurrent=settings.workers,
            max_queue=settings.max_queue,
            max_streams=settings.max_streams,
            max_page_size=MAX_PAGE,
            max_metadata_bytes=MAX_METADATA_BYTES,
        )
        return pb.GetServerInfoResponse(
            version=version("setwise"),
            api_version="v1",
            limits=limits,
            models=[_model(info) for info in self._registry.models()],
            libraries=_libraries() | {"kernel": kernel_name()},
            writable=self._writable(),
            has_root=settings.root is not None,
            offered_models=[str(offer) for offer in settings.models],
        )

    def _writable(self) -> bool:
        """Whether a collection can be made here or one of those that are here can be written to."""
        settings = self._registry.settings
        if settings.read_only or (settings.root is not None and os.access(settings.root, os.W_OK | os.X_OK)):
            return not settings.read_only
        return any(not entry.collection.read_only for entry in self._registry.entries() if entry.state is State.READY)


def _model(info: ModelInfo) -> pb.Model:
    return pb.Model(
        name=info.name,
        fingerprint=info.fingerprint,
        image_size=info.image_size,
        grid=grid_to_proto(info.grid),
        dims=info.dims,
    )


@cache
def _libraries() -> dict[str, str]:
    """Versions of what is installed; a network's library may be absent where only ready-made sets are served."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
