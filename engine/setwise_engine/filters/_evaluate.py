"""Filters answered by the catalog: one bound query for each comparison, joined as arrays of booleans."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from setwise_engine.filters._kinds import ELEMENT, Scalar, kind_of, stored
from setwise_engine.filters._types import And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range

__all__ = ["Images", "evaluate"]

_CHUNK = 900  # values of one statement; SQLite's oldest limit is 999 parameters
_FIELD = "field = (SELECT field FROM fields WHERE name = ?)"
_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


class Images(Protocol):
    """A version's live images."""

    @property
    def live_births(self) -> NDArray[np.int64]:
        """Births of the live images, in the order of their keys."""


def evaluate(
    connection: sqlite3.Connection, view: Images, where: Filter, check: Callable[[], None] = lambda: None
) -> NDArray[np.bool_]:
    """Which live images pass, in the order of `view.live_births`; equal to `matches` of each image's metadata.

    The connection is inside the read transaction that the view was made from, of a catalog that has the typed table.
    check: called before each comparison, each of which may pass over all images; it raises to end the work.
    """
    return _Evaluation(connection, view.live_births, check).mask(where)


class _Evaluation:
    def __init__(self, connection: sqlite3.Connection, births: NDArray[np.int64], check: Callable[[], None]) -> None:
        self._connection = connection
        self._check = check
        rises = bool((births[1:] > births[:-1]).all())
        self._order = None if rises else np.argsort(births, kind="stable")  # few rising runs: nearly linear
        self._births = births if self._order is None else births[self._order]

    def mask(self, where: Filter) -> NDArray[np.bool_]:
        match where:
            case And(parts):
                return self._joined(parts, np.logical_and, start=True)
            case Or(parts):
                return self._joined(parts, np.logical_or, start=False)
            case Not(part):
                return ~self.mask(part)
            case _:
                mask = np.zeros(len(self._births), np.bool_)
                for condition, values in _conditions(where):
                    self._check()
                    mask[self._places(condition, [where.field, *values])] = True
                return mask

    def _joined(self, parts: tuple[Filter, ...], join: np.ufunc, *, start: bool) -> NDArray[np.bool_]:
        mask = np.full(len(self._births), start)
        for part in parts:
            join(mask, self.mask(part), out=mask)
        return mask

    def _places(self, condition: str, values: Sequence[Scalar]) -> NDArray[np.intp]:
        """Places of the live images of which an entry fulfils the condition; entries of others do no harm."""
        # One text of all births is read faster than a row for each, and without holding the interpreter up.
        statement = f"SELECT group_concat(birth) FROM entries WHERE {_FIELD} AND {condition}"
        (text,) = self._connection.execute(statement, values).fetchone()
        if text is None or not len(self._births):
            return np.zeros(0, np.intp)
        births = np.fromstring(str(text), np.int64, sep=",")
        places: NDArray[np.intp] = np.minimum(np.searchsorted(self._births, births), len(self._births) - 1)
        places = places[self._births[places] == births]
        return places if self._order is None else self._order[places]


def _conditions(where: Equals | AnyOf | Range | Exists | Contains) -> Iterator[tuple[str, list[Scalar]]]:
    """SQL conditions on an entry of the field, any of which suffices, and the values that they bind."""
    match where:
        case Exists():
            yield "true", []
        case Contains(_, value):
            yield "kind = ? AND value = ?", [kind_of(value) + ELEMENT, stored(value)]
        case Equals(_, value):
            yield "kind IN (?, ?) AND value = ?", [*_kinds(kind_of(value)), stored(value)]
        case Range():
            bounds = [(sign, bound) for name, sign in _BOUNDS if (bound := getattr(where, name)) is not None]
            condition = " AND ".join(["kind IN (?, ?)", *(f"value {sign} ?" for sign, _ in bounds)])
            yield condition, [*_kinds(kind_of(bounds[0][1])), *(bound for _, bound in bounds)]
        case AnyOf(_, values):
            for kind, same in groupby(sorted(values, key=kind_of), kind_of):
                wanted = [stored(value) for value in same]
                for first in range(0, len(wanted), _CHUNK):
                    part = wanted[first : first + _CHUNK]
                    marks = ", ".join("?" * len(part))
                    yield f"kind IN (?, ?) AND value IN ({marks})", [*_kinds(kind), *part]


def _kinds(kind: int) -> tuple[int, int]:
    """A value itself, and as an element of a list."""
    return kind, kind + ELEMENT
