"""Measuring of `kernel_maxsim.py`, loaded when the engines' threads are set."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _engines import ENGINES, TOP, Engine, Run, engines
from _kernel_data import Workload, block, keys, parse_shape, workload
from _shared import machine, say, table
from _timing import Times, blas_threads, clock, figures, in_turns, smallest

from setwise_engine import matching
from setwise_engine.matching import Blocks, Ranker, split

__all__ = ["run"]

OURS = "setwise, exact matching"


def run(args: argparse.Namespace) -> None:
    """Measure every cell and print one table."""
    names = args.engines or list(ENGINES)
    found: list[tuple[str, Times, dict[str, float]]] = []
    with blas_threads(args.threads):
        for shape in map(parse_shape, args.shapes):
            for protocol in args.protocols:
                data = workload(args.work, protocol, shape, args.images, args.queries)
                with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    held = list(engines(names, data.database, args.threads, Path(folder)))
                    found += cells(data, held, args)
    print(f"{machine()}; kernel: {matching.kernel_name()}; threads: {args.threads}\n")
    print(f"Top {TOP} of K candidates, median over the queries in ms; in brackets: how many times ours.\n")
    report(found)


def cells(
    data: Workload, held: list[Engine], args: argparse.Namespace
) -> Iterator[tuple[str, Times, dict[str, float]]]:
    """Times of every number of candidates, and how much of numpy's MaxSim answer each engine gave."""
    blocks = {0: block(data.database)}
    for count in sorted({min(count, len(data.database)) for count in args.candidates}):
        times: Times = {}
        shares: dict[str, list[float]] = {}
        name = f"{data.shape} {data.name}, K = {count}"
        say(name)
        for query in range(len(data.queries)):
            rows = data.order[query, :count].tolist()
            runs = {engine.name: engine.prepare(data.queries[query].astype(np.float32), rows) for engine in held}
            for engine, share in agreement(runs).items():
                shares.setdefault(engine, []).append(share)
            runs[OURS] = ours(data, blocks, query, count, args.threads)
            for alternative, own in in_turns(runs, args.rounds, clock(args.threads)).items():
                times.setdefault(alternative, []).append(float(np.median(own)))
        yield name, times, {engine: float(np.mean(values)) for engine, values in shares.items()}


def ours(data: Workload, blocks: Blocks, query: int, count: int, threads: int) -> Run:
    """Exact matching of the same candidates."""
    chosen = keys(data.order[query, :count])

    def search() -> list[int]:
        ranker = Ranker(data.queries[query], k=TOP, threads=threads)
        ranker.add(blocks, chosen)
        return [split(one.key)[1] for one in ranker.result().finalists[:TOP]]

    return search


def agreement(runs: dict[str, Run]) -> dict[str, float]:
    """Share of the first engine's answer in each one's."""
    answers = {name: set(search()) for name, search in runs.items()}
    first = next(iter(answers.values()), set())
    return {name: len(first & answer) / TOP for name, answer in answers.items()}


def report(found: list[tuple[str, Times, dict[str, float]]]) -> None:
    """Print times, ratios and agreement."""
    others = [name for name in found[0][1] if name != OURS]
    rows, ratios = [], []
    for cell, times, _ in found:
        middle = {name: 1e3 * float(np.median(own)) for name, own in times.items()}
        ratio = {name: middle[name] / middle[OURS] for name in others}
        rows.append([cell, figures(middle[OURS]), *(f"{figures(middle[o])} ({ratio[o]:.1f}x)" for o in others)])
        ratios += [(value, f"{name}, {cell}") for name, value in ratio.items()]
    print(table(["tokens, dimensions, protocol", OURS, *others], rows))
    for name in others:
        print(f"{name}: {smallest([(value, cell) for value, cell in ratios if cell.startswith(name)])}")
    shares = {name: np.mean([share.get(name, np.nan) for _, _, share in found]) for name in others}
    print(
        f"\nShare of the top {TOP} by the MaxSim of {others[0]}: "
        + ", ".join(f"{n} {s:.2f}" for n, s in shares.items())
    )
