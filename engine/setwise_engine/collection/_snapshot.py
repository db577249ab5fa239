"""One version of a collection, read."""

from __future__ import annotations

import functools
import heapq
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._blocks import SegmentBlocks
from setwise_engine.collection._matching import matching_keys
from setwise_engine.collection._metadata import MetadataValue, read_metadata
from setwise_engine.collection._recall import Recall
from setwise_engine.collection._schema import CATALOG_FILE, sqlite_errors
from setwise_engine.collection._segments import Segments
from setwise_engine.collection._types import Candidate, Settings, StoredImage
from setwise_engine.collection._view import View
from setwise_engine.errors import CollectionError, CorruptError, Incompatible, NotFound
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage
from setwise_engine.filters import Filter
from setwise_engine.matching import no_check

__all__ = ["Snapshot"]

Read = TypeVar("Read")
Keys = Sequence[int] | NDArray[np.int64]
Check = Callable[[], None]

_CHUNK = 900  # parameters of one statement; SQLite's oldest limit is 999
_PAGE = 1000
_IMAGE = "key, id, tokens, width, height, grid_rows, grid_columns, metadata"


class Snapshot:
    """One version of a collection: later commits do not show. Safe from several threads until its `with` ends.

    A key names a stored image within the collection (segment << 32 | row); it is never used twice.
    """

    def __init__(
        self, connection: sqlite3.Connection, view: View, recall: Recall, segments: Segments, settings: Settings
    ) -> None:
        self._connection = connection
        self.view = view
        self._recall = recall
        self._segments = segments
        self._settings = settings
        self._lock = threading.Lock()
        self._ended = False

    def end(self) -> None:
        """Called when the `with` of `Collection.snapshot` ends: the read transaction goes to somebody else."""
        with self._lock:
            self._ended = True

    @property
    def version(self) -> int:
        """Version of the catalog; grows by one with each commit."""
        return self.view.version

    def __len__(self) -> int:
        """Number of live images."""
        return self.view.images

    def recall(self, vector: NDArray[np.float32], k: int, keys: NDArray[np.int64] | None = None) -> list[Candidate]:
        """The k images (or all, if fewer) whose coarse vectors have the highest inner product with `vector` (c,).

        Best first. keys: the images to choose from, live ones, rising, such as `matching` gives; None for all. Raises
        Incompatible when `vector` has another length than the collection's coarse vectors, NotFound for a key that is
        of no live image.
        """
        vector = np.ascontiguousarray(vector, np.float32)
        if vector.shape != (self._segments.coarse_dims,):
            raise Incompatible(
                f"coarse vector of shape {vector.shape} does not fit this collection's {self._settings.coarse} "
                f"vectors of {self._segments.coarse_dims} numbers; pool it with the collection's encoder"
            )
        return self._recall.best(vector, k, keys)

    def matching(self, where: Filter, check: Check = no_check) -> NDArray[np.int64]:
        """Keys of the live images that pass a filter, rising, read-only. What was asked last is remembered.

        check: called before each comparison of the filter; whatever it raises ends the work.
        """
        find = functools.partial(matching_keys, view=self.view, where=where, check=check)
        return self._recall.matching.get(where, lambda: self.read_catalog(find))

    def count(self, where: Filter | None = None, check: Check = no_check) -> int:
        """Number of live images, of all or of those that pass a filter. check: as of `matching`."""
        return len(self) if where is None else len(self.matching(where, check))

    def live_keys(self) -> NDArray[np.int64]:
        """Keys of all live images in the order in which they are stored: rising. (len(self),), read-only."""
        return self.view.live

    def blocks(self) -> SegmentBlocks:
        """The segments as the matching takes them, by number; views into the mapped files, dead rows included.

        Nothing of it is checked: call `check_rows` for the rows whose numbers are used. Raises what mapping a segment
        raises, at its first use.
        """
        return self._segments.blocks(self.view)

    def prefetch(self, keys: Keys, *, gate: bool = False) -> None:
        """Asks the kernel to read the tokens of these images ahead, or their gates; returns at once.

        Where no gate is stored, its tokens are asked for instead. Raises NotFound for a key of no row.
        """
        self._segments.read_ahead(self.view, np.asarray(keys, np.int64), gate=gate)

    def check_rows(self, keys: Keys, *, gate: bool) -> None:
        """Compares the tokens (or with `gate` the int8 gates) of these images with their checksums.

        Each row once for as long as the collection is open. Where no gate is stored, the tokens are checked instead.
        Raises CorruptError naming image and file, and NotFound for a key of no row.
        """
        self._segments.check_rows(self.view, np.asarray(keys, np.int64), self._id, gate=gate)

    def tokens(self, key: int) -> NDArray[np.float16]:
        """Tokens (n, d): a read-only view into the mapped file, checked as by `check_rows`.

        Raises CorruptError naming image and file when the bytes are not those that were written.
        """
        self.check_rows([key], gate=False)
        segment, row = self._segments.of(self.view, key)
        return segment.unchecked(row)

    def square(self, key: int) -> float:
        """Squared Frobenius norm of the tokens, to the bit what `setwise_engine.matching.square` gives."""
        segment, row = self._segments.of(self.view, key)
        return segment.square(row)

    def norm(self, key: int) -> float:
        """Frobenius norm of the tokens."""
        return math.sqrt(self.square(key))

    def coarse(self, key: int) -> NDArray[np.float32]:
        """Coarse vector (c,) of unit norm, or zeros."""
        segment, row = self._segments.of(self.view, key)
        vector: NDArray[np.float32] = segment.coarse()[row]
        return vector

    def features(self, key: int) -> FeatureSet:
        """The image's feature set, encoded."""
        segment, row = self._segments.of(self.view, key)
        return FeatureSet(
            tokens=self.tokens(key),
            stage=Stage.ENCODED,
            model=self._settings.model_fingerprint,
            encoder=self._settings.encoder_fingerprint,
            grid=segment.grid(row),
            image_size=segment.image_size(row),
        )

    def ids(self, keys: Sequence[int]) -> list[str]:
        """Ids of the keys, in their order. Raises NotFound for a key that this version does not hold."""
        found = {row[0]: row[1] for row in self._select("SELECT key, id FROM images WHERE key IN", keys)}
        return [self._must(found, key) for key in keys]

    def keys(self, ids: Sequence[str]) -> list[int | None]:
        """Keys of the ids, in their order; None where there is no such image."""
        found = {row[1]: row[0] for row in self._select("SELECT key, id FROM images WHERE id IN", ids)}
        return [found.get(id) for id in ids]

    def content_hash(self, key: int) -> str:
        """Hash of what the image was made from; "" when unknown. Raises NotFound for a key that is not there."""
        found = dict(self._query("SELECT key, content_hash FROM images WHERE key = ?", (key,)))
        return str(self._must(found, key))

    def page(self, after_id: str, limit: int, where: Filter | None = None, check: Check = no_check) -> list[int]:
        """Keys of at most `limit` images whose ids follow `after_id` ("" for the beginning), by their UTF-8 bytes.

        where: only those that pass a filter. check: as of `matching`.
        """
        if where is None:
            return [key for key, _ in self._after(after_id, limit)]
        matching = self.matching(where, check)
        if limit * len(self) < len(matching) ** 2:  # so many pass that going through the ids meets enough of them soon
            return self._passing(after_id, limit, matching)
        named = zip(self.ids(matching.tolist()), matching.tolist(), strict=True)
        following = heapq.nsmallest(limit, ((id.encode(), key) for id, key in named if id > after_id))
        return [key for _, key in following]

    def stored(
        self, keys: Sequence[int], *, metadata: bool | Sequence[str] = True, thumbnails: bool = False
    ) -> list[StoredImage]:
        """What answers show of the images, in the order of the keys.

        metadata: all of it, none, or the named entries. Raises NotFound for a key that this version does not hold.
        """
        found = {row[0]: row for row in self._select(f"SELECT {_IMAGE} FROM images WHERE key IN", keys)}
        return [self._stored(self._must(found, key), metadata, thumbnails) for key in keys]

    def read_catalog(self, read: Callable[[sqlite3.Connection], Read]) -> Read:
        """What `read` returns for the connection, inside the snapshot's read transaction; nobody else uses it then."""
        with self._lock, sqlite_errors(self._segments.folder.parent):
            if self._ended:
                raise CollectionError("the snapshot has ended; use it inside the `with` of `Collection.snapshot`")
            return read(self._connection)

    def _stored(self, row: tuple[Any, ...], metadata: bool | Sequence[str], thumbnails: bool) -> StoredImage:
        key, id, tokens, width, height, grid_rows, grid_columns, text = row
        segment, number = self._segments.of(self.view, key)
        return StoredImage(
            id=id,
            metadata=_chosen(id, text, metadata),
            image_size=None if width is None else ImageSize(width, height),
            grid=None if grid_rows is None else Grid(grid_rows, grid_columns),
            tokens=tokens,
            thumbnail=segment.thumbnail(number) if thumbnails else b"",
        )

    def _passing(self, after_id: str, limit: int, matching: NDArray[np.int64]) -> list[int]:
        """As `page`, going through all ids."""
        found: list[int] = []
        while len(found) < limit:
            rows = self._after(after_id, _PAGE)
            keys = np.array([key for key, _ in rows], np.int64)
            found += keys[np.isin(keys, matching)].tolist()
            if len(rows) < _PAGE:
                break
            after_id = rows[-1][1]
        return found[:limit]

    def _after(self, id: str, limit: int) -> list[tuple[int, str]]:
        """Keys and ids of the images whose ids follow, in their order."""
        return self._query("SELECT key, id FROM images WHERE id > ? ORDER BY id LIMIT ?", (id, limit))

    def _must(self, found: dict[int, Any], key: int) -> Any:
        if key in found:
            return found[key]
        if self.view.is_live(np.array([key], np.int64)).any():
            file = self._segments.folder.parent / CATALOG_FILE
            raise CorruptError(f"{file} is damaged: it has lost the image with key {key}; restore it from a backup")
        raise NotFound(f"version {self.version} of the collection has no image with key {key}")

    def _id(self, key: int) -> str:
        row = next(self._select("SELECT key, id FROM images WHERE key IN", [key]), None)
        return row[1] if row else ""

    def _select(self, statement: str, values: Sequence[int] | Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for first in range(0, len(values), _CHUNK):
            part = values[first : first + _CHUNK]
            yield from self._query(f"{statement} ({','.join('?' * len(part))})", part)

    def _query(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return self.read_catalog(lambda connection: connection.execute(statement, values).fetchall())


def _chosen(id: str, text: str, wanted: bool | Sequence[str]) -> dict[str, MetadataValue]:
    if wanted is False:
        return {}
    metadata = read_metadata(text, id)
    return metadata if wanted is True else {name: metadata[name] for name in wanted if name in metadata}
