"""What `setwise reindex` builds from: the files that a collection says its images came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from setwise_engine.collection import Collection, Known
from setwise_engine.errors import EngineError, InvalidInput
from setwise_indexer._items import Failure, Item, Listing
from setwise_indexer._read import why_unreadable
from setwise_indexer._request import Request
from setwise_indexer._sets import SetFiles

__all__ = ["inherit", "list_stored"]


def inherit(request: Request) -> Request:
    """The request with what it leaves open taken from the collection that it builds anew.

    Its encoder is taken along unless another model, size, or encoder is asked for. Raises what opening it raises, and
    InvalidInput for a request that cannot be.
    """
    old = request.stored
    if old is None:
        return request
    if os.path.abspath(old) == os.path.abspath(request.into):  # noqa: PTH100 - links stay, as for Collection
        raise InvalidInput(f"{old} cannot be built anew in its own place; give another folder to --into", field="into")
    with Collection.open(old, read_only=True) as collection:
        settings = collection.settings
    if not settings.model and (request.model or request.image_size or request.weights):
        raise InvalidInput(f"{old} holds ready-made sets, which have no model; leave --model out", field="model")
    same_model = request.model in (None, settings.model)
    image_size = request.image_size or (settings.image_size or None if same_model else None)
    same_network = same_model and image_size in (None, settings.image_size)
    keeps = same_network and request.encoder_from is None and request.dims is None and not request.fit
    return replace(
        request,
        features=not settings.model,
        model=request.model or settings.model or None,
        image_size=image_size,
        encoder_from=old if keeps else request.encoder_from,
        coarse=request.coarse or settings.coarse,
        thumbnails=None if settings.thumbnails or not settings.model else False,
        gate=None if settings.gate else False,
    )


def list_stored(old: Path, files: SetFiles) -> Listing:
    """Every image of a collection as an item, with its id and metadata, in order of id.

    An image that was not stored from a file is a failure. Raises what opening the collection raises, and InvalidInput
    for an empty one.
    """
    with Collection.open(old, read_only=True) as collection:
        known = collection.sources()
        features = not collection.settings.model
    if not known:
        raise InvalidInput(f"{old} holds no images; there is nothing to build anew", field="collection")
    listing = Listing()
    shapes = _Shapes(files)
    for id in sorted(known, key=str.encode):
        item = _item(id, known[id], features=features)
        if item is None:
            reason = "it did not come from a file, so it cannot be built anew; send it again"
            listing.failures.append(Failure(f"image {id}", id, reason))
            continue
        try:
            listing.items.append(replace(item, shape=shapes.of(item)) if features else item)
        except (EngineError, OSError) as error:
            reason = why_unreadable(error) if isinstance(error, OSError) else str(error)
            listing.failures.append(Failure(str(item), id, reason))
    return listing


def _item(id: str, known: Known, *, features: bool) -> Item | None:
    if known.source is None:
        return None
    path, key = _split(known.source.path) if features else (known.source.path, "")
    return Item(id, path, known.metadata, key, hash=known.content_hash)


def _split(place: str) -> tuple[str, str]:
    """File and key of a set; both may hold "#", so what is a file decides."""
    path, key = place, ""
    while "#" in path and not Path(path).exists():
        path, _, last = path.rpartition("#")
        key = f"{last}#{key}" if key else last
    return path, key


class _Shapes:
    """Shapes of ready-made sets; each file is listed once."""

    def __init__(self, files: SetFiles) -> None:
        self._files = files
        self._path = ""
        self._shapes: Mapping[str, tuple[int, ...]] = {}

    def of(self, item: Item) -> tuple[int, int]:
        """Tokens and dimensions. Raises InvalidInput when the file no longer has the set, OSError, FeatureError."""
        if item.path != self._path:
            self._shapes, self._path = self._files.sets(item.path), item.path
        shape = self._shapes.get(item.key, ())
        if len(shape) != 2:
            raise InvalidInput(f"the file holds no such set any more, only {len(self._shapes)} others")
        return shape[0], shape[1]
