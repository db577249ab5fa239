"""How definite semantic similarities are, what the number of images does to CKA, and how long comparisons take.

    python benchmarks/rsm_compare.py --work FOLDER

Sets of composed scenes (49, 1280), whole and projected to their first r directions, all compared with all by the
exact matching. First table: the share of negative eigenvalues of HKH, by numbers a token and images, cosine / inner
product / rbf; 0 stands for less than 1e-6, which is rounding. Second: CKA of semantic with spatio-semantic
similarity. Third: processor seconds; set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import numpy as np
from _kernel_data import workload
from _shared import machine, say, table
from numpy.typing import NDArray

from setwise_engine.matching import Kernel
from setwise_evaluation.compare import bootstrap, cka, correlate, definiteness, mantel
from setwise_evaluation.rsm import Rsm, rsm

KERNELS = ("cosine", "inner_product", "rbf")
Tokens = NDArray[np.float32]


def projected(sets: Tokens, directions: int) -> Tokens:
    """Every token's share along the sets' first principal directions, not centred."""
    flat = sets.reshape(-1, sets.shape[-1])
    values, vectors = np.linalg.eigh(flat.T @ flat)
    return sets @ vectors[:, np.argsort(-values)[:directions]]


def shares(matrix: Rsm, images: int) -> str:
    """Negative shares of the first images, one a kernel."""
    found = (definiteness(matrix.read(kernel)[:images, :images]).negative_share for kernel in KERNELS)
    return " / ".join("0" if share < 1e-6 else f"{100 * share:.2g} %" for share in found)


def definiteness_rows(sets: Tokens, whole: Rsm, directions: Sequence[int], counts: Sequence[int]) -> list[list[str]]:
    """One row a number of directions; projections are solved for at most 300 images."""
    rows = []
    for r in directions:
        say(f"exact RSM of {min(300, len(sets))} images, {r} numbers a token")
        matrix = rsm(projected(sets[:300], r))
        rows.append([str(r), *(shares(matrix, n) if n <= 300 else "" for n in counts)])
    return [*rows, [f"{sets.shape[-1]}, all", *(shares(whole, n) for n in counts)]]


def cka_rows(semantic: Rsm, spatial: Rsm, counts: Sequence[int]) -> list[list[str]]:
    """Both forms and Pearson for the first n images, cosine."""
    rows = []
    for n in counts:
        a, b = (matrix.values[:n, :n] for matrix in (semantic, spatial))
        numbers = cka(a, b), cka(a, b, debiased=True), correlate(a, b)
        rows.append([str(n), *(f"{number:.3f}" for number in numbers)])
    return rows


def seconds_of(work: Callable[[], object]) -> str:
    """Processor seconds of one call: with one thread they are the wall seconds of an idle machine."""
    start = process_time()
    work()
    return f"{process_time() - start:.2g}"


def time_rows(semantic: Rsm, spatial: Rsm, counts: Sequence[int]) -> list[list[str]]:
    """Seconds of each comparison of two matrices; scipy.stats, which takes long to import, is there already."""
    import scipy.stats  # noqa: F401

    pairs = {n: tuple(matrix.values[:n, :n] for matrix in (semantic, spatial)) for n in counts}
    calls: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], object]] = {
        "cka": cka,
        "correlate, kendall": lambda a, b: correlate(a, b, method="kendall"),
        "mantel, pearson, 999": lambda a, b: mantel(a, b, permutations=999),
        "mantel, kendall, 99": lambda a, b: mantel(a, b, method="kendall", permutations=99),
        "bootstrap, pearson, 1000": bootstrap,
        "bootstrap, spearman, 1000": lambda a, b: bootstrap(a, b, method="spearman"),
        "definiteness": lambda a, _: definiteness(a),
    }
    return [
        [name, *(seconds_of(lambda n=n, call=call: call(*pairs[n])) for n in counts)] for name, call in calls.items()
    ]


def main() -> None:
    """Measure and print the three tables."""
    parser = argparse.ArgumentParser(description="Definiteness of semantic similarities, CKA and times.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--directions", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64, 256])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    counts = [n for n in (100, 300, 1000) if n <= args.images]
    sets = workload(args.work, "instance", (49, 1280), args.images, 20).database.astype(np.float32)
    say(f"exact RSM of {len(sets)} images")
    semantic, spatial = rsm(sets, kernel=Kernel.COSINE), rsm(sets, matching="none")
    images = [f"{n} images" for n in counts]
    print(machine() + "\n")
    print(table(["numbers a token", *images], definiteness_rows(sets, semantic, args.directions, counts)))
    print(table(["images", "CKA", "CKA, debiased", "Pearson"], cka_rows(semantic, spatial, counts)))
    print(table(["processor seconds", *images], time_rows(semantic, spatial, counts)))


if __name__ == "__main__":
    main()
