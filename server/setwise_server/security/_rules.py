"""What each rpc asks of its caller. A method that has no rule here is refused to everybody."""

from __future__ import annotations

from collections.abc import Mapping

from setwise_server._reflection import REFLECTION_PATHS
from setwise_server.security._caller import Access

__all__ = ["RULES"]

_OF_SERVICE: Mapping[str, Mapping[str, Access]] = {
    "SearchService": {
        "Search": Access.READ,
        "SearchBatch": Access.READ,
        "Rerank": Access.READ,
        "Compare": Access.READ,
    },
    "ImageService": {
        "GetImage": Access.READ,
        "ListImages": Access.READ,
        "CountImages": Access.READ,
        "Upsert": Access.WRITE,
        "UpsertImages": Access.WRITE,
        "DeleteImages": Access.WRITE,
        "UpdateMetadata": Access.WRITE,
    },
    "CollectionService": {
        "ListCollections": Access.READ,
        "GetCollection": Access.READ,
        "ListAliases": Access.READ,
        "CreateCollection": Access.ADMIN,
        "FitEncoder": Access.ADMIN,
        "DropCollection": Access.ADMIN,
        "SetAlias": Access.ADMIN,
        "DeleteAlias": Access.ADMIN,
        "CompactCollection": Access.ADMIN,
        "DownloadSnapshot": Access.ADMIN,
    },
    "ServerService": {"GetServerInfo": Access.READ},
}
RULES: Mapping[str, Access] = {
    **{f"/setwise.v1.{service}/{rpc}": least for service, rpcs in _OF_SERVICE.items() for rpc, least in rpcs.items()},
    **dict.fromkeys(REFLECTION_PATHS, Access.READ),
}
"""The least access for each rpc, by its path. Health alone is open to everybody and has none."""
