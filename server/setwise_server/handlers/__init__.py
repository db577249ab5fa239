"""The sync heart of the server: (request, call) -> response, the same on the wire and in process."""

from __future__ import annotations

from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2
from setwise_server._registry import Registry
from setwise_server.handlers._method import Emit, Kind, Method, Requests
from setwise_server.handlers.collections import CollectionHandlers
from setwise_server.handlers.images import ImageHandlers
from setwise_server.handlers.search import SearchHandlers
from setwise_server.handlers.server import ServerHandlers
from setwise_server.settings import ServerSettings

__all__ = ["Emit", "Kind", "Method", "Requests", "methods"]


def methods(registry: Registry, settings: ServerSettings) -> dict[str, Method]:
    """Every rpc of every service, by its path."""
    search = SearchHandlers(registry, settings.limits)
    images = ImageHandlers(registry, settings.limits)
    collections = CollectionHandlers(registry)
    server = ServerHandlers(registry, settings)
    table = (
        Method("/setwise.v1.SearchService/Search", search_pb2.SearchRequest, search.search),
        Method("/setwise.v1.SearchService/SearchBatch", search_pb2.SearchBatchRequest, search.search_batch),
        Method("/setwise.v1.SearchService/Rerank", search_pb2.RerankRequest, search.rerank),
        Method("/setwise.v1.SearchService/Compare", search_pb2.CompareRequest, search.compare),
        Method("/setwise.v1.ImageService/GetImage", images_pb2.GetImageRequest, images.get_image),
        Method("/setwise.v1.ImageService/ListImages", images_pb2.ListImagesRequest, images.list_images),
        Method(
            "/setwise.v1.CollectionService/ListCollections",
            collections_pb2.ListCollectionsRequest,
            collections.list_collections,
        ),
        Method(
            "/setwise.v1.CollectionService/GetCollection",
            collections_pb2.GetCollectionRequest,
            collections.get_collection,
        ),
        Method("/setwise.v1.ServerService/GetServerInfo", server_pb2.GetServerInfoRequest, server.get_server_info),
    )
    return {method.path: method for method in table}
