"""Where candidate sets lie in memory: blocks of rows, as a collection's segments are mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching._affinity import square
from setwise_engine.matching._types import Floats, Half

__all__ = ["ROW_BITS", "Block", "Blocks", "Gate", "block_of", "key_of", "split"]

ROW_BITS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """The sets of a block in int8: token x_j of a set with centre c is scales[j] * codes[j] + c but for an error.

    codes: (t, d) int8. scales: (t,) float32. errors: (t,) float32, at least |x_j - c - scales[j] codes[j]|.
    norms: (t,) float32, at least |x_j - c|. sums: (t,) int32, the sum of a token's codes.
    means: (rows, d) float32, the centres. All C-contiguous. `setwise_engine.matching.gate` makes them.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    errors: NDArray[np.float32]
    norms: NDArray[np.float32]
    sums: NDArray[np.int32]
    means: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Sets that lie together: set `row` holds tokens[offsets[row] : offsets[row + 1]].

    tokens: (t, d) float16, finite. offsets: (rows + 1,) int64. squares: (rows,) float64, squared Frobenius norms as
    `square` gives them. All C-contiguous. gate: None where it was not stored. native: what the kernel keeps of a block.
    """

    tokens: Half
    offsets: NDArray[np.int64]
    squares: Floats
    gate: Gate | None = None
    native: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises InvalidInput when the arrays do not belong together."""
        tokens, offsets, squares = self.tokens, self.offsets, self.squares
        if tokens.ndim != 2 or tokens.dtype != np.float16:
            raise _refused(f"tokens are {tokens.dtype} of shape {tokens.shape}; give float16 (t, d)", "tokens")
        if offsets.ndim != 1 or len(offsets) != len(squares) + 1:
            raise _refused(f"there are {len(offsets)} offsets for {len(squares)} squares; give one more", "offsets")
        if offsets[0] != 0 or offsets[-1] > len(tokens) or (np.diff(offsets) < 0).any():
            raise _refused(f"offsets must rise from 0 to at most the {len(tokens)} tokens", "offsets")
        if self.gate is not None and self.gate.codes.shape != tokens.shape:
            raise _refused(f"the gate is of {self.gate.codes.shape}, the tokens of {tokens.shape}", "gate")


def _refused(what: str, field: str) -> InvalidInput:
    return InvalidInput(what, field=field)


Blocks = Mapping[int, Block]
"""Blocks by their numbers. The key of a set is its block's number << 32 | its row; numbers may be negative."""


def key_of(number: int, row: int) -> int:
    """The key of a set."""
    return number << ROW_BITS | row


def split(key: int) -> tuple[int, int]:
    """Number of the block and row of a key."""
    return key >> ROW_BITS, key & ((1 << ROW_BITS) - 1)


def block_of(sets: list[Half], dims: int) -> Block:
    """A block of sets that the caller holds, (n_i, dims) float16 each; no gate. Raises InvalidInput for others."""
    for i, one in enumerate(sets):
        if one.ndim != 2 or one.shape[1] != dims or one.dtype != np.float16:
            raise _refused(f"set {i} is {one.dtype} of shape {one.shape}; give float16 (n, {dims})", "sets")
    lengths = [len(tokens) for tokens in sets]
    tokens = np.concatenate(sets) if sets else np.empty((0, dims), np.float16)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Block(np.ascontiguousarray(tokens), offsets, np.array([square(one) for one in sets], np.float64))
