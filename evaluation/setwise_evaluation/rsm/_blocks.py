"""A source in blocks of a few images, as float32: what the matching works on."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching import TokenSets
from setwise_evaluation.rsm._sources import Source

__all__ = ["Blocks", "usual_tile"]

_BLOCK_BYTES = 32 << 20
_KEPT_BYTES = 256 << 20
_LEAST, _MOST = 8, 256


def usual_tile(*sources: Source) -> int:
    """Images a block of about 32 MiB of float32 tokens holds, 8 to 256."""
    images = sum(len(source.lengths) for source in sources)
    tokens = sum(int(source.lengths.sum()) for source in sources)
    return min(max(_BLOCK_BYTES * images // max(1, 4 * tokens * sources[0].dims), _LEAST), _MOST)


class Blocks:
    """A source read once from end to end, and then by blocks of `tile` images.

    squares: (N,) float64, |X|^2 of every set. fingerprint: SHA-256 of N, d, the sets' sizes and their float32 tokens,
    so that the same numbers from elsewhere have the same. kept: so many blocks, those used last, stay in memory: up to
    256 MiB of them.
    """

    def __init__(self, source: Source, tile: int) -> None:
        """Raises FeatureError naming the image that holds NaN, infinity or a number beyond float32."""
        self.source, self.tile = source, tile
        self.count = -(-len(source.lengths) // tile)
        mean = 4 * source.dims * int(source.lengths.sum()) / len(source.lengths)
        self.kept = max(2, int(_KEPT_BYTES / max(1.0, mean * tile)))
        self._kept: dict[int, TokenSets] = {}  # the one used last comes last
        digest = hashlib.sha256(np.array([len(source.lengths), source.dims, *source.lengths], "<i8").data)
        squares: list[NDArray[np.float64]] = []
        for number in range(self.count):
            block = self.block(number)
            digest.update(block.tokens.data)
            squares.append(block.squares)
        self.squares = np.concatenate(squares)
        self.fingerprint = digest.hexdigest()

    def block(self, number: int) -> TokenSets:
        """The sets of a block."""
        self._kept[number] = block = self._kept.pop(number, None) or self._read(number)
        if len(self._kept) > self.kept:
            del self._kept[next(iter(self._kept))]
        return block

    def span(self, number: int) -> slice:
        """The rows of a block."""
        return slice(number * self.tile, number * self.tile + self.size(number))

    def size(self, number: int) -> int:
        """How many rows a block has."""
        return min(self.tile, len(self.source.lengths) - number * self.tile)

    def _read(self, number: int) -> TokenSets:
        span = self.span(number)
        sets = self.source.sets(span.start, span.stop)
        try:
            return TokenSets(sets)
        except FeatureError:
            for row, one in enumerate(sets, span.start):
                self._check(row, one)
            raise

    def _check(self, row: int, tokens: NDArray[np.floating]) -> None:
        with np.errstate(over="ignore"):
            fine = np.isfinite(tokens.astype(np.float32)).all()
        if not fine:
            raise FeatureError(
                f"{self.source.called(row)} holds NaN, infinity or a number beyond float32; leave the image out or "
                "compute its tokens again",
                field="tokens",
            )
