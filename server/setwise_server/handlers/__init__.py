"""The sync heart of the server: (request, call) -> response, the same on the wire and in process."""

from __future__ import annotations

from collections.abc import Iterator

from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2
from setwise_server._holdings import Holdings
from setwise_server.handlers._method import Emit, Kind, Method, Requests
from setwise_server.handlers._writes import WriteHandlers
from setwise_server.handlers.collections import CollectionHandlers
from setwise_server.handlers.images import ImageHandlers
from setwise_server.handlers.search import SearchHandlers
from setwise_server.handlers.server import ServerHandlers

__all__ = ["Emit", "Kind", "Method", "Requests", "methods"]


def methods(holdings: Holdings) -> dict[str, Method]:
    """Every rpc of every service, by its path."""
    registry, limits = holdings.registry, holdings.registry.settings.limits
    return {
        method.path: method
        for method in (
            *_search_methods(SearchHandlers(registry, limits)),
            *_image_methods(ImageHandlers(registry, limits)),
            *_write_methods(WriteHandlers(registry)),
            *_collection_methods(CollectionHandlers(registry, holdings.keeper, holdings.maintenance)),
            Method(
                "/setwise.v1.ServerService/GetServerInfo",
                server_pb2.GetServerInfoRequest,
                ServerHandlers(registry).get_server_info,
            ),
        )
    }


def _search_methods(search: SearchHandlers) -> Iterator[Method]:
    service = "/setwise.v1.SearchService"
    yield Method(f"{service}/Search", search_pb2.SearchRequest, search.search)
    yield Method(f"{service}/SearchBatch", search_pb2.SearchBatchRequest, search.search_batch)
    yield Method(f"{service}/Rerank", search_pb2.RerankRequest, search.rerank)
    yield Method(f"{service}/Compare", search_pb2.CompareRequest, search.compare)


def _image_methods(images: ImageHandlers) -> Iterator[Method]:
    service = "/setwise.v1.ImageService"
    yield Method(f"{service}/GetImage", images_pb2.GetImageRequest, images.get_image)
    yield Method(f"{service}/ListImages", images_pb2.ListImagesRequest, images.list_images)
    yield Method(f"{service}/CountImages", images_pb2.CountImagesRequest, images.count_images)


def _write_methods(writes: WriteHandlers) -> Iterator[Method]:
    service, pb = "/setwise.v1.ImageService", images_pb2
    yield Method(f"{service}/Upsert", pb.UpsertRequest, writes.upsert, Kind.STREAM)
    yield Method(f"{service}/UpsertImages", pb.UpsertImagesRequest, writes.upsert_images, Kind.WAITING)
    yield Method(f"{service}/DeleteImages", pb.DeleteImagesRequest, writes.delete_images, Kind.WAITING)
    yield Method(f"{service}/UpdateMetadata", pb.UpdateMetadataRequest, writes.update_metadata, Kind.WAITING)


def _collection_methods(collections: CollectionHandlers) -> Iterator[Method]:
    service, pb = "/setwise.v1.CollectionService", collections_pb2
    yield Method(f"{service}/ListCollections", pb.ListCollectionsRequest, collections.list_collections)
    yield Method(f"{service}/GetCollection", pb.GetCollectionRequest, collections.get_collection)
    yield Method(f"{service}/CreateCollection", pb.CreateCollectionRequest, collections.create_collection)
    yield Method(f"{service}/FitEncoder", pb.FitEncoderRequest, collections.fit_encoder, Kind.STREAM)
    yield Method(f"{service}/DropCollection", pb.DropCollectionRequest, collections.drop_collection, Kind.WAITING)
    yield Method(f"{service}/SetAlias", pb.SetAliasRequest, collections.set_alias, Kind.WAITING)
    yield Method(f"{service}/DeleteAlias", pb.DeleteAliasRequest, collections.delete_alias, Kind.WAITING)
    yield Method(f"{service}/ListAliases", pb.ListAliasesRequest, collections.list_aliases)
    yield Method(f"{service}/CompactCollection", pb.CompactCollectionRequest, collections.compact, Kind.WAITING)
    yield Method(f"{service}/DownloadSnapshot", pb.DownloadSnapshotRequest, collections.download_snapshot, Kind.STREAM)
