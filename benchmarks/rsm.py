"""Time of an RSM: ours beside scipy in a loop, lapx in a loop, and the authors' implementation, and beside the floor.

    OMP_NUM_THREADS=1 python benchmarks/rsm.py --work build/benchmarks --reference PYTHON

PYTHON runs in an environment of its own that can import `srsm` (benchmarks/README.md says how to make one); left out,
that side is left out. Ours computes all images; the slow sides compute a subset of them and are scaled by pairs, which
flatters none: no side keeps anything from one pair to the next. All sides take turns; wall time on a quiet machine.
"""

from __future__ import annotations

import argparse
import gc
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from _kernel_data import parse_shape, workload
from _rsm_sides import Floats, Matrix, Reference, Solve, looped, solvers, twin
from _shared import machine, say, table
from _timing import blas_threads, figures
from kernel_floor import gemm_speed

from setwise_engine import matching
from setwise_evaluation.rsm import rsm

OURS = "setwise"
TOLERANCE = 1e-5


@dataclass(eq=False)
class Bench:
    """One shape: the tokens of all images, the first of which are what the slow sides get."""

    name: str
    tokens: Floats
    subset: int
    reference: Reference | None
    solvers: dict[str, Solve]
    times: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def pairs(self, images: int) -> float:
        """Pairs of images with each other, each once, themselves included."""
        return images * (images + 1) / 2

    def check(self, name: str, found: Matrix, exact: Matrix) -> None:
        """Ends the run when a side has other numbers."""
        apart = float(np.abs(found[: len(exact), : len(exact)] - exact).max())
        say(f"{self.name}, {name}: at most {apart:.1e} from scipy on float64 affinities")
        if apart > TOLERANCE:
            raise SystemExit(f"{name} has other numbers")

    def round(self, threads: int, matcher: str) -> dict[str, Matrix]:
        """Every side once, its microseconds a pair noted."""
        found = {OURS: self._timed(OURS, threads, self.tokens)}
        few = self.tokens[: self.subset]
        for name in self.solvers:
            found[name] = self._timed(name, threads, few)
        if self.reference is not None:
            seconds, found["reference"] = self.reference.run(few, matcher, threads)
            self._note("reference", threads, seconds, len(few))
        return found

    def _timed(self, name: str, threads: int, tokens: Floats) -> Matrix:
        solve = self.solvers.get(name)
        gc.collect()
        begun = perf_counter()
        found = rsm(tokens, threads=threads).values if solve is None else looped(tokens, solve, threads)
        self._note(name, threads, perf_counter() - begun, len(tokens))
        return found

    def _note(self, name: str, threads: int, seconds: float, images: int) -> None:
        self.times.setdefault((name, threads), []).append(1e6 * seconds / self.pairs(images))
        say(f"{self.name}, {name}, {threads} threads: {1e6 * seconds / self.pairs(images):.1f} us a pair")

    def row(self, threads: int, floor: float) -> list[str]:
        """A line of the table. floor: microseconds a pair on one thread."""
        middle = {name: float(np.median(own)) for (name, count), own in self.times.items() if count == threads}
        ours, least = middle[OURS], floor / threads
        scale = 1e-6 * self.pairs(len(self.tokens))
        others = []
        for name in ("scipy", "lapx", "reference"):
            if name in middle:
                others += [figures(scale * middle[name]), f"{figures(middle[name] / ours)}x"]
            else:
                others += ["", ""]
        spread = " to ".join(
            figures(scale * end) for end in (min(self.times[OURS, threads]), max(self.times[OURS, threads]))
        )
        own = [figures(scale * ours), spread, figures(ours)]
        return [self.name, str(threads), *own, *others, figures(scale * least), f"{figures(ours / least)}x"]


def load(work: Path, shape: tuple[int, int], images: int, protocol: str) -> Floats:
    """Tokens of composed scenes in float32, (images, n, d)."""
    tokens: Floats = workload(work, protocol, shape, images, 20).database.astype(np.float32)
    return tokens


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="Time of an RSM beside other ways to one.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--shapes", nargs="+", default=["49,1280", "100,256"], help="tokens,dimensions")
    parser.add_argument("--protocol", default="instance", choices=["instance", "category"])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--subset", type=int, default=200, help="images that the slow sides compute")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reference", type=Path, metavar="PYTHON", help="of an environment that can import srsm")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    reference = Reference(args.reference, args.work) if args.reference else None
    print(f"{machine()}; kernel: {matching.kernel_name()}")
    with blas_threads(1):
        speed = gemm_speed()
        rows = [line for text in args.shapes for line in measured(args, text, speed, reference)]
    header = ["images x tokens, dimensions", "threads", "setwise, s", "least to most", "us a pair"]
    for other in ("scipy", "lapx", "reference"):
        header += [f"{other}, s", f"{other} / setwise"]
    print(f"float32 GEMM {2e-9 * speed:.0f} GFLOP/s on one thread; others on {args.subset} images, scaled by pairs\n")
    print(table([*header, "floor, s", "setwise / floor"], rows))


def measured(args: argparse.Namespace, text: str, speed: float, reference: Reference | None) -> list[list[str]]:
    """The lines of one shape."""
    n, d = shape = parse_shape(text)
    tokens = load(args.work, shape, args.images, args.protocol)
    bench = Bench(f"{args.images} x {n}, {d}", tokens, min(args.subset, args.images), reference, solvers(tokens))
    exact = twin(tokens[: min(60, bench.subset)])
    matcher = ""
    if reference is not None:
        matcher, times = reference.fastest(tokens[:30])
        said = ", ".join(f"{name} {figures(time)}" for name, time in times.items())
        print(f"{bench.name}: the reference's exact matchers, us a pair on 30 images: {said}; {matcher} is taken below")
    for turn in range(args.rounds):
        for threads in args.threads:
            for name, found in bench.round(threads, matcher).items():
                if turn == 0:
                    bench.check(f"{name}, {threads} threads", found, exact)
    return [bench.row(threads, 1e6 * n * n * d / speed) for threads in args.threads]


if __name__ == "__main__":
    main()
