"""Keeps what a server serves in step with its root folder, whoever changes that."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from setwise_engine.collection import Settings
from setwise_engine.encoder import Encoder
from setwise_engine.errors import EngineError
from setwise_server._registry import Entry, Registry
from setwise_server._root import CATALOG_FILE, Root
from setwise_server._waiting import Waiting

__all__ = ["Keeper"]

POLL_S = 0.5
RETRY_S = 5.0

log = logging.getLogger("setwise.server")


class Keeper:
    """Serves the collections of a root folder and carries out what callers want changed in it. Thread-safe.

    New collections are served, and those that are gone are served no more, within a second, whoever made or dropped
    them. One that cannot be opened is reported, tried again every few seconds, and stops nothing else. What is changed
    through the keeper shows at once.
    """

    def __init__(self, root: Root, registry: Registry) -> None:
        self.root = root
        self._registry = registry
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: dict[str, tuple[int, ...]] = {}
        self._failed: dict[str, _Failure] = {}
        self._told = ""
        root.sweep()
        self.refresh()

    def start(self) -> None:
        """Follow the folder until `stop`."""
        self._thread = threading.Thread(target=self._follow, name="setwise-root", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow it no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> None:
        """Serve what is in the folder now."""
        with self._lock:
            self._refresh()

    def create(self, name: str, settings: Settings, encoder: Encoder) -> Entry:
        """Make an empty collection; see Root.create."""
        with self._changed():
            self.root.create(name, settings, encoder)
        return self._registry.get(name)

    def wait(self, name: str, waiting: Waiting) -> Entry:
        """Make a collection that is still to get its encoder; see Root.wait."""
        with self._changed():
            self.root.wait(name, waiting)
        return self._registry.find(name)

    def finish(self, name: str, settings: Settings, encoder: Encoder) -> Entry:
        """Make the collection that waited; see Root.finish."""
        with self._changed():
            self.root.finish(name, settings, encoder)
        return self._registry.get(name)

    def drop(self, name: str) -> None:
        """Delete a collection; see Root.drop. What waits to be committed is committed before; calls that run go on."""
        with self._changed():
            self.root.drop(name, lambda: self._forget(name))

    def set_alias(self, alias: str, collection: str) -> str:
        """Make an alias stand for a collection; see Root.set_alias."""
        with self._changed():
            return self.root.set_alias(alias, collection)

    def delete_alias(self, alias: str) -> None:
        """Forget an alias; see Root.delete_alias."""
        with self._changed():
            self.root.delete_alias(alias)

    @contextmanager
    def _changed(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            finally:
                self._refresh()

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_S):
            try:
                self.refresh()
            except Exception:  # whatever it is, the next time may go well
                log.exception("the folder %s could not be followed", self.root.folder)

    def _refresh(self) -> None:
        found = self.root.scan()
        waiting = {name: path for name, path in self.root.waiting().items() if name not in found}
        for name in self._registry.names():
            if name not in found and name not in waiting:
                self._forget(name)
                log.info('collection "%s" is gone', name)
        for name, path in found.items():
            self._serve(name, path)
        for name, path in waiting.items():
            if self._is_new(name, path):
                self._registry.put(Entry.waiting(name, path, self._registry.settings))
        self._refresh_aliases()

    def _forget(self, name: str) -> None:
        self._registry.remove(name)
        self._seen.pop(name, None)
        self._failed.pop(name, None)

    def _refresh_aliases(self) -> None:
        try:
            self._registry.set_aliases(self.root.aliases())
            self._told = ""
        except EngineError as error:
            if str(error) != self._told:
                self._told = str(error)
                log.error("aliases stay as they were: %s", error)

    def _serve(self, name: str, path: Path) -> None:
        failed = self._failed.get(name)
        due = failed is not None and time.monotonic() - failed.when >= RETRY_S
        if not self._is_new(name, path) and not due:
            return
        entry = Entry.attempt(name, path, self._registry.settings)
        if entry.problem:
            if failed is None or failed.problem != entry.problem:
                log.error('collection "%s" cannot be opened: %s', name, entry.problem)
            self._failed[name] = _Failure(time.monotonic(), entry.problem)
        else:
            self._failed.pop(name, None)
            log.info('collection "%s" is served', name)
        self._registry.put(entry)

    def _is_new(self, name: str, path: Path) -> bool:
        """Whether there is another collection under the name than the last time."""
        now = _identity(path)
        if self._seen.get(name) == now:
            return False
        self._seen[name] = now
        return True


@dataclass(frozen=True, slots=True)
class _Failure:
    """When a collection was last tried, by the monotonic clock, and why it could not be opened."""

    when: float
    problem: str


def _identity(path: Path) -> tuple[int, ...]:
    """Tells a collection from another one in its place: its catalog's number, and what was written once, at its making.

    A number alone may be given out again after the file has gone.
    """
    numbers: list[int] = []
    for file in (path / CATALOG_FILE, path / "encoder.safetensors", path):
        try:
            state = file.stat()
        except OSError:
            numbers += [0, 0]
        else:
            numbers += [state.st_ino, state.st_mtime_ns if file.suffix in (".safetensors", ".json") else 0]
    return tuple(numbers)
