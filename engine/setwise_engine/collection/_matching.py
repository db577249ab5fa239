"""Which images pass a filter, found once for each version and filter."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._metadata import read_metadata
from setwise_engine.collection._view import View
from setwise_engine.filters import And, AnyOf, Filter, Not, Or, evaluate, matches

__all__ = ["KEPT_BYTES", "Matching", "matching_keys"]

KEPT_BYTES = 64 << 20  # of filters and keys, for one version
_OBJECT = 200  # bytes, about, of a filter without its values
_BEFORE_ENTRIES = 1  # the format version whose catalog has no typed table

Keys = NDArray[np.int64]


def matching_keys(
    connection: sqlite3.Connection, view: View, where: Filter, check: Callable[[], None] = lambda: None
) -> Keys:
    """Keys of the live images that pass, rising, by the connection's transaction, which the view was made from. check:
    called now and then; it raises to end the work."""
    if view.format > _BEFORE_ENTRIES:
        return view.live[evaluate(connection, view, where, check)]
    rows = connection.execute("SELECT key, id, metadata FROM images ORDER BY key")
    return np.array([key for key, id, text in rows if matches(where, read_metadata(text, id))], np.int64)


class Matching:
    """The answers of the filters that were asked last of one version, within a number of bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Filter, Keys] = OrderedDict()
        self._bytes = 0

    def get(self, where: Filter, find: Callable[[], Keys]) -> Keys:
        """What is kept for the filter, or what `find` gives, which is kept from now on; read-only."""
        with self._lock:
            keys = self._kept.get(where)
            if keys is not None:
                self._kept.move_to_end(where)
                return keys
        keys = find()  # without the lock: two who ask the same at once both look, and nobody waits for another filter
        keys.flags.writeable = False
        with self._lock:
            if where not in self._kept:
                self._kept[where] = keys
                self._bytes += _weight(where, keys)
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= _weight(*self._kept.popitem(last=False))
        return keys


def _weight(where: Filter, keys: Keys) -> int:
    """Bytes of an answer and of its question: one that nothing passes may hold megabytes of values."""
    return keys.nbytes + _bytes_of(where)


def _bytes_of(where: Filter) -> int:
    match where:
        case And(parts) | Or(parts):
            return _OBJECT + sum(map(_bytes_of, parts))
        case Not(part):
            return _OBJECT + _bytes_of(part)
        case AnyOf(field, values):
            return _OBJECT + sys.getsizeof(field) + sum(map(sys.getsizeof, values))
        case _:
            texts = (getattr(where, name, None) for name in ("field", "value", "gt", "ge", "lt", "le"))
            return _OBJECT + sum(map(sys.getsizeof, texts))
