"""The native module called as nobody should: any arrays give answers, ValueError or TypeError, never a crash."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

kernel: Any = pytest.importorskip("setwise_engine.matching._kernel")

DTYPES = [
    np.float16,
    np.float32,
    np.float64,
    np.int8,
    np.int32,
    np.int64,
    np.uint8,
    np.bool_,
    np.complex64,
    np.dtype(">f4"),
]
REFUSALS = (ValueError, TypeError, OverflowError)


def anything(rng: np.random.Generator, ndim: int | None = None, dtype: Any = None) -> Any:
    """An array of random bytes, or seldom something that is no array."""
    if rng.random() < 0.05:
        return [None, 3, "x", [1.0], object()][rng.integers(5)]
    chosen = np.dtype(DTYPES[rng.integers(len(DTYPES))] if dtype is None or rng.random() < 0.1 else dtype)
    shape = tuple(rng.integers(0, 6, rng.integers(0, 4) if ndim is None or rng.random() < 0.1 else ndim))
    raw = rng.bytes(int(np.prod(shape, dtype=int)) * chosen.itemsize)
    array = np.frombuffer(bytearray(raw), chosen).reshape(shape)
    if rng.random() < 0.5 and chosen.kind in "fi":
        array = rng.integers(-2, 3, shape).astype(chosen)
    return array if rng.random() < 0.7 or array.ndim == 0 else array[::-1] if rng.random() < 0.5 else array.T


def level(rng: np.random.Generator) -> str:
    return str(rng.choice([*kernel.levels(), "", "sse9"]))


def test_affinity_and_assign_take_anything() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        with contextlib.suppress(*REFUSALS):
            kernel.affinity(anything(rng, 2, np.float16), anything(rng, 2, np.float16), level(rng))
        with contextlib.suppress(*REFUSALS):
            matrices = [anything(rng, 2, rng.choice([np.float16, np.float32, np.float64])) for _ in range(3)]
            kernel.assign(matrices[: rng.integers(4)], int(rng.integers(-1, 4)), level(rng))


def random_block(rng: np.random.Generator) -> Any:
    """Mostly a sound block, often with a gate of random bytes; sometimes refused."""
    if rng.random() < 0.3:
        return kernel.Block(anything(rng, 2, np.float16), anything(rng, 1, np.int64), anything(rng, 1, np.float64))
    lengths = rng.integers(0, 9, 4)
    total, dims = int(lengths.sum()), 5
    tokens = rng.integers(0, 1 << 16, (total, dims), np.uint16).view(np.float16)
    tokens[~np.isfinite(tokens)] = rng.choice([np.nan, 1.0], p=[0.1, 0.9])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    block = kernel.Block(tokens, offsets, np.frombuffer(rng.bytes(32), np.float64))
    if rng.random() < 0.7:
        shapes = {"codes": (np.int8, (total, dims)), "scales": (np.float32, total), "errors": (np.float32, total)}
        shapes |= {"norms": (np.float32, total), "sums": (np.int32, total), "means": (np.float32, (4, dims))}
        gate = {
            name: np.frombuffer(rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype).reshape(shape)
            for name, (dtype, shape) in shapes.items()
        }
        if rng.random() < 0.1:
            gate["codes"] = anything(rng, 2, np.int8)
        block.set_gate(**gate)
    return block


def test_blocks_and_rankers_take_anything() -> None:
    rng = np.random.default_rng(1)
    for _ in range(3000):
        with np.errstate(all="ignore"), contextlib.suppress(*REFUSALS):
            query = (
                anything(rng, 2, np.float16) if rng.random() < 0.2 else rng.standard_normal((4, 5)).astype(np.float16)
            )
            ranker = kernel.Ranker(
                query,
                square=float(rng.choice([0.0, 1.0, 20.0, np.nan, -1.0, np.inf])),
                reading=int(rng.integers(-1, 5)),
                sigma=float(rng.choice([0.0, 1.0, np.nan, -2.0])),
                k=int(rng.integers(0, 4)),
                least=float(rng.choice([-np.inf, 0.3, np.nan, np.inf])),
                threads=int(rng.integers(0, 4)),
                prune=bool(rng.integers(2)),
                proofs=bool(rng.integers(2)),
                level=level(rng),
            )
            for _ in range(2):
                with contextlib.suppress(*REFUSALS):
                    keys = rng.integers(-1 if rng.random() < 0.1 else 0, 4, 6) | (rng.integers(-2, 2, 6) << 32)
                    ranker.add([random_block(rng)], keys, rng.integers(0, 1 + (rng.random() < 0.1), 6), lambda: None)
            ranker.result()


def test_what_the_check_raises_comes_out() -> None:
    class Gone(Exception):
        pass

    def gone() -> None:
        raise Gone

    rng = np.random.default_rng(2)
    tokens = rng.standard_normal((6000, 64)).astype(np.float16)
    block = kernel.Block(tokens, np.arange(0, 6001, 100), np.full(60, 6400.0))
    for threads in (1, 3):
        ranker = kernel.Ranker(
            tokens[:100],
            square=6400.0,
            reading=0,
            sigma=1.0,
            k=1,
            least=-np.inf,
            threads=threads,
            prune=False,
            proofs=True,
        )
        with pytest.raises(Gone):
            ranker.add([block], np.tile(np.arange(60), 50), np.zeros(3000, np.int64), gone)


def test_arrays_stay_alive_as_long_as_the_block() -> None:
    rng = np.random.default_rng(3)
    block = kernel.Block(rng.standard_normal((9, 5)).astype(np.float16), np.array([0, 4, 9]), np.array([20.0, 25.0]))
    filler = [np.full(45, np.nan, np.float16) for _ in range(1000)]  # would take the place of what was let go
    ranker = kernel.Ranker(
        rng.standard_normal((4, 5)).astype(np.float16),
        square=20.0, reading=1, sigma=1.0, k=2, least=-np.inf, threads=1, prune=True, proofs=True,
    )  # fmt: skip
    ranker.add([block], np.array([0, 1]), np.zeros(2, np.int64), lambda: None)
    assert len(filler) == 1000
    assert np.isfinite(ranker.result()[1]).all()
