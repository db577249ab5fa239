"""Matched sums of all pairs of a set of images, where nothing can be ruled out: beside loops over scipy and lapx.

    OMP_NUM_THREADS=1 python benchmarks/kernel_matched_sums.py --work build/benchmarks

The loops take each pair of the upper triangle by itself: numpy's float32 affinity, then the assignment. They are timed
on pairs drawn with a seed, ours on all pairs of the images. The floor of a pair is its n x n x d multiply-adds in
float32 at the speed of numpy's best GEMM, and in int8 at four times that.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from _kernel_data import Shape, parse_shape, workload
from _shared import machine, table
from _timing import blas_threads, clock, figures, in_turns, optional
from kernel_floor import gemm_speed
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine import matching
from setwise_engine.matching import TokenSets, matched_sums

Tokens = NDArray[np.float32]
Pairs = NDArray[np.intp]


def scipy_sums(sets: Tokens, pairs: Pairs) -> list[float]:
    """Matched sums of pairs, one after the other."""
    sums = []
    for i, j in pairs:
        A = sets[i] @ sets[j].T
        sums.append(float(A[linear_sum_assignment(A, maximize=True)].sum()))
    return sums


def lapx_sums(lapx: object, sets: Tokens, pairs: Pairs) -> list[float]:
    """The same by lapx's fastest entry; it minimises, so that the affinity is negated."""
    sums = []
    for i, j in pairs:
        A = sets[i] @ sets[j].T
        rows, columns = lapx.lapjvh(-A)[1:]  # type: ignore[attr-defined]
        sums.append(float(A[rows, columns].sum()))
    return sums


def several(function: object, pairs: Pairs, threads: int) -> None:
    """A loop's pairs divided among threads; both solvers let go of the interpreter's lock."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, np.array_split(pairs, threads)))  # type: ignore[arg-type]


def measured(sets: Tokens, count: int, threads: int, rounds: int) -> tuple[dict[str, float], float]:
    """Microseconds a pair by name, and by how much the sums differ at most, relative to |Q| |X|."""
    lapx = optional("lap", "lapx")
    number = len(sets)
    rng = np.random.default_rng(7)
    pairs = np.sort(rng.integers(number, size=(count, 2)), axis=1)
    prepared = TokenSets(sets)
    found = matched_sums(prepared, threads=threads)
    norms = np.sqrt(prepared.squares)
    off = np.abs(found.values[tuple(pairs.T)] - scipy_sums(sets, pairs)) / (norms[pairs[:, 0]] * norms[pairs[:, 1]])
    runs = {
        "ours": lambda: matched_sums(TokenSets(sets), threads=threads),
        "scipy": lambda: several(lambda part: scipy_sums(sets, part), pairs, threads),
    }
    if lapx is not None:
        runs["lapx"] = lambda: several(lambda part: lapx_sums(lapx, sets, part), pairs, threads)
    times = in_turns(runs, rounds, clock(threads), warm=False)
    pieces = {"ours": number * (number + 1) / 2}
    return {name: 1e6 * float(np.median(own)) / pieces.get(name, count) for name, own in times.items()}, float(
        off.max()
    )


def row(shape: Shape, protocol: str, args: argparse.Namespace, gemm: float) -> list[str]:
    """One line of the table."""
    n, d = shape
    images = args.images if n <= 100 else min(args.images, 60)
    sets = workload(args.work, protocol, shape, images if n > 100 else 1000, 20).database[: args.images]
    times, off = measured(np.asarray(sets, np.float32), args.pairs, args.threads, args.rounds)
    single = 1e6 * n * n * d / gemm / args.threads
    others = [
        f"{figures(times[name])} ({figures(times[name] / times['ours'])}x)" if name in times else "-"
        for name in ("scipy", "lapx")
    ]
    return [f"({n}, {d})", figures(times["ours"]), *others, figures(single), figures(single / 4), f"{off:.0e}"]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="Matched sums of all pairs, beside loops over scipy and lapx.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--shapes", nargs="+", default=["49,1280", "100,256", "49,256", "196,256", "256,256"])
    parser.add_argument("--protocol", default="instance")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=400, help="pairs that the loops are timed on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    with blas_threads(1):
        gemm = gemm_speed()
        rows = [row(shape, args.protocol, args, gemm) for shape in map(parse_shape, args.shapes)]
    print(f"{machine()}; kernel: {matching.kernel_name()}; threads: {args.threads}")
    print(f"float32 GEMM {2e-9 * gemm:.0f} GFLOP/s a thread\n")
    print(table(["", "ours, us a pair", "scipy", "lapx", "float32 floor", "int8 floor", "largest difference"], rows))


if __name__ == "__main__":
    main()
