"""A folder of collections: what is in it, and how collections and aliases are made and dropped there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from setwise_engine.collection import Collection, Disk, Settings, WriterLock
from setwise_engine.encoder import Encoder
from setwise_engine.errors import AlreadyExists, CollectionError, Incompatible, InvalidInput, NotFound, ReadOnlyError
from setwise_server._aliases import read_aliases, write_aliases
from setwise_server._waiting import Waiting, forget_waiting, waiting_files, write_waiting

__all__ = ["Root", "check_name"]

SUFFIX = ".setwise"
CATALOG_FILE = "catalog.sqlite"
DROPPED_FOLDER = ".dropped"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str, field: str) -> None:
    """Raises InvalidInput for what no collection or alias may be called: it becomes the name of a folder."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f'"{name[:200]}" cannot be a name; take a letter or digit, then up to 99 letters, digits, dots, hyphens '
            "and underscores",
            field=field,
        )


class Root:
    """Safe from many threads and processes: each change is made under the folder's own writer lock, and lasts.

    A collection appears when its catalog does and vanishes by one rename; an alias changes by one rename. All methods
    that change something raise ReadOnlyError without the right to write, LockedError naming another process that
    changes the folder, CollectionError when the disk refuses.
    """

    def __init__(self, folder: str | os.PathLike[str], disk: Callable[[], Disk] = Disk) -> None:
        """Raises NotFound when there is no such folder. `disk` is for tests that watch what is written."""
        self.folder = Path(folder).absolute()
        if not self.folder.is_dir():
            raise NotFound(f"there is no folder {self.folder} to keep collections in; make it first", field="--root")
        self._lock = WriterLock(self.folder)
        self._disk = disk

    def scan(self) -> dict[str, Path]:
        """The folders of all collections by name. Of two of one name, the one that ends in `.setwise` counts."""
        found: dict[str, Path] = {}
        with os.scandir(self.folder) as entries:
            folders = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
        for path in (self.folder / name for name in folders):
            if (path.stem not in found or path.suffix == SUFFIX) and (path / CATALOG_FILE).exists():
                found[path.stem] = path
        return found

    def waiting(self) -> dict[str, Path]:
        """The files of collections that wait for their encoder, by name."""
        return waiting_files(self.folder)

    def aliases(self) -> dict[str, str]:
        """The collection that each alias stands for. Raises CorruptError, FormatError."""
        return read_aliases(self.folder)

    def create(self, name: str, settings: Settings, encoder: Encoder) -> None:
        """Makes an empty collection. Raises AlreadyExists when the name is taken."""
        with self._changing() as disk:
            self._check_free(name, "name")
            self._create(name, settings, encoder, disk)

    def wait(self, name: str, waiting: Waiting) -> None:
        """Keeps a name and settings for a collection that is still to get its encoder. Raises as `create` does."""
        with self._changing() as disk:
            self._check_free(name, "name")
            write_waiting(self.folder, name, waiting, disk)

    def finish(self, name: str, settings: Settings, encoder: Encoder) -> None:
        """Makes the collection that waited. Raises NotFound when it does not wait any more."""
        with self._changing() as disk:
            if name in self.scan():
                raise AlreadyExists(f'collection "{name}" has an encoder already', field="start.collection")
            if name not in self.waiting():
                raise NotFound(f'collection "{name}" has been dropped', field="start.collection")
            self._create(name, settings, encoder, disk)
            forget_waiting(self.folder, name, disk)

    def drop(self, name: str, release: Callable[[], None] = lambda: None) -> None:
        """Deletes a collection. `release` is called before its folder is taken away, after everything was checked.

        Raises NotFound, InvalidInput for an alias, Incompatible while an alias stands for the collection.
        """
        with self._changing() as disk:
            self._check_droppable(name)
            release()
            path = self.scan().get(name)
            gone = None if path is None else self._hide(path, disk)
            forget_waiting(self.folder, name, disk)
        if gone is not None:
            shutil.rmtree(gone, ignore_errors=True)

    def set_alias(self, alias: str, collection: str) -> str:
        """Makes the alias stand for the collection; what it stood for until now, "" when it is new.

        Raises NotFound for an unknown collection, InvalidInput for an alias of an alias, AlreadyExists when the alias
        is the name of a collection.
        """
        check_name(alias, "alias")
        with self._changing() as disk:
            aliases, known = self.aliases(), self.scan()
            if alias in known or alias in self.waiting():
                raise AlreadyExists(f'"{alias}" is a collection; an alias needs a name of its own', field="alias")
            if collection in aliases:
                message = f'"{collection}" is an alias itself; name the collection, "{aliases[collection]}"'
                raise InvalidInput(message, field="collection")
            if collection not in known:
                raise NotFound(f'no collection is named "{collection}"', field="collection")
            if aliases.get(alias) != collection:
                write_aliases(self.folder, {**aliases, alias: collection}, disk)
        return aliases.get(alias, "")

    def delete_alias(self, alias: str) -> None:
        """Forgets an alias. Raises NotFound when there is none of that name."""
        with self._changing() as disk:
            aliases = self.aliases()
            if alias not in aliases:
                raise NotFound(f'there is no alias "{alias}"', field="alias")
            write_aliases(self.folder, {name: aliases[name] for name in aliases if name != alias}, disk)

    def sweep(self) -> None:
        """Finishes what a process that was killed had begun to drop or to make."""
        with contextlib.suppress(ReadOnlyError, CollectionError), self._changing() as disk:
            for name in self.waiting().keys() & self.scan().keys():
                forget_waiting(self.folder, name, disk)
            for gone in (self.folder / DROPPED_FOLDER).glob("*"):
                shutil.rmtree(gone, ignore_errors=True)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Disk]:
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise ReadOnlyError(f"this process may not write to {self.folder}; change its rights")
        with self._lock.hold():
            yield self._disk()

    def _create(self, name: str, settings: Settings, encoder: Encoder, disk: Disk) -> None:
        Collection.create(self.folder / f"{name}{SUFFIX}", settings, encoder, disk=disk).close()

    def _hide(self, path: Path, disk: Disk) -> Path:
        """Takes the folder out of sight in one step, between two commits of whoever writes to it."""
        hidden = self.folder / DROPPED_FOLDER
        try:
            hidden.mkdir(exist_ok=True)
            gone = hidden / f"{path.name}-{secrets.token_hex(4)}"
            with WriterLock(path).hold():
                disk.rename(path, gone)
        except OSError as error:
            raise CollectionError(f"{path} cannot be dropped ({error.strerror}); check its rights") from error
        disk.fsync_folder(self.folder)
        disk.fsync_folder(hidden)
        return gone

    def _check_free(self, name: str, field: str) -> None:
        check_name(name, field)
        if name in self.scan() or name in self.waiting():
            raise AlreadyExists(f'there is a collection "{name}" already; choose another name', field=field)
        target = self.aliases().get(name)
        if target is not None:
            raise AlreadyExists(f'"{name}" is an alias of "{target}"; choose another name', field=field)

    def _check_droppable(self, name: str) -> None:
        aliases = self.aliases()
        if name not in self.scan() and name not in self.waiting():
            if name in aliases:
                raise InvalidInput(f'"{name}" is an alias of "{aliases[name]}"; give that name itself', field="name")
            raise NotFound(f'no collection is named "{name}"', field="name")
        held = sorted(f'"{alias}"' for alias, target in aliases.items() if target == name)
        if held:
            message = f'"{name}" is what {", ".join(held)} stands for; set or delete that alias first'
            raise Incompatible(message, field="name")
