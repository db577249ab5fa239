"""A collection: images' feature sets, metadata and deletions in one folder (docs/format.md)."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from setwise_engine.coarse import Coarse
from setwise_engine.collection._catalog import (
    Catalog,
    create_catalog,
    read_number,
    read_settings,
    read_text,
    settings_meta,
)
from setwise_engine.collection._change import Change, Put, Remove, SetMetadata, Written
from setwise_engine.collection._changes import ids_of
from setwise_engine.collection._compactor import Compactor
from setwise_engine.collection._current_index import CurrentIndex
from setwise_engine.collection._durable import Disk
from setwise_engine.collection._encoder_file import ENCODER_FILE, check_settings, load_encoder
from setwise_engine.collection._index import INDEX_FOLDER
from setwise_engine.collection._index_build import build_index
from setwise_engine.collection._info import collection_info
from setwise_engine.collection._lock import LOCK_FILE, WriterLock
from setwise_engine.collection._matching import matching_keys
from setwise_engine.collection._merge import Pace
from setwise_engine.collection._metadata import MetadataValue, read_metadata
from setwise_engine.collection._place import absolute, check_local, existing_folder, is_writable
from setwise_engine.collection._plan import SetSource
from setwise_engine.collection._recall import Recall, index_due
from setwise_engine.collection._room import forecast, measure
from setwise_engine.collection._scan import Scan
from setwise_engine.collection._schema import CATALOG_FILE, sqlite_errors
from setwise_engine.collection._segments import Segments
from setwise_engine.collection._snapshot import Snapshot
from setwise_engine.collection._types import (
    CollectionInfo,
    Compaction,
    ImageRecord,
    IndexInfo,
    Known,
    Room,
    Settings,
    Source,
    VerifyReport,
)
from setwise_engine.collection._verify import verify_folder
from setwise_engine.collection._view import View, read_view
from setwise_engine.collection._writer import SEGMENTS_FOLDER, Writer
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CollectionError, CorruptError, InvalidInput, ReadOnlyError
from setwise_engine.filters import Filter
from setwise_engine.matching import no_check

__all__ = ["Collection"]

Check = Callable[[], None]


class Collection:
    """One folder of images' feature sets. Safe from many threads; open it once per process.

        with Collection.open("photos.setwise") as collection, collection.snapshot() as snapshot:
            candidates = snapshot.recall(vector, 200)

    path, name: the folder and its stem. settings, encoder, uuid: fixed at creation. read_only: opened without the
    right to write.
    """

    def __init__(self, path: Path, *, read_only: bool, disk: Disk) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.read_only = read_only or not is_writable(path)
        self._disk = disk
        self._catalog = Catalog(path, writable=is_writable(path))
        with self._catalog.reading() as connection, sqlite_errors(path):
            self.uuid = read_text(connection, "uuid")
            self.created = read_text(connection, "created")
            self.settings = read_settings(connection)
        self.encoder = load_encoder(path, self.settings)
        self._coarse = Coarse(self.settings.coarse, self.encoder.coarse_basis)
        self._segments = Segments(
            path / SEGMENTS_FOLDER, collection=self.uuid, dims=self.settings.dims, coarse=self._coarse.dims
        )
        self._scan = Scan()
        self._index = CurrentIndex(path, collection=self.uuid, coarse=self.settings.coarse, dims=self._coarse.dims)
        self._writer = Writer(path, self._catalog, disk, uuid=self.uuid, settings=self.settings, coarse=self._coarse)
        self._compactor = Compactor(self._writer)
        self._lock = threading.Lock()
        self._recall: Recall | None = None

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], settings: Settings, encoder: Encoder, *, disk: Disk | None = None
    ) -> Self:
        """Makes an empty collection in a folder that does not exist, is empty, or holds an unfinished creation.

        Raises CollectionError when the folder holds anything else, Incompatible when settings and encoder differ.
        `disk` is for tests that watch what is written.
        """
        folder, disk = absolute(path), disk or Disk()
        check_settings(settings, encoder)
        Coarse(settings.coarse, encoder.coarse_basis)
        check_local(folder)
        _make_folder(folder, disk)
        _check_empty(folder)  # before the lock's file would be put into a stranger's folder
        with WriterLock(folder).hold():
            _check_empty(folder)
            for name in (SEGMENTS_FOLDER, INDEX_FOLDER):
                (folder / name).mkdir(exist_ok=True)
            disk.publish(folder / ENCODER_FILE, [encoder.to_bytes()])
            meta: dict[str, str | int] = {
                "uuid": str(uuid.uuid4()),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "version": 0,
            }
            meta |= settings_meta(settings)
            create_catalog(folder, meta, disk)
            disk.fsync_folder(folder.parent)
        return cls.open(folder, disk=disk)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False, disk: Disk | None = None) -> Self:
        """Opens a collection; one in a folder without write permission is opened read-only.

        Raises NotFound when there is none, FormatError when it is not ours or of an unknown version, CorruptError when
        a part is missing or damaged, CollectionError on a network file system.
        """
        folder = existing_folder(path)
        check_local(folder)
        collection = cls(folder, read_only=read_only, disk=disk or Disk())
        try:
            with collection.snapshot():
                pass
            if not collection.read_only:
                collection._writer.sweep()
        except BaseException:
            collection.close()
            raise
        return collection

    @property
    def name(self) -> str:
        """The folder's name without its suffix."""
        return self.path.stem

    @property
    def coarse(self) -> Coarse:
        """What pools a query's tokens to the vector that `Snapshot.recall` takes."""
        return self._coarse

    def write(self, changes: Sequence[Change]) -> Written:
        """Makes the changes in one durable commit, one by one in their order; each has its result in its place.

        A change that cannot be made does not stop the others; its result is the error: AlreadyExists for the insertion
        of an id that is there, NotFound for changing one that is not, InvalidInput, FeatureError or Incompatible for a
        bad record. When nothing changes there is no commit. Raises LockedError naming another writer, ReadOnlyError,
        and CollectionError when the disk is full; then nothing was stored.
        """
        self._check_writable()
        return self._writer.write(changes) if changes else Written(self._version(), ())

    def delete_where(self, where: Filter) -> Written:
        """Deletes the images that pass, in one durable commit; a result for each. Raises as `write` does."""
        self._check_writable()

        def find(connection: sqlite3.Connection) -> list[str]:
            with self._lock:
                known = self._recall.view if self._recall else None
            view = read_view(connection, known, self._segments.map)
            return ids_of(connection, matching_keys(connection, view, where))

        return self._writer.delete_found(find)

    def append(self, records: Sequence[ImageRecord]) -> int:
        """Stores images, replacing those whose ids exist, in one durable commit; returns the new version.

        All or none: raises InvalidInput, FeatureError and Incompatible naming the image at fault, and otherwise as
        `write` does. An image is stored anew even if it is there with the same content hash.
        """
        seen: set[str] = set()
        for record in records:
            if record.id in seen:
                raise InvalidInput(f"id {record.id!r} occurs twice in one append; give each image once", field="id")
            seen.add(record.id)
        return self._write_all([Put(record) for record in records], always_store=True)

    def delete(self, ids: Sequence[str]) -> int:
        """Deletes images by id in one durable commit; returns the new version. Ids that do not exist are left out."""
        return self._write_all([Remove(id) for id in ids])

    def update(
        self, changes: Mapping[str, Mapping[str, MetadataValue]], sources: Mapping[str, Source] | None = None
    ) -> int:
        """Replaces the metadata, and where given the sources, of images by id; their features stay as they are.

        One durable commit; returns the new version. All or none: raises NotFound naming an id that does not exist.
        """
        metadata = [SetMetadata(id, values, replace=True) for id, values in changes.items()]
        return self._write_all([*metadata, *(SetSource(id, source) for id, source in (sources or {}).items())])

    def sources(self) -> dict[str, Known]:
        """Source, content hash and metadata of every image by id: what tells whether a file must be read again."""
        columns = "id, source_path, source_size, source_mtime_ns, content_hash, metadata"
        with self._catalog.reading() as connection, sqlite_errors(self.path):
            return {
                id: Known(None if path is None else Source(path, size, mtime), content_hash, read_metadata(text, id))
                for id, path, size, mtime, content_hash, text in connection.execute(f"SELECT {columns} FROM images")
            }

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The newest version, for reading; later commits do not show in it."""
        with self._reading() as (connection, recall):
            snapshot = Snapshot(connection, recall.view, recall, self._segments, self.settings)
            try:
                yield snapshot
            finally:
                snapshot.end()

    def build_index(self, *, factory: str | None = None, check: Check = no_check) -> IndexInfo:
        """Makes the FAISS index for the present version and puts it in the place of the old one.

        factory: a `faiss.index_factory` text to use from now on, "" for one by the number of images; None for what the
        present index was asked for. check: raises to give up. Raises LockedError and ReadOnlyError as `append` does,
        and InvalidInput when FAISS cannot make such an index.
        """
        self._check_writable()
        with self.snapshot() as snapshot:
            view = snapshot.view
        sidecar = build_index(
            view,
            self.path,
            self._disk,
            self._writer.lock,
            collection=self.uuid,
            coarse=self.settings.coarse,
            dims=self._coarse.dims,
            factory=factory,
            check=check,
        )
        return IndexInfo(sidecar.version, sidecar.rows, sidecar.factory, sidecar.bytes)

    def index_due(self) -> bool:
        """Whether `build_index` would make searches faster: much is not covered or dead, or the index is no use."""
        with self._reading() as (_, recall):
            return self._index.useless or index_due(recall)

    def compact(
        self, *, everything: bool = False, bytes_per_second: float | None = None, check: Check = no_check
    ) -> Compaction:
        """Merges small segments and drops deleted rows from the disk, as far as it is due; others read and write.

        everything: as few segments as possible and no deleted rows. bytes_per_second: bound on what is read and
        written; None for none. check: raises to give up. Answers stay the same; what was done by then lasts whatever
        happens. Damaged segments are left as they are and named. Raises LockedError and ReadOnlyError as `append` does,
        LockedError also when another process compacts, and CollectionError when the disk is full.
        """
        self._check_writable()
        return self._compactor.run(self._newest, Pace(bytes_per_second, check), everything=everything)

    def compaction_due(self) -> bool:
        """Whether `compact` would do something."""
        return self._compactor.due(self._newest())

    def info(self) -> CollectionInfo:
        """What the collection holds and how many bytes it takes."""
        with self._reading() as (connection, recall), sqlite_errors(self.path):
            return collection_info(connection, self, recall)

    def room(self, more: int = 1_000_000) -> tuple[Room, Room | None]:
        """The bytes that the images take, and those that `more` images like them will; None when there are none yet.

        Reads the catalog's metadata when there are few images; otherwise it takes as long as counting segments.
        """
        with self._reading() as (connection, recall), sqlite_errors(self.path):
            now = measure(connection, self.path, recall, self.settings, self._coarse.dims)
        return now.room, forecast(now, more)

    def verify(self, progress: Callable[[int, int], None] | None = None, *, recompute: bool = False) -> VerifyReport:
        """Reads every byte and compares it with what was written; changes nothing.

        progress: called with the bytes done and the bytes in all. recompute: also holds the int8 gates against the
        tokens that they stand for, which takes about as long again as making them did.
        """
        return verify_folder(self.path, progress, recompute=recompute)

    def close(self) -> None:
        """Gives back connections and mappings. Arrays that were handed out stay valid."""
        self._catalog.close()
        self._segments.clear()
        self._recall = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Collection({str(self.path)!r})"

    @contextlib.contextmanager
    def _reading(self) -> Iterator[tuple[sqlite3.Connection, Recall]]:
        """A read transaction on the newest version and its recall, all segments mapped."""
        with contextlib.ExitStack() as stack:
            failed: int | None = None
            while True:
                version = None
                try:
                    connection = stack.enter_context(self._catalog.reading())
                    with sqlite_errors(self.path):
                        version = read_number(connection, "version")
                        recall = self._view_recall(connection)
                    break
                except CorruptError:
                    # A segment may have gone with the version that needed it: the newest version decides.
                    stack.close()
                    if version in (None, failed):
                        raise
                    failed = version
            yield connection, recall

    def _view_recall(self, connection: sqlite3.Connection) -> Recall:
        with self._lock:
            known = self._recall
        view = read_view(connection, known.view if known else None, self._segments.map)
        index = self._index.get()
        if index is not None and not index.serves(view):
            # Another process may have committed and built anew since this transaction began: the old one still fits.
            before = known.index if known else None
            index = before if before is not None and before.serves(view) else None
        if known is not None and (known.view, known.index) == (view, index):
            return known
        recall = Recall(view, index, self._scan)
        with self._lock:
            if self._recall is None or self._recall.view.version <= view.version:
                self._recall = recall
        return recall

    def _write_all(self, changes: Sequence[Change | SetSource], *, always_store: bool = False) -> int:
        self._check_writable()
        if not changes:
            return self._version()
        return self._writer.write(changes, all_or_none=True, always_store=always_store).version

    def _newest(self) -> View:
        with self._reading() as (_, recall):
            return recall.view

    def _version(self) -> int:
        return self._newest().version

    def _check_writable(self) -> None:
        if self.read_only:
            opened = "it was opened so; open it for writing"
            reason = opened if is_writable(self.path) else "this process may not write to its folder; change its rights"
            raise ReadOnlyError(f'collection "{self.name}" is read-only: {reason}')
        self._disk.check()


def _make_folder(folder: Path, disk: Disk) -> None:
    try:
        disk.make_folder(folder)
    except FileExistsError:
        raise CollectionError(f"{folder} is a file; choose another name for the collection") from None
    except OSError as error:
        raise CollectionError(f"folder {folder} cannot be made ({error.strerror}); choose another place") from error
    if not is_writable(folder):
        raise ReadOnlyError(f"this process may not write to {folder}; change its rights or choose another place")


def _check_empty(folder: Path) -> None:
    """An unfinished creation has every name but the catalog's, which comes last."""
    if (folder / CATALOG_FILE).exists():
        raise CollectionError(f"{folder} is a collection already; open it, or choose another name")
    ours = {LOCK_FILE, ENCODER_FILE, SEGMENTS_FOLDER, INDEX_FOLDER}
    for path in folder.iterdir():
        if path.name not in ours and not path.name.startswith((CATALOG_FILE, ENCODER_FILE)):
            raise CollectionError(f"{folder} holds {path.name!r}, which is not ours; choose an empty or a new folder")
