"""The gRPC server over the engine."""

from setwise_server.settings import Limits, ServerSettings

__all__ = ["Limits", "ServerSettings"]
