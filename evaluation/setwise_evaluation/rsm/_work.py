"""What one call computes: its tiles, their order, and what tells it from any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.matching import Floats, no_check
from setwise_evaluation.matchers import Matching, MatchingOptions, matched_tile
from setwise_evaluation.rsm._blocks import Blocks, usual_tile
from setwise_evaluation.rsm._sources import Source
from setwise_evaluation.rsm._targets import Target

__all__ = ["Progress", "Work"]

Progress = Callable[[int, int], None]
"""Called with pairs done and all pairs, after each tile."""

_USED = {
    Matching.TOPK_GREEDY: ("top",),
    Matching.BATCH_OPTIMAL: ("window",),
    Matching.SINKHORN: ("regularisation", "iterations"),
}
_UNBOUNDED = frozenset({Matching.NONE, Matching.MAXSIM, Matching.CHAMFER})


@dataclass(frozen=True, eq=False)
class Work:
    """All pairs of rows and columns under one matching. columns is rows where images are compared with themselves."""

    rows: Blocks
    columns: Blocks
    matching: Matching
    options: MatchingOptions
    threads: int

    @classmethod
    def of(
        cls,
        a: Source,
        b: Source | None,
        *,
        matching: Matching,
        options: MatchingOptions,
        threads: int,
        tile: int | None,
    ) -> Work:
        """Reads the sources once. Raises FeatureError and InvalidInput as `rsm` says."""
        if tile is not None and tile < 1:
            raise InvalidInput(f"tile is {tile}; give at least 1 image a side", field="tile")
        if b is not None and a.dims != b.dims:
            raise FeatureError(
                f"a has tokens of {a.dims} numbers, b of {b.dims}; compare sets of one representation", field="b"
            )
        if matching is Matching.NONE:
            _check_positions(a, a if b is None else b)
        side = tile or (usual_tile(a) if b is None else usual_tile(a, b))
        rows = Blocks(a, side)
        return cls(rows, rows if b is None else Blocks(b, side), matching, options, threads)

    @property
    def bounded(self) -> bool:
        """Whether the matching comes with gaps."""
        return self.matching not in _UNBOUNDED

    @property
    def mirrored(self) -> bool:
        """Whether each pair is computed once for both sides of the diagonal."""
        return self.columns is self.rows and self.matching is not Matching.MAXSIM

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        return len(self.rows.squares), len(self.columns.squares)

    def tiles(self) -> list[tuple[int, int]]:
        """Blocks of rows and columns, by the numbers that a store knows them by."""
        every = range(self.rows.count)
        return [(i, j) for i in every for j in range(i if self.mirrored else 0, self.columns.count)]

    def order(self) -> list[tuple[int, tuple[int, int]]]:
        """Tiles and their numbers in the order of the work: a block that is read meets all row blocks in memory."""
        group = max(1, self.rows.kept - 2)  # besides them the columns of now, and those of before, used last
        return sorted(enumerate(self.tiles()), key=lambda one: (one[1][0] // group, one[1][1], one[1][0]))

    def says(self) -> dict[str, Any]:
        """What the matrix says of itself, besides its numbers."""
        return {
            "matching": self.matching,
            "symmetric": self.columns is self.rows,
            "row_ids": self.rows.source.ids,
            "column_ids": self.columns.source.ids,
            "row_fingerprint": self.rows.fingerprint,
            "column_fingerprint": self.columns.fingerprint,
        }

    def run(self) -> dict[str, Any]:
        """What decides the numbers of a run, and by which a store knows its own."""
        used = {name: value for name, value in asdict(self.options).items() if name in _USED.get(self.matching, ())}
        sides = {"rows": self.rows, "columns": self.columns}
        ids = {f"ids of {name}": _hash(side.source.ids) for name, side in sides.items()}
        inputs = {name: side.fingerprint for name, side in sides.items()} | ids
        work = {"matching": str(self.matching), "tile": self.rows.tile, "tiles": len(self.tiles())}
        return used | inputs | work | {"shape": list(self.shape), "symmetric": self.columns is self.rows}

    def fill(self, target: Target, progress: Progress) -> None:
        """Computes the tiles that are not there yet."""
        done, total = 0, sum(self._pairs(i, j) for i, j in self.tiles())
        for tile, (i, j) in self.order():
            if not target.has(tile):
                self._compute(i, j, target)
                target.end(tile)
            done += self._pairs(i, j)
            progress(done, total)

    def _compute(self, i: int, j: int, target: Target) -> None:
        alone = self.mirrored and i == j
        left, right = self.rows.block(i), None if alone else self.columns.block(j)
        found = matched_tile(self.matching, left, right, options=self.options, threads=self.threads, check=no_check)
        sums, gaps = found.values, found.gaps if self.bounded else None
        if alone:
            sums, gaps = _symmetric(sums), None if gaps is None else _symmetric(gaps)
        row, column = self.rows.span(i).start, self.columns.span(j).start
        target.put(row, column, sums, gaps)
        if self.mirrored and i != j:
            target.put(column, row, sums.T, None if gaps is None else gaps.T)

    def _pairs(self, i: int, j: int) -> int:
        n, m = self.rows.size(i), self.columns.size(j)
        return n * (n + 1) // 2 if self.mirrored and i == j else n * m


def _symmetric(values: Floats) -> Floats:
    """The upper triangle on both sides."""
    upper = np.triu(values)
    return upper + np.triu(values, 1).T


def _hash(ids: tuple[str, ...] | None) -> str | None:
    return None if ids is None else hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def _check_positions(a: Source, b: Source) -> None:
    """Raises InvalidInput unless all sets have tokens at the same positions, as far as that is known."""
    first = (int(a.lengths[0]), a.grid(0))
    for source in (a, b):
        for row, length in enumerate(source.lengths.tolist()):
            grid = source.grid(row)
            if length != first[0] or (None not in (grid, first[1]) and grid != first[1]):
                raise InvalidInput(
                    f"matching none compares equal positions, but {a.called(0)} has {_size(*first)} and "
                    f"{source.called(row)} {_size(length, grid)}; give equal grids, or take another matching",
                    field="matching",
                )


def _size(length: int, grid: tuple[int, int] | None) -> str:
    return f"{length} tokens" if grid is None else f"{grid[0]}x{grid[1]} tokens"
