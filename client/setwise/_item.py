"""What may be stored: images with ids and metadata, and the one place where they become messages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from setwise._errors import InvalidArgumentError, SetwiseError
from setwise._features import FeatureSet, Id
from setwise._limits import beyond
from setwise._metadata import metadata_message
from setwise._query import PictureLike, features_message, picture_bytes
from setwise._steps import SLACK
from setwise._values import Limits
from setwise_proto.v1 import images_pb2

__all__ = [
    "Item",
    "ItemLike",
    "Prepared",
    "SampleLike",
    "check_items",
    "id_text",
    "prepare_items",
    "sample_items",
    "shortened",
]


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One image to store.

        client.upsert([setwise.Item("beach.jpg", Path("photos/beach.jpg"), {"year": 2021, "tags": ["sea", "sky"]})])

    id: 1 to 1000 characters. image: a path, bytes of an image file, a PIL image, a uint8 array of pixels, or a
    `setwise.FeatureSet`. metadata: names with None, bool, int, float, text, or lists of those; at most 1 MiB. An image
    that is stored already gets exactly these; when none are given (None) it keeps those that it has.
    """

    id: str | Id
    image: PictureLike | FeatureSet
    metadata: Mapping[str, Any] | None = None


ItemLike: TypeAlias = str | os.PathLike[str] | tuple[str | Id, PictureLike | FeatureSet] | Item
SampleLike: TypeAlias = PictureLike | FeatureSet | ItemLike


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item on its way: its number in what was given, its id, and its message or what was wrong with it.

    size: of the message, in bytes.
    """

    number: int
    id: str
    message: images_pb2.ImageInput | None
    error: SetwiseError | None = None
    size: int = 0


def check_items(images: Any) -> None:
    """Raises InvalidArgumentError for a single image and for what holds no images."""
    if isinstance(images, str | bytes | Item | FeatureSet | Mapping) or not isinstance(images, Iterable):
        what = f"images is of type {type(images).__name__}; give a list or another iterable of images"
        raise InvalidArgumentError(what, field="images")


def sample_items(samples: Iterable[SampleLike]) -> Iterator[ItemLike]:
    """Samples as items: ids mean nothing for them."""
    for number, sample in enumerate(samples):
        yield sample if isinstance(sample, Item | tuple) else Item(f"sample {number}", sample)


def prepare_items(items: Iterable[ItemLike], limits: Limits) -> Iterator[Prepared]:
    """Each item as it travels, made only when it is asked for. What is wrong with one item stands in its place."""
    for number, given in enumerate(items):
        try:
            item = _item(given)
            name = id_text(item.id)
        except SetwiseError as error:
            yield Prepared(number, "", None, error)
            continue
        try:
            message = _message(name, item, limits)
        except SetwiseError as error:
            yield Prepared(number, name, None, error)
            continue
        yield Prepared(number, name, message, size=message.ByteSize())


def shortened(name: str) -> str:
    """An id for a message: of a long one its beginning."""
    return name if len(name) <= 80 else f"{name[:80]}..."


def id_text(id: str | Id) -> str:
    """The text of an id. Raises InvalidArgumentError when it is none."""
    return id.value if isinstance(id, Id) else Id(id).value


def _item(given: Any) -> Item:
    match given:
        case Item():
            return given
        case str() | os.PathLike():
            # A path is its own id, with the slashes that every system writes alike.
            return Item(Path(given).as_posix(), given)
        case tuple() if len(given) == 2:
            return Item(*given)
    what = "give paths, pairs of an id and an image, or setwise.Item(id, image, metadata)"
    raise InvalidArgumentError(f"an image to store cannot be of type {type(given).__name__}; {what}", field="images")


def _message(name: str, item: Item, limits: Limits) -> images_pb2.ImageInput:
    keep = item.metadata is None
    message = images_pb2.ImageInput(id=name, metadata=metadata_message(item.metadata or {}), keep_metadata=keep)
    if isinstance(item.image, FeatureSet):
        message.features.CopyFrom(features_message(item.image, limits, "image"))
    else:
        message.image, _ = picture_bytes(item.image, limits, "image")
    size, most = message.ByteSize() + SLACK, limits.max_message_bytes
    if most and size > most:
        what = f"image {shortened(name)!r} takes {size:,} bytes with its metadata and the server accepts {most:,}"
        raise beyond(f"{what}; send fewer tokens", "max_message_bytes", most, "image")
    return message
