"""How far the rerank stays from what the machine allows: arithmetic of the int8 affinities, and bytes read.

    OMP_NUM_THREADS=1 python benchmarks/kernel_floor.py --work build/benchmarks

The floor of a candidate is its n x n x d multiply-adds in int8 at four times the speed of the best float32 GEMM that
numpy reaches here (an AVX-512 VNNI instruction does 64 of them, a float32 FMA 16), or its gate's bytes at the speed
of reading memory, whichever is larger. Bounds, float32 affinities and assignments of what is left come on top.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time

import numpy as np
from _kernel_data import Workload, block, keys, parse_shape, workload
from _protocols import PROTOCOLS
from _shared import machine, table
from _timing import blas_threads, clock, figures, in_turns

from setwise_engine import matching
from setwise_engine.matching import Blocks, Ranker

TOP = 10


def gemm_speed() -> float:
    """Multiply-adds a second of a large float32 GEMM on one thread, the best of ten."""
    A = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    out = np.empty_like(A)
    times = in_turns({"gemm": lambda: np.matmul(A, A, out=out)}, 10, process_time)["gemm"]
    return float(A.size * len(A) / min(times))


def read_speed() -> float:
    """Bytes a second of reading memory on one thread, the best of five."""
    data = np.ones(1 << 28, np.float32)
    times = in_turns({"dot": lambda: np.dot(data, data)}, 5, process_time)["dot"]
    return float(data.nbytes / min(times))


def measured(data: Workload, blocks: Blocks, *, prune: bool = True) -> float:
    """Median microseconds a candidate over the queries, all images as candidates."""
    number = len(data.database)

    def search(query: int) -> None:
        ranker = Ranker(data.queries[query], k=TOP, prune=prune)
        ranker.add(blocks, keys(data.order[query]))
        ranker.result()

    runs = {str(query): lambda query=query: search(query) for query in range(len(data.queries))}
    times = in_turns(runs, 3 if prune else 1, clock(1), warm=prune)
    return 1e6 * float(np.median([np.median(own) for own in times.values()])) / number


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="The rerank's time beside the machine's limits.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--shapes", nargs="+", default=["49,128", "49,256", "100,256", "49,1280"])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=20)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    with blas_threads(1):
        gemm, read = gemm_speed(), read_speed()
        for n, d in map(parse_shape, args.shapes):
            for protocol in PROTOCOLS:
                data = workload(args.work, protocol, (n, d), args.images, args.queries)
                blocks = {0: block(data.database)}
                arithmetic = 1e6 * n * n * d / (4 * gemm)
                memory = 1e6 * (n * (d + 16) + 4 * d) / read
                us, every = measured(data, blocks), measured(data, blocks, prune=False)
                cells = [figures(value) for value in (arithmetic, memory, us, every)]
                rows.append([f"({n}, {d}) {protocol}", *cells, f"{100 * max(arithmetic, memory) / us:.0f} %"])
    print(f"{machine()}; kernel: {matching.kernel_name()}")
    speeds = f"float32 GEMM {2e-9 * gemm:.0f} GFLOP/s, so int8 at most {8e-9 * gemm:.0f} GOPS"
    print(f"{speeds}; reads {1e-9 * read:.1f} GB/s\n")
    header = [
        "",
        "int8 arithmetic, us",
        "gate's bytes, us",
        "kernel, us a candidate",
        "all solved, us",
        "floor / kernel",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
