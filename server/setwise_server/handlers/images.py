"""ImageService: what is stored, by id and page by page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid

from setwise_engine.errors import InvalidInput, NotFound
from setwise_proto.v1 import images_pb2 as pb
from setwise_server import convert
from setwise_server._call import Call
from setwise_server._errors import LimitError
from setwise_server._filters import where_of
from setwise_server._registry import Registry
from setwise_server.settings import Limits

__all__ = ["ImageHandlers"]

DEFAULT_PAGE = 100
MAX_PAGE = 1000
TOKEN_VERSION = b"\x02"
DIGEST_BYTES = 8
ID_AT = 1 + 16 + DIGEST_BYTES


class ImageHandlers:
    """Each method takes a request and its Call and gives the response, or raises."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits

    def get_image(self, request: pb.GetImageRequest, call: Call) -> pb.GetImageResponse:
        """One image by its id."""
        entry = self._registry.get(request.collection)
        with entry.collection.snapshot() as snapshot:
            (key,) = snapshot.keys([request.id])
            if key is None:
                raise NotFound(f'collection "{entry.name}" holds no image "{request.id}"', field="id")
            (stored,) = snapshot.stored([key], metadata=True, thumbnails=request.include_thumbnail)
            features = snapshot.features(key) if request.include_features else None
        return pb.GetImageResponse(image=convert.image_to_proto(stored, features))

    def list_images(self, request: pb.ListImagesRequest, call: Call) -> pb.ListImagesResponse:
        """A page of images. Shorter than asked for when more would not fit in a message."""
        entry = self._registry.get(request.collection)
        size = _page_size(request)
        where = where_of(request, self._limits)
        bound = _bound(request, entry.collection.uuid)
        after = _after(request.page_token, bound)
        with entry.collection.snapshot() as snapshot:
            keys = snapshot.page(after, size + 1, where, call)
            stored = snapshot.stored(keys[:size], metadata=True, thumbnails=request.include_thumbnail)
            total = snapshot.count(where, call)
        images: list[pb.Image] = []
        room = self._limits.max_message_bytes * 9 // 10
        for image in map(convert.image_to_proto, stored):
            room -= image.ByteSize()
            if room < 0 and images:
                break
            images.append(image)
        more = len(images) < len(keys)
        token = _token(images[-1].id, bound) if more else ""
        return pb.ListImagesResponse(images=images, next_page_token=token, total=total)

    def count_images(self, request: pb.CountImagesRequest, call: Call) -> pb.CountImagesResponse:
        """How many images pass."""
        entry = self._registry.get(request.collection)
        where = where_of(request, self._limits)
        with entry.collection.snapshot() as snapshot:
            return pb.CountImagesResponse(count=snapshot.count(where, call), collection_version=snapshot.version)


def _page_size(request: pb.ListImagesRequest) -> int:
    size = request.page_size if request.HasField("page_size") else DEFAULT_PAGE
    message = f"page_size is {size}; ask for 1 to {MAX_PAGE} images"
    if size > MAX_PAGE:
        raise LimitError(message, field="page_size", limit="max_page_size", allowed=MAX_PAGE)
    if size < 1:
        raise InvalidInput(message, field="page_size")
    return size


def _bound(request: pb.ListImagesRequest, collection: str) -> bytes:
    """What the pages of one listing have in common: the collection and the filter."""
    where = request.where.SerializeToString(deterministic=True) if request.HasField("where") else b""
    return uuid.UUID(collection).bytes + hashlib.blake2b(where, digest_size=DIGEST_BYTES).digest()


def _token(last_id: str, bound: bytes) -> str:
    """Where the next page begins: after this id, in this listing only. Pages are cut by id, so that images which
    come or go between two pages neither repeat nor hide others."""
    return base64.urlsafe_b64encode(TOKEN_VERSION + bound + last_id.encode()).decode()


def _after(token: str, bound: bytes) -> str:
    if not token:
        return ""
    advice = "give the next_page_token of the previous page, or none for the first"
    try:
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        last_id = data[ID_AT:].decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidInput(f"page_token is not one of this server's; {advice}", field="page_token") from error
    if data[:1] != TOKEN_VERSION or not last_id:
        raise InvalidInput(f"page_token is not one of this server's; {advice}", field="page_token")
    if data[1:17] != bound[:16]:
        raise InvalidInput(f"page_token belongs to another collection; {advice}", field="page_token")
    if data[17:ID_AT] != bound[16:]:
        raise InvalidInput(f"page_token belongs to another filter; {advice}", field="page_token")
    return last_id
