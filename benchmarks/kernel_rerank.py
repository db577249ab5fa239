"""Exact top 10 of K candidates in the coarse stage's order: the kernel beside numpy with scipy and with lapx.

    OMP_NUM_THREADS=1 python benchmarks/kernel_rerank.py --work build/benchmarks

The others solve every candidate, for they have no bounds. Answers are compared on every query: with the others'
(float32 products) up to rounding, and with our own without pruning to the bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from _baselines import Matched, Solve, lapx_solve, scipy_solve
from _kernel_data import Workload, block, keys, parse_shape, workload
from _protocols import PROTOCOLS
from _shared import machine, say, table
from _timing import blas_threads, clock, figures, in_turns, smallest
from numpy.typing import NDArray

from setwise_engine import matching
from setwise_engine.matching import Blocks, Ranker, Ranking, split

SHAPES = ("49,128", "49,256", "100,256", "49,1280")
TOP = 10
OURS, SCIPY, LAPX = "setwise", "numpy + scipy", "numpy + lapx"
APART = 2e-6
"""Scores from float32 products differ by so much at most; ids may differ only between scores as close as that."""


@dataclass(frozen=True, eq=False)
class Case:
    """One cell: what is searched, with which solvers."""

    data: Workload
    blocks: Blocks
    candidates: int
    threads: int
    solvers: dict[str, Solve]

    @property
    def name(self) -> str:
        """As the tables have it."""
        n, d = self.data.shape
        return f"({n}, {d}) {self.data.name}, K = {self.candidates}, {self.threads} thread{'s' * (self.threads > 1)}"

    def ours(self, query: int, *, prune: bool = True) -> Ranking:
        """The kernel's answer."""
        ranker = Ranker(self.data.queries[query], k=TOP, threads=self.threads, prune=prune)
        ranker.add(self.blocks, keys(self.data.order[query, : self.candidates]))
        return ranker.result()

    def others(self, query: int) -> dict[str, Matched]:
        """The baselines, ready to start."""
        candidates = self.data.database[self.data.order[query, : self.candidates]]
        return {name: Matched(candidates, self.data.queries[query], solve) for name, solve in self.solvers.items()}


@dataclass(frozen=True, eq=False)
class Result:
    """seconds: (queries,) by alternative. rankings: ours, with the certificate's counts."""

    case: Case
    seconds: dict[str, NDArray[np.float64]]
    rankings: list[Ranking]

    def ratios(self, other: str) -> NDArray[np.float64]:
        """Times as fast as the other, by query."""
        return self.seconds[other] / self.seconds[OURS]

    def ahead(self, other: str) -> float:
        """Ratio of the medians."""
        return float(np.median(self.seconds[other]) / np.median(self.seconds[OURS]))


def measured(case: Case, solved: int) -> Result:
    """Time and compare every query of the workload; as often as keeps within `solved` candidates a query, or once."""
    rounds = max(1, solved // case.candidates)
    say(case.name)
    seconds: dict[str, list[float]] = {OURS: [], **{name: [] for name in case.solvers}}
    rankings = []
    with blas_threads(case.threads):
        for query in range(len(case.data.queries)):
            others = case.others(query)
            rankings.append(checked(case, query, others))
            runs = {OURS: lambda query=query: case.ours(query)}
            runs |= {name: lambda one=one: one.top(TOP) for name, one in others.items()}
            for name, times in in_turns(runs, rounds, clock(case.threads), warm=False).items():
                seconds[name].append(float(np.median(times)))
    return Result(case, {name: np.array(times) for name, times in seconds.items()}, rankings)


def checked(case: Case, query: int, others: dict[str, Matched]) -> Ranking:
    """Our answer, after it was found equal to all others. Raises RuntimeError for one that is not."""
    ranking = case.ours(query)
    own = top(case, query, ranking)
    if own != top(case, query, case.ours(query, prune=False)):
        raise RuntimeError(f"{case.name}: pruning changed the answer to query {query}")
    for name, other in others.items():
        positions, scores = other.top(TOP)
        apart = max(abs(a - b) for (a, _), b in zip(own, scores, strict=True))
        if apart > APART or not same([position for _, position in own], positions, scores):
            raise RuntimeError(f"{case.name}: {name} answered otherwise to query {query}, scores {apart:.1e} apart")
    return ranking


def top(case: Case, query: int, ranking: Ranking) -> list[tuple[float, int]]:
    """Scores and positions among the candidates of the first ten; equal scores by position."""
    place = {int(row): i for i, row in enumerate(case.data.order[query, : case.candidates])}
    found = sorted((-one.score, place[split(one.key)[1]]) for one in ranking.finalists)
    return [(-score, position) for score, position in found[:TOP]]


def same(own: list[int], other: list[int], scores: list[float]) -> bool:
    """Whether the same positions come in the same order, but for scores that rounding cannot tell apart."""
    if own == other:
        return True
    gaps = np.abs(np.diff(scores))
    return bool(sorted(own) == sorted(other) and gaps.min() < APART)


def cases(data: Workload, counts: list[int], threads: list[int], *, with_scipy: bool) -> Iterator[Case]:
    """Every cell of one workload."""
    blocks = {0: block(data.database)}
    sample = Matched(data.database[data.order[0, :50]], data.queries[0], scipy_solve).costs()
    for number in threads:
        solvers: dict[str, Solve] = {SCIPY: scipy_solve} if with_scipy else {}
        lapx = lapx_solve(number, sample)
        if lapx:
            solvers[LAPX] = lapx
        for count in sorted({min(count, len(data.database)) for count in counts}):
            yield Case(data, blocks, count, number, solvers)


def row(result: Result) -> list[str]:
    """A line of the table of times."""
    cells = [figures(1e3 * float(np.median(result.seconds[OURS])))]
    for other in (SCIPY, LAPX):
        if other in result.seconds:
            cells.append(figures(1e3 * float(np.median(result.seconds[other]))))
            cells += [f"{result.ahead(other):.1f}", f"{result.ratios(other).min():.1f}"]
        else:
            cells += ["", "", ""]
    return [result.case.name, *cells]


def stages_row(result: Result) -> list[str]:
    """A line of the table of certificates."""
    counts = np.array([astuple(ranking.stages) for ranking in result.rankings], float)
    shares = 100 * counts.mean(axis=0) / result.case.candidates
    gaps = [one.gap for ranking in result.rankings for one in ranking.finalists]
    return [result.case.name, *(f"{share:.1f}" for share in shares), f"{max(gaps):.0e}"]


def report(results: list[Result]) -> None:
    """Print the tables of times and of certificates."""
    print(
        "Median over the queries in ms, CPU time at one thread, wall time at two; ratio of medians; least of a query:"
    )
    header = ["", OURS, SCIPY, "ratio", "least", LAPX, "ratio", "least"]
    print("\n" + table(header, [row(result) for result in results]))
    for other in (SCIPY, LAPX):
        ratios = [(r.ahead(other), r.case.name) for r in results if other in r.seconds]
        if ratios:
            print(f"{other}: {smallest(ratios)}")
    print(
        "\nShare of the candidates that each stage ruled out, in %, and that was left to solve; largest gap of a hit:\n"
    )
    print(table(["", "gate", "gate, dual", "bound", "dual", "solved", "gap"], [stages_row(r) for r in results]))


def main() -> None:
    """Measure every cell and print the tables."""
    parser = argparse.ArgumentParser(description="Time of an exact rerank, beside numpy with other solvers.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), help="tokens,dimensions")
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=list(PROTOCOLS))
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 200, 1000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=1000, help="database images a protocol")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--solved", type=int, default=500, help="repeat small cells up to so many candidates a query")
    parser.add_argument("--no-scipy", action="store_true", help="leave out the slowest baseline")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; kernel: {matching.kernel_name()}\n")
    results = []
    for shape in map(parse_shape, args.shapes):
        for protocol in args.protocols:
            data = workload(args.work, protocol, shape, args.images, args.queries)
            every = cases(data, args.candidates, args.threads, with_scipy=not args.no_scipy)
            results += [measured(case, args.solved) for case in every]
    report(results)


if __name__ == "__main__":
    main()
