"""From what a caller sends to what is written: decode, extract, encode, image by image."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from setwise_engine.collection import Change, ImageRecord, MetadataValue, Mode, Put, Snapshot, check_id
from setwise_engine.errors import CancelledError, CorruptError, DeadlineError, InvalidInput
from setwise_engine.feature_set import FeatureSet, ImageSize
from setwise_engine.features import PreparedImage
from setwise_engine.search import comparable
from setwise_proto.v1 import images_pb2 as pb
from setwise_server._batcher import Extracted, result_of
from setwise_server._errors import LimitError, at
from setwise_server._filters import metadata_from_proto
from setwise_server._priority import give_way
from setwise_server._registry import Entry, ImageEncoder
from setwise_server._tensors import features_from_proto
from setwise_server.ingest._hashes import image_hash, set_hash
from setwise_server.settings import Limits

__all__ = ["Encoders", "Intake", "Taken"]

Taken = Change | Exception
"""A change to be written, or why there is none."""


class Encoders(Protocol):
    """What knows the networks: the registry."""

    def image_encoder(self, entry: Entry) -> ImageEncoder:
        """What turns images into sets of this collection."""
        ...


@dataclass(slots=True)
class _Image:
    """An image on its way. place: in the list of inputs."""

    place: int
    input: pb.ImageInput
    metadata: dict[str, MetadataValue]
    hash: str
    prepared: Future[PreparedImage] | None = None


class Intake:
    """Turns inputs into changes. Thread-safe; decodes in a few threads of its own, to leave searches their cores."""

    def __init__(self, encoders: Encoders, limits: Limits, threads: int) -> None:
        self._encoders = encoders
        self._limits = limits
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="setwise-decode", initializer=give_way)

    def changes(
        self, entry: Entry, inputs: Sequence[pb.ImageInput], mode: Mode, check: Callable[[], None]
    ) -> list[Taken]:
        """One for each input, in order. A fault of one image is in its place, with the field below the image; only what
        `check` raises, when there is nobody left to answer, ends it."""
        taken: list[Taken] = []
        images: list[_Image] = []
        for place, item in enumerate(inputs):
            check()
            try:
                taken.append(self._begin(entry, item, mode, place, images))
            except Exception as error:  # told as this image's fault
                taken.append(error)
        if images:
            self._finish(entry, images, mode, taken, check)
        return taken

    def _begin(self, entry: Entry, item: pb.ImageInput, mode: Mode, place: int, images: list[_Image]) -> Taken:
        """The change of a ready-made set; an image is put among `images`, its place taken by what fails if it stays."""
        check_id(item.id)
        metadata = metadata_from_proto(item.metadata)
        kind = item.WhichOneof("content")
        if kind == "features":
            with at("features"):
                features = comparable(features_from_proto(item.features, self._limits), entry.collection.encoder)
            record = ImageRecord(item.id, features, metadata, set_hash(item.features))
            return Put(record, mode, item.keep_metadata)
        if kind is None:
            raise InvalidInput("the image is empty; give the bytes of an image file or a feature set", field="image")
        allowed = self._limits.max_image_bytes
        if len(item.image) > allowed:
            message = f"the image has {len(item.image)} bytes; this server takes at most {allowed}. Send a smaller copy"
            raise LimitError(message, field="image", limit="max_image_bytes", allowed=allowed)
        images.append(_Image(place, item, metadata, image_hash(item.image)))
        return InvalidInput("the image was not read", field="image")

    def _finish(
        self, entry: Entry, images: list[_Image], mode: Mode, taken: list[Taken], check: Callable[[], None]
    ) -> None:
        """Images that are stored already are taken from the collection, the rest goes through the network."""
        with entry.collection.snapshot() as snapshot:
            new = [image for image in images if not _reuse(snapshot, image, mode, taken)]
        if not new:
            return
        try:
            with at("image"):
                encoder = self._encoders.image_encoder(entry)
        except Exception as error:  # no network: none of them can be read
            for image in new:
                taken[image.place] = error
            return
        thumbnail = entry.collection.settings.thumbnails
        for image in new:
            image.prepared = self._pool.submit(
                encoder.featurizer.prepare, image.input.image, thumbnail=thumbnail, check=check
            )
        try:
            for image, features in _encoded(encoder, new, check):
                if isinstance(features, Exception):
                    taken[image.place] = features
                else:
                    assert image.prepared is not None
                    taken[image.place] = _put(image, features, mode, image.prepared.result().thumbnail)
        finally:
            for image in new:
                if image.prepared is not None:
                    image.prepared.cancel()


def _encoded(
    encoder: ImageEncoder, images: Sequence[_Image], check: Callable[[], None]
) -> Iterator[tuple[_Image, FeatureSet | Exception]]:
    """Each image's set, or its fault, in order. No more of them wait for the network than it takes at once."""
    lanes, sent = encoder.batcher.lanes, deque[tuple[_Image, ImageSize, Future[Extracted]]]()
    try:
        for image in images:
            check()
            try:
                prepared = _prepared(image)
            except Exception as error:  # told as this image's fault
                yield image, error
                continue
            sent.append((image, prepared.image_size, encoder.batcher.submit(prepared.pixels, storing=True)))
            if len(sent) >= lanes.count * lanes.images:
                yield _received(encoder, *sent.popleft(), check)
        while sent:
            yield _received(encoder, *sent.popleft(), check)
    finally:
        for _, _, waiting in sent:
            waiting.cancel()


def _prepared(image: _Image) -> PreparedImage:
    assert image.prepared is not None
    with at("image"):
        return image.prepared.result()


def _received(
    encoder: ImageEncoder, image: _Image, size: ImageSize, waiting: Future[Extracted], check: Callable[[], None]
) -> tuple[_Image, FeatureSet | Exception]:
    try:
        extracted = result_of(waiting, check)
        return image, encoder.featurizer.encoded(extracted.tokens, size)
    except (CancelledError, DeadlineError):
        waiting.cancel()
        raise
    except Exception as error:  # the network failed
        return image, error


def _reuse(snapshot: Snapshot, image: _Image, mode: Mode, taken: list[Taken]) -> bool:
    """Whether the image is stored as it is: then its features are those, and the network need not run. It is written
    like any other, so that whoever replaces it meanwhile changes nothing."""
    (key,) = snapshot.keys([image.input.id])
    if key is None or snapshot.content_hash(key) != image.hash:
        return False
    try:
        features = snapshot.features(key)
        (stored,) = snapshot.stored([key], metadata=False, thumbnails=True)
        taken[image.place] = _put(image, features, mode, stored.thumbnail)
    except CorruptError:  # what is stored is damaged, what was sent is not
        return False
    except Exception as error:  # told as this image's fault
        taken[image.place] = error
    return True


def _put(image: _Image, features: FeatureSet, mode: Mode, thumbnail: bytes) -> Put:
    record = ImageRecord(image.input.id, features, image.metadata, image.hash, thumbnail=thumbnail)
    return Put(record, mode, image.input.keep_metadata)
