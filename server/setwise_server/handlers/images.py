"""ImageService: what is stored, by id and page by page."""

from __future__ import annotations

import base64
import binascii
import uuid

from setwise_engine.errors import InvalidInput, NotFound
from setwise_proto.v1 import images_pb2 as pb
from setwise_server import convert
from setwise_server._call import Call
from setwise_server._registry import Registry
from setwise_server.settings import Limits

__all__ = ["ImageHandlers"]

DEFAULT_PAGE = 100
MAX_PAGE = 1000
TOKEN_VERSION = b"\x01"


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
        after = _after(request.page_token, entry.collection.uuid)
        with entry.collection.snapshot() as snapshot:
            keys = snapshot.page(after, size + 1)
            stored = snapshot.stored(keys[:size], metadata=True, thumbnails=request.include_thumbnail)
            total = len(snapshot)
        images: list[pb.Image] = []
        room = self._limits.max_message_bytes * 9 // 10
        for image in map(convert.image_to_proto, stored):
            room -= image.ByteSize()
            if room < 0 and images:
                break
            images.append(image)
        more = len(images) < len(keys)
        token = _token(images[-1].id, entry.collection.uuid) if more else ""
        return pb.ListImagesResponse(images=images, next_page_token=token, total=total)


def _page_size(request: pb.ListImagesRequest) -> int:
    size = request.page_size if request.HasField("page_size") else DEFAULT_PAGE
    if not 1 <= size <= MAX_PAGE:
        raise InvalidInput(f"page_size is {size}; ask for 1 to {MAX_PAGE} images", field="page_size")
    return size


def _token(last_id: str, collection: str) -> str:
    """Where the next page begins: after this id, in this collection only. Pages are cut by id, so that images which
    come or go between two pages neither repeat nor hide others."""
    return base64.urlsafe_b64encode(TOKEN_VERSION + uuid.UUID(collection).bytes + last_id.encode()).decode()


def _after(token: str, collection: str) -> str:
    if not token:
        return ""
    advice = "give the next_page_token of the previous page, or none for the first"
    try:
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        last_id = data[17:].decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidInput(f"page_token is not one of this server's; {advice}", field="page_token") from error
    if data[:1] != TOKEN_VERSION or not last_id:
        raise InvalidInput(f"page_token is not one of this server's; {advice}", field="page_token")
    if data[1:17] != uuid.UUID(collection).bytes:
        raise InvalidInput(f"page_token belongs to another collection; {advice}", field="page_token")
    return last_id
