"""Everything that a server holds and keeps: collections, networks, the root folder, upkeep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from setwise_engine.errors import InvalidInput
from setwise_server._keeper import Keeper
from setwise_server._maintenance import Maintenance
from setwise_server._registry import Registry
from setwise_server._root import Root
from setwise_server.settings import ServerSettings

__all__ = ["Holdings"]


class Holdings:
    """registry: the collections and networks. keeper: keeps them in step with the root folder, None without one.

    maintenance: looks after the collections; it does so by itself only between `start` and `stop`.
    Raises, naming the directory, what Registry and Root raise.
    """

    def __init__(self, paths: Sequence[str | Path], settings: ServerSettings) -> None:
        if bool(paths) == (settings.root is not None):
            raise InvalidInput("give either collections to serve or --root DIR, the folder that they are in")
        self.registry = Registry(paths, settings)
        try:
            self.keeper = None if settings.root is None else Keeper(Root(settings.root), self.registry)
        except BaseException:
            self.registry.close()
            raise
        self.maintenance = Maintenance(self.registry)

    def start(self) -> None:
        """Follow the root folder, and look after the collections where the settings say so."""
        if self.keeper is not None:
            self.keeper.start()
        settings = self.registry.settings
        if settings.maintenance and not settings.read_only:
            self.maintenance.start()

    def stop(self) -> None:
        """Follow and look after nothing any more; the collections stay open."""
        self.maintenance.stop()
        if self.keeper is not None:
            self.keeper.stop()

    def close(self) -> None:
        """Stop, commit what waits, and close every collection."""
        self.stop()
        self.registry.close()
