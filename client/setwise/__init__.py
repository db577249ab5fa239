"""Setwise: image retrieval by exact set matching. This is the client; it is all that users import.

import setwise

with setwise.connect("localhost:50051") as client:      # or a collection's directory: "photos.setwise"
    hits = client.search("photo.jpg", matches=True, thumbnails=True)
    hits.save("answer.png")
    hits[0].draw_matches().save("matches.png")
"""

from importlib.metadata import version as _version

from setwise._async_client import AsyncClient, connect_async
from setwise._client import Client, connect
from setwise._errors import (
    CancelledError,
    ClosedError,
    ConflictError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MissingExtraError,
    NotFoundError,
    NotRequestedError,
    PermissionDeniedError,
    ProofError,
    ResourceExhaustedError,
    SetwiseError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from setwise._features import FeatureSet, Grid, Id, ImageSize, Stage
from setwise._hits import Comparison, Hit, Hits
from setwise._item import Item
from setwise._options import Kernel
from setwise._proof import Proof
from setwise._query import Query
from setwise._reports import (
    CompactionReport,
    DeleteReport,
    Failure,
    FitReport,
    Outcome,
    Progress,
    SnapshotInfo,
    UpdateReport,
    UpsertReport,
)
from setwise._request import request_id
from setwise._transport import AsyncTransport, Stream, Transport
from setwise._values import (
    Certificate,
    CollectionInfo,
    Image,
    Limits,
    Matches,
    Model,
    Scores,
    ServerInfo,
    Stages,
    Timings,
)
from setwise._where import F, Filter

__all__ = [
    "AsyncClient",
    "AsyncTransport",
    "CancelledError",
    "Certificate",
    "Client",
    "ClosedError",
    "CollectionInfo",
    "CompactionReport",
    "Comparison",
    "ConflictError",
    "DataLossError",
    "DeadlineExceededError",
    "DeleteReport",
    "F",
    "FailedPreconditionError",
    "Failure",
    "FeatureSet",
    "Filter",
    "FitReport",
    "Grid",
    "Hit",
    "Hits",
    "Id",
    "Image",
    "ImageSize",
    "InternalError",
    "InvalidArgumentError",
    "Item",
    "Kernel",
    "Limits",
    "Matches",
    "MissingExtraError",
    "Model",
    "NotFoundError",
    "NotRequestedError",
    "Outcome",
    "PermissionDeniedError",
    "Progress",
    "Proof",
    "ProofError",
    "Query",
    "ResourceExhaustedError",
    "Scores",
    "ServerInfo",
    "SetwiseError",
    "SnapshotInfo",
    "Stage",
    "Stages",
    "Stream",
    "Timings",
    "Transport",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UpdateReport",
    "UpsertReport",
    "__version__",
    "connect",
    "connect_async",
    "request_id",
]

__version__ = _version("setwise")

# Tracebacks, reprs and documentation shall say `setwise.Client`, which is what users import.
for _name in __all__:
    if _name != "__version__":
        globals()[_name].__module__ = "setwise"
del _name
