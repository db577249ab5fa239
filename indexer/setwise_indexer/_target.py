"""The collection that a run writes to: an existing one, whose settings rule, or a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from setwise_engine.coarse import DEFAULT_COARSE
from setwise_engine.collection import Collection, Settings
from setwise_engine.errors import CollectionError, Incompatible, ReadOnlyError
from setwise_engine.features import DEFAULT_MODEL, DecodeLimits, Extractor, load_extractor
from setwise_indexer._encoders import encoder_of, fit_to_sample, ready_encoder
from setwise_indexer._items import Item
from setwise_indexer._pipeline import Crew
from setwise_indexer._readers import EncodeImages, EncodeSets, ExtractImages, Reader, ReadSets
from setwise_indexer._request import Request
from setwise_indexer._sets import SetFiles

__all__ = ["check_settings", "create_collection", "is_collection", "load_network", "reader_for"]

_CATALOG = "catalog.sqlite"
_UNFINISHED = {"encoder.safetensors", "segments", "writer.lock"}  # what a creation that was killed may leave


def is_collection(path: Path) -> bool:
    """Whether a collection is there already; False when one can be made.

    Raises CollectionError for a file and for a folder of other things, before any work is done.
    """
    if (path / _CATALOG).exists():
        return True
    if path.exists() and not path.is_dir():
        raise CollectionError(f"{path} is a file, a collection is a folder; give another name to --into")
    inside = {entry.name for entry in path.iterdir()} if path.exists() else set()
    if inside and not inside & _UNFINISHED:
        raise CollectionError(
            f"{path} is a folder of other things ({min(inside)}, ...); give --into a new or an empty folder"
        )
    return False


def check_settings(request: Request, collection: Collection) -> None:
    """Raise Incompatible, naming both, when the request asks for something else than the collection was made with.

    Raises ReadOnlyError when this process may not write to it.
    """
    if collection.read_only:
        raise ReadOnlyError(f"{collection.path} may not be written by this user; change its permissions")
    settings, encoder = collection.settings, collection.encoder
    dims = "none" if encoder.projection is None else settings.dims
    if request.features != (settings.model == ""):
        made = f"images of model {settings.model}" if settings.model else "ready-made sets (--features)"
        asked = "ready-made sets (--features)" if request.features else "images"
        raise Incompatible(f"{collection.path} holds {made}, this run has {asked}; name another collection by --into")
    _compare(collection, "--model", settings.model, request.model)
    _compare(collection, "--image-size", settings.image_size, request.image_size)
    _compare(collection, "--dims", dims, request.dims)
    _compare(collection, "--coarse", settings.coarse, request.coarse)
    if request.thumbnails is False:
        _without(collection, "thumbnails", settings.thumbnails, "--no-thumbnails")
    if request.gate is False:
        _without(collection, "an int8 gate", settings.gate, "--no-gate")
    if request.encoder_from is not None:
        _compare(collection, "encoder", encoder.fingerprint, encoder_of(request.encoder_from).fingerprint)


def _without(collection: Collection, what: str, has: bool, option: str) -> None:
    if has:
        raise Incompatible(
            f"{collection.path} was made with {what}; leave {option} out, or name another collection by --into",
            field=option,
        )


def _compare(collection: Collection, name: str, has: object, asked: object) -> None:
    if asked is not None and asked != has:
        raise Incompatible(
            f"{collection.path} was made with {name} {has}, this run asks for {asked}; "
            "leave the option out, or name another collection by --into",
            field=name,
        )


def load_network(request: Request, settings: Settings | None) -> Extractor | None:
    """The collection's network, or for a new collection the one asked for; None for ready-made sets.

    Raises Incompatible when other weights are here than the collection was made with.
    """
    if request.features:
        return None
    model = settings.model if settings else request.model or DEFAULT_MODEL
    size = settings.image_size if settings else request.image_size
    extractor = load_extractor(
        model, image_size=size, weights=request.weights, device=request.device, bf16=request.bf16
    )
    found = extractor.info.fingerprint
    if settings and found != settings.model_fingerprint:
        raise Incompatible(
            f"{request.into} was made with model {settings.model_fingerprint}, here the model is {found}; "
            "give the same weights by --weights",
            field="weights",
        )
    return extractor


def create_collection(
    request: Request, extractor: Extractor | None, items: Sequence[Item], files: SetFiles, crew: Crew
) -> Collection:
    """Make the collection of a first run, fitting an encoder where none is ready."""
    info = extractor.info if extractor else None
    dims_in = info.dims if info else _common_dims(items)
    encoder = ready_encoder(request, info, dims_in)
    if encoder is None:
        raw: Reader = ExtractImages(extractor, DecodeLimits()) if extractor else ReadSets(files, dims_in)
        encoder = fit_to_sample(request, info, items, raw, crew)
    settings = Settings(
        model=info.name if info else "",
        image_size=info.image_size if info else 0,
        model_fingerprint=info.fingerprint if info else "",
        dims=encoder.dims,
        encoder_fingerprint=encoder.fingerprint,
        coarse=request.coarse or DEFAULT_COARSE,
        thumbnails=request.thumbnails is not False and info is not None,
        gate=request.gate is not False,
    )
    return Collection.create(request.into, settings, encoder)


def reader_for(collection: Collection, extractor: Extractor | None, files: SetFiles) -> Reader:
    """What reads and encodes items as this collection wants them."""
    if extractor is None:
        return EncodeSets(files, collection.encoder)
    return EncodeImages(extractor, collection.encoder, DecodeLimits(), thumbnails=collection.settings.thumbnails)


def _common_dims(items: Sequence[Item]) -> int:
    """The dimension that most ready-made sets have; the others are reported one by one."""
    return Counter(item.shape[1] for item in items if item.shape).most_common(1)[0][0]
