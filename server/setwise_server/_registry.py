"""The collections and networks that a server holds."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from setwise_engine.collection import Collection
from setwise_engine.errors import Incompatible, InvalidInput, NotFound
from setwise_engine.features import DecodeLimits, Extractor, ModelInfo, load_extractor
from setwise_engine.featurizer import Featurizer
from setwise_engine.search import Searcher
from setwise_server.settings import ServerSettings

__all__ = ["Entry", "ImageEncoder", "Registry"]


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """Turns images into query sets of one collection. `lock` admits one forward pass of the network at a time."""

    featurizer: Featurizer
    lock: threading.Lock


@dataclass(frozen=True, slots=True)
class Entry:
    """One open collection."""

    name: str
    collection: Collection
    searcher: Searcher


@dataclass(frozen=True, slots=True)
class _Network:
    extractor: Extractor
    lock: threading.Lock


class Registry:
    """Open collections by name, and their networks: loaded at the first use, each once, shared by fingerprint.

    Thread-safe. Raises, naming the directory: NotFound, FormatError, CorruptError for what is no usable collection,
    InvalidInput for two directories of one name.
    """

    def __init__(self, paths: Sequence[str | Path], settings: ServerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._networks: dict[str, _Network] = {}
        self._encoders: dict[str, ImageEncoder] = {}
        self._entries: dict[str, Entry] = {}
        try:
            for name, path in _named(paths).items():
                collection = Collection.open(path, read_only=True)
                searcher = Searcher(collection, scan_threads=settings.scan_threads, region_limit=settings.region_limit)
                self._entries[name] = Entry(name, collection, searcher)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """Names of the collections, sorted."""
        return sorted(self._entries)

    def get(self, name: str, field: str = "collection") -> Entry:
        """The collection of that name; an empty name means the only one.

        Raises NotFound for an unknown name and InvalidInput for an empty one when there are several.
        """
        if not name and len(self._entries) == 1:
            return next(iter(self._entries.values()))
        known = ", ".join(f'"{known}"' for known in self.names())
        if not name:
            raise InvalidInput(f"this server holds several collections; name one of {known}", field=field)
        if name not in self._entries:
            raise NotFound(f'no collection is named "{name}"; this server holds {known}', field=field)
        return self._entries[name]

    def image_encoder(self, entry: Entry) -> ImageEncoder:
        """What turns images into sets of this collection; loads its network if no call did yet.

        Raises Incompatible for a collection of ready-made sets, Unavailable when the weights are not here.
        """
        settings = entry.collection.settings
        if not settings.model:
            raise Incompatible(
                f'collection "{entry.name}" holds ready-made feature sets, made by no network of this server; '
                "ask with a feature set or a stored id"
            )
        with self._lock:
            if entry.name not in self._encoders:
                self._encoders[entry.name] = self._load(entry)
            return self._encoders[entry.name]

    def models(self) -> list[ModelInfo]:
        """The networks loaded so far, by fingerprint."""
        with self._lock:
            return [network.extractor.info for _, network in sorted(self._networks.items())]

    def warm(self) -> None:
        """Load and run every network once and touch every index, so that the first caller need not wait."""
        for entry in self._entries.values():
            with entry.collection.snapshot() as snapshot:
                snapshot.recall(np.zeros(entry.collection.coarse.dims, np.float32), 1)
            if entry.collection.settings.model:
                featurizer = self.image_encoder(entry).featurizer
                featurizer.encode([featurizer.prepare(_blank_image())])

    def close(self) -> None:
        """Close every collection."""
        for entry in self._entries.values():
            entry.collection.close()

    def _load(self, entry: Entry) -> ImageEncoder:
        wanted = entry.collection.settings
        network = self._networks.get(wanted.model_fingerprint)
        if network is None:
            if self._settings.threads is not None:
                import torch  # seconds of import that a server of ready-made sets, or a search by id, need not wait for

                torch.set_num_threads(self._settings.threads)
            weights = dict(self._settings.weights).get(wanted.model)
            extractor = load_extractor(
                wanted.model, image_size=wanted.image_size, weights=weights, device=self._settings.device
            )
            network = _Network(extractor, threading.Lock())
        limits = self._settings.limits
        decode = DecodeLimits(max_bytes=limits.max_image_bytes, max_pixels=limits.max_image_pixels)
        featurizer = Featurizer(network.extractor, entry.collection.encoder, limits=decode)
        self._networks[wanted.model_fingerprint] = network
        return ImageEncoder(featurizer, network.lock)


def _named(paths: Sequence[str | Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in map(Path, paths):
        name = path.resolve().stem
        if name in named:
            raise InvalidInput(
                f'{named[name]} and {path} are both named "{name}"; rename one of the folders, or serve them apart'
            )
        named[name] = path
    return named


def _blank_image() -> bytes:
    """A small grey PNG: what the warm-up sends through the whole path."""
    buffer = BytesIO()
    Image.new("RGB", (64, 64), "grey").save(buffer, "PNG")
    return buffer.getvalue()
