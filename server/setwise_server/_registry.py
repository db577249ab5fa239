"""The collections and networks that a server holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from setwise_engine.errors import CorruptError, EngineError, InvalidInput, NotFound
from setwise_engine.feature_set import ImageSize
from setwise_engine.features import ModelInfo
from setwise_engine.search import Options
from setwise_server._entry import Entry, State
from setwise_server._networks import ImageEncoder, Networks
from setwise_server.settings import ServerSettings

__all__ = ["Entry", "ImageEncoder", "Registry", "State"]

log = logging.getLogger("setwise.server")


class Registry:
    """Collections by name, the aliases that stand for them, and their networks. Thread-safe.

    The collections given by path are opened at once and stay; one that cannot be opened is reported and the rest serve.
    Those of a root folder come and go (`put`, `remove`).
    Raises, naming the directory: NotFound, FormatError, CorruptError when none of those given is a usable collection,
    InvalidInput for two directories of one name.
    """

    def __init__(self, paths: Sequence[str | Path], settings: ServerSettings) -> None:
        self.settings = settings
        self.networks = Networks(settings)
        self._lock = threading.Lock()
        self._entries: Mapping[str, Entry] = {}
        self._aliases: Mapping[str, str] = {}
        self._changed: Callable[[], object] = lambda: None
        try:
            for name, path in _named(paths).items():
                self.put(Entry.attempt(name, path, settings))
            self._check_any()
        except BaseException:
            self.close()
            raise
        for entry in self.entries():
            if entry.problem:
                log.error('collection "%s" cannot be opened, the rest are served: %s', entry.name, entry.problem)

    def __len__(self) -> int:
        return sum(entry.state is State.READY for entry in self._entries.values())

    def names(self) -> list[str]:
        """Names of the collections, sorted; without aliases."""
        return sorted(self._entries)

    def entries(self) -> list[Entry]:
        """All collections, those that cannot be asked too, by name."""
        return [entry for _, entry in sorted(self._entries.items())]

    def get(self, name: str, field: str = "collection") -> Entry:
        """The collection of that name or alias, ready to be asked; an empty name means the only one.

        Raises NotFound for an unknown name, InvalidInput for an empty one when there are several, and what
        `Entry.check_ready` raises.
        """
        entry = self.find(name, field)
        entry.check_ready()
        return entry

    def find(self, name: str, field: str = "collection") -> Entry:
        """As `get`, but a collection that cannot be asked is found too."""
        entries, aliases = self._entries, self._aliases
        if not name and len(entries) == 1:
            return next(iter(entries.values()))
        entry = entries.get(name) or entries.get(aliases.get(name, ""))
        if entry is not None:
            return entry
        names = sorted({*entries, *aliases})
        known = ", ".join(f'"{known}"' for known in names) or "none"
        if not name and names:
            raise InvalidInput(f"this server holds several collections; name one of {known}", field=field)
        if not name:
            raise NotFound("this server holds no collection yet; create one first", field=field)
        if name in aliases:
            raise NotFound(f'"{name}" stands for collection "{aliases[name]}", which is not there', field=field)
        raise NotFound(f'no collection is named "{name}"; this server holds {known}', field=field)

    @property
    def aliases(self) -> Mapping[str, str]:
        """The collection that each alias stands for."""
        return self._aliases

    def aliases_of(self, name: str) -> list[str]:
        """The aliases of a collection, sorted."""
        return sorted(alias for alias, target in self._aliases.items() if target == name)

    def set_aliases(self, aliases: Mapping[str, str]) -> None:
        """Replaces all aliases in one step."""
        self._aliases = dict(aliases)
        self._changed()

    def put(self, entry: Entry) -> None:
        """Serves a collection under its name from now on; one that had the name is retired."""
        with self._lock:
            before = self._entries.get(entry.name)
            self._entries = {**self._entries, entry.name: entry}
        if before is not None:
            before.retire()
        self._changed()

    def remove(self, name: str) -> None:
        """Serves the collection no more; calls that run with it go on."""
        with self._lock:
            entry = self._entries.get(name)
            self._entries = {known: each for known, each in self._entries.items() if known != name}
        if entry is not None:
            entry.retire()
        self._changed()

    def watch(self, changed: Callable[[], object]) -> None:
        """Has `changed` called, in any thread, whenever a collection or alias comes, goes or becomes another."""
        self._changed = changed

    def usable(self) -> dict[str, bool]:
        """Every name that callers may ask for, aliases too, and whether the collection behind it can be asked."""
        entries = self._entries
        usable = {name: entry.state is State.READY for name, entry in entries.items()}
        return {alias: usable.get(target, False) for alias, target in self._aliases.items()} | usable

    def image_encoder(self, entry: Entry) -> ImageEncoder:
        """What turns images into sets of this collection; loads its network if no call did yet.

        Raises Incompatible for a collection of ready-made sets, Unavailable when the weights are not here.
        """
        return self.networks.encoder_of(entry)

    def models(self) -> list[ModelInfo]:
        """The networks loaded so far, by fingerprint."""
        return self.networks.infos()

    def warm(self) -> None:
        """Load and run every network, search every collection once, so that the first caller need not wait.

        A collection that does not answer is reported, and one that was given by path is served no more. Raises why when
        no other is left, and NotFound for a network that is offered and does not exist.
        """
        self.networks.check_offers()
        for entry in self.entries():
            try:
                if entry.state is State.READY:
                    self._warm(entry)
            except EngineError as error:
                if self.settings.root is None:
                    self.put(Entry.failed(entry.name, entry.path, self.settings, error))
                    self._check_any()
                log.error('collection "%s" cannot be warmed up: %s', entry.name, error)

    def close(self) -> None:
        """Commit what waits and close every collection."""
        for entry in self._entries.values():
            entry.close()

    def _check_any(self) -> None:
        """Raises why the first of several collections cannot be asked when none of them can."""
        entries = self.entries()
        if entries and not len(self):
            entries[0].check_ready()

    def _warm(self, entry: Entry) -> None:
        with entry.collection.snapshot() as snapshot:
            snapshot.recall(np.zeros(entry.collection.coarse.dims, np.float32), 1)
            first = snapshot.ids(snapshot.page("", 1))
        with suppress(CorruptError):  # one damaged image keeps nobody from the others
            for id in first:
                entry.searcher.search(entry.searcher.features(id), Options(k=1))
        if entry.collection.settings.model:
            encoder = self.image_encoder(entry)
            pixels = encoder.featurizer.prepare(_blank_image()).pixels
            for extracted in [encoder.batcher.submit(pixels) for _ in range(encoder.batcher.lanes.count)]:
                encoder.featurizer.encoded(extracted.result().tokens, ImageSize(1, 1))


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
