"""Native kernel of setwise_engine.matching."""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def levels() -> list[str]:
    """The instruction levels of this machine, the best last."""

def affinity(q: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], level: str = '', check: object | None = None) -> NDArray[numpy.float64]:
    """
    Exact inner products of two sets of float16 tokens, (n, d) and (m, d), rounded once: float64 (n, m).

    Raises ValueError when d differs, is more than 2**21, or a number is not finite, and whatever `check` raises.
    """

def squares(tokens: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], level: str = '') -> NDArray[numpy.float64]:
    """
    Exact squared norms of float16 tokens (n, d), each rounded once: float64 (n,).

    Raises ValueError when d is more than 2**21 or a number is not finite.
    """

def assign(matrices: Sequence[Annotated[NDArray, dict(shape=(None, None), device='cpu', writable=False)]], threads: int = 1, level: str = '', check: object | None = None) -> tuple:
    """
    Optimal assignments of matrices in any layout: values, gaps, columns (-1: none), row and column prices, the last
    three of all matrices one after the other.

    Raises ValueError when a matrix is not of a floating-point type or holds NaN or infinity, and whatever `check`
    raises.
    """

class Block:
    """Sets that lie together in memory; keeps the arrays alive."""

    def __init__(self, tokens: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], squares: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def set_gate(self, codes: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)], scales: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], errors: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], norms: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], sums: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], means: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None: ...

class Ranker:
    """The k best of many candidates; see setwise_engine.matching.Ranker."""

    def __init__(self, query: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], square: float, reading: int, sigma: float, k: int, least: float, threads: int, prune: bool, proofs: bool, level: str = '') -> None: ...

    def add(self, blocks: Sequence[Block], keys: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], places: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], check: object) -> None: ...

    def result(self) -> tuple: ...

class Sets:
    """Sets of finite float32 tokens, prepared; keeps the arrays alive."""

    def __init__(self, tokens: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], squares: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], threads: int, check: object, level: str = '') -> None: ...

def matched_sums(a: Sets, b: Sets, threads: int, check: object) -> tuple:
    """
    Matched sums and gaps of all pairs, float64 (rows of a, rows of b) each; the same object twice: mirrored.

    Raises ValueError when d differs, and whatever `check` raises.
    """

def greedy(matrices: Sequence[Annotated[NDArray, dict(shape=(None, None), device='cpu', writable=False)]], threads: int = 1, level: str = '') -> NDArray[numpy.int32]:
    """
    Greedy matchings: the column of each row (-1: none), one matrix after the other.

    Raises ValueError when a matrix is not of a floating-point type or holds NaN or infinity.
    """

def sinkhorn(matrices: Sequence[Annotated[NDArray, dict(shape=(None, None), device='cpu', writable=False)]], regularisation: float, iterations: int, round: bool = True, threads: int = 1, level: str = '') -> tuple:
    """
    Sinkhorn's plans rounded to matchings: columns (-1: none; empty unless `round`), row and column prices.

    Raises ValueError when a matrix is not of a floating-point type or holds NaN or infinity.
    """
