"""Optimal assignment of one pair of sets: time of the kernel beside scipy, lapx, lapjv and ortools.

    OMP_NUM_THREADS=1 python benchmarks/kernel_assignment.py --work build/benchmarks

Affinities of real pairs: queries against random ones of their first 50 candidates. Every library gets its costs ready
in the form it likes (negated, contiguous; 2^24 integer steps for ortools), which is not timed; ours gets the affinity.
All figures are of a whole list of pairs, divided by their number. Ours always brings the proof: prices and gap.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _kernel_data import pages, pairs, parse_shape, workload
from _protocols import PROTOCOLS
from _shared import machine, say, table
from _timing import Times, clock, figures, in_turns, optional, smallest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine import matching

Matrices = list[NDArray[np.float64]]
Solver = Callable[[], list[float]]

SHAPES = ("49,128", "49,256", "49,1280", "100,256", "196,256", "256,256")
LARGE = 196
"""From so many tokens on, 60 images and the instance protocol do."""
LAPX = ("lapjvr", "lapjvh")
BATCHED, SINGLE = "setwise, with proof", "setwise, a call each"


def ours(affinities: Matrices) -> dict[str, Solver]:
    """The kernel on all pairs at once and on one after another; both give the optimum with its proof."""

    stacked = np.stack(affinities)

    def batched() -> list[float]:
        values: list[float] = matching.assign_batch(stacked, threads=1).values.tolist()
        return values

    def single() -> list[float]:
        return [matching.assign(A).value for A in affinities]

    return {BATCHED: batched, SINGLE: single}


def scipy_solver(costs: Matrices) -> Solver:
    """scipy's loop over costs."""
    return lambda: [-float(C[linear_sum_assignment(C)].sum()) for C in costs]


def lapx_solvers(costs: Matrices) -> Iterator[tuple[str, Solver]]:
    """The entries of lapx that are fastest on such matrices, one by one and as a batch, float64 and float32."""
    lap = optional("lap", "lapx")
    for dtype in (np.float64, np.float32) if lap else ():
        own = [np.ascontiguousarray(C, dtype) for C in costs]
        stacked = np.stack(own)
        for name in LAPX:
            one, many = getattr(lap, name), getattr(lap, f"{name}_batch", None)
            yield f"lapx {name}, {dtype.__name__}", _negated(lambda one=one, own=own: [one(C, True)[0] for C in own])
            if many:
                call = _negated(lambda many=many, stacked=stacked: many(stacked, extend_cost=True, n_threads=1)[0])
                yield f"lapx {name}_batch, {dtype.__name__}", call


def lapjv_solver(costs: Matrices) -> Iterator[tuple[str, Solver]]:
    """lapjv takes square costs only: zero columns make them square (ready, not timed)."""
    library = optional("lapjv", "lapjv")
    if library:
        own = [_squared(C) for C in costs]
        yield "lapjv", lambda: [-float(C[np.arange(len(C)), library.lapjv(C)[0]].sum()) for C in own]


def ortools_solver(costs: Matrices) -> Iterator[tuple[str, Solver]]:
    """ortools' assignment over integers; arcs are made from arrays, in one call."""
    library = optional("ortools.graph.python.linear_sum_assignment", "ortools")
    if not library or costs[0].shape[0] != costs[0].shape[1]:
        return
    n = len(costs[0])
    left, right = (index.ravel().astype(np.int32) for index in np.indices((n, n)))
    steps = [2.0**24 / np.abs(C).max() for C in costs]
    whole = [np.rint(C * step).astype(np.int64).ravel() for C, step in zip(costs, steps, strict=True)]

    def solve(cost: NDArray[np.int64]) -> int:
        problem = library.SimpleLinearSumAssignment()
        problem.add_arcs_with_cost(left, right, cost)
        problem.solve()
        return int(problem.optimal_cost())

    yield "ortools", lambda: [-solve(cost) / step for cost, step in zip(whole, steps, strict=True)]


def _negated(totals: Callable[[], list[float]]) -> Solver:
    return lambda: [-float(total) for total in totals()]


def _squared(C: NDArray[np.float64]) -> NDArray[np.float64]:
    side = max(C.shape)
    padded = np.zeros((side, side))
    padded[: C.shape[0], : C.shape[1]] = C
    return padded


def measured(name: str, affinities: Matrices, rounds: int) -> Times:
    """Seconds a pair of every solver, after its optima were compared with ours."""
    costs = [np.ascontiguousarray(-A) for A in affinities]
    others = {"scipy": scipy_solver(costs), **dict(lapx_solvers(costs))}
    others |= dict([*lapjv_solver(costs), *ortools_solver(costs)])
    solvers = ours(affinities) | others
    exact = np.array(solvers[BATCHED]())
    for other, solve in others.items():
        apart = float(np.abs(np.array(solve()) - exact).max() / np.abs(exact).max())
        if apart > 1e-5:  # float32 costs and integer steps are not the same matrix
            raise RuntimeError(f"{other} found other optima on {name}: {apart:.1e} apart")
    say(f"{name}: {len(affinities)} pairs, {len(solvers)} solvers")
    times = in_turns(solvers, rounds, clock(1))
    return {solver: [seconds / len(affinities) for seconds in own] for solver, own in times.items()}


def row(name: str, times: Times) -> tuple[list[str], float]:
    """A line of the table, in microseconds, and the ratio to the best library."""
    middle = {solver: 1e6 * float(np.median(own)) for solver, own in times.items()}
    lapx = {solver: value for solver, value in middle.items() if solver.startswith("lapx")}
    best_lapx = min(lapx, key=lambda solver: lapx[solver], default="")
    libraries = {solver: value for solver, value in middle.items() if not solver.startswith("setwise")}
    best = min(libraries, key=lambda solver: libraries[solver])
    ahead = libraries[best] / middle[BATCHED]
    cells = [figures(middle[BATCHED]), figures(middle[SINGLE]), figures(middle["scipy"])]
    cells += [f"{figures(lapx[best_lapx])} ({best_lapx[5:]})" if lapx else ""]
    cells += [figures(middle[other]) if other in middle else "" for other in ("lapjv", "ortools")]
    cells += [f"{middle['scipy'] / middle[BATCHED]:.1f}", f"{ahead:.1f}", f"{libraries[best] / middle[SINGLE]:.1f}"]
    return [name, *cells], ahead


def problems(work: Path, shapes: list[str], images: int, count: int) -> Iterator[tuple[str, Matrices]]:
    """Named lists of affinities."""
    for text in shapes:
        if text == "1030x32":
            yield "32 x 1030, 256", pages(work, 20)
            continue
        shape = parse_shape(text)
        large = shape[0] >= LARGE
        for protocol in ("instance",) if large else PROTOCOLS:
            data = workload(work, protocol, shape, min(images, 60) if large else images, 20)
            yield f"{text} {protocol}", pairs(data, min(count, 40) if large else count)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="Time of an optimal assignment, beside other libraries.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--shapes", nargs="+", default=[*SHAPES, "1030x32"], help="tokens,dimensions; or 1030x32")
    parser.add_argument("--images", type=int, default=1000, help="database images a protocol")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; kernel: {matching.kernel_name()}\n")
    header = ["tokens, dimensions", BATCHED, SINGLE, "scipy", "lapx, its best", "lapjv", "ortools"]
    header += ["scipy / ours", "best library / ours", "best library / ours, a call each"]
    rows, ratios = [], []
    for name, affinities in problems(args.work, args.shapes, args.images, args.pairs):
        cells, ahead = row(name, measured(name, affinities, args.rounds))
        rows.append(cells)
        ratios.append((ahead, name))
    print("Microseconds of CPU time a pair, one thread, medians:\n")
    print(table(header, rows))
    print(smallest(ratios))


if __name__ == "__main__":
    main()
