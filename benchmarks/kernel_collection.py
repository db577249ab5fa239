"""The certified exact top 10 of a whole collection: time an image and core, beside numpy + lapx.

    OMP_NUM_THREADS=1 python benchmarks/kernel_collection.py --work build/benchmarks

2000 images are real (composed scenes of both protocols, shipped encoder: 100 tokens of 256 numbers). Larger collections
are resampled from their tokens (`_shared.resampled`), and so denser, not only larger. The collections are real ones on
disk, and read before the clock starts. numpy + lapx solves the first 1000 images; its time is scaled to the collection.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import astuple
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
from _baselines import Matched, lapx_solve, scipy_solve
from _protocols import DATABASE_SEED, PROTOCOLS, QUERY_SEED
from _shared import Sets, encoded, machine, resampled, say, shipped_encoder, table
from _timing import blas_threads, clock, figures, in_turns

from setwise_engine import matching
from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.features import ModelInfo, load_extractor
from setwise_engine.search import Answer, Options, Scope, Searcher

TOP = 10
REAL = 2000
SAMPLE = 1000
APART = 2e-6


@cache
def made_by() -> tuple[ModelInfo, Encoder]:
    """The default network and its shipped encoder."""
    return load_extractor().info, shipped_encoder()


def features(tokens: Sets) -> FeatureSet:
    """A set as the shipped encoder makes it."""
    info, encoder = made_by()
    return FeatureSet(tokens, Stage.ENCODED, info.fingerprint, encoder.fingerprint, info.grid)


def made(work: Path, images: int, donors: Sets) -> Path:
    """A collection of so many images: the real ones, or resampled from them; no thumbnails."""
    path = work / f"kernel-collection-{images}.setwise"
    if path.exists():
        return path
    info, encoder = made_by()
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    partial = path.with_suffix(".partial")
    with Collection.create(partial, settings, encoder) as collection:
        number = 0
        for chunk in [donors] if images == len(donors) else resampled(donors, images, seed=images):
            collection.append([ImageRecord(f"{number + i:06d}", features(one)) for i, one in enumerate(chunk)])
            number += len(chunk)
            if number % 10_000 == 0:
                say(f"{path.name}: {number} images")
        collection.build_index()
    return partial.rename(path)


def rows(path: Path, queries: Sets, threads: list[int], rounds: int) -> Iterator[list[str]]:
    """A line for each number of threads."""
    asked = [features(query) for query in queries]
    with Collection.open(path, read_only=True) as collection:
        first = sample(collection)
        for number in threads:
            searcher = Searcher(collection, scan_threads=number)
            with blas_threads(number):
                yield row(searcher, asked, first, number, rounds)


def row(searcher: Searcher, asked: list[FeatureSet], first: Sets, threads: int, rounds: int) -> list[str]:
    """Time all queries; the first one, with everything read and checked, is not kept."""
    answers, seconds, inside, others = [], [], [], []
    exact(searcher, asked[0])
    for query in asked:
        answer = exact(searcher, query)
        runs = {"setwise": lambda query=query: answers.append(exact(searcher, query))}
        lapx = lapx_solve(threads, Matched(first[:50], query.tokens, scipy_solve).costs()) if len(others) < 5 else None
        if lapx:
            baseline = Matched(first, query.tokens, lapx)
            runs["numpy + lapx"] = lambda baseline=baseline: baseline.top(TOP)
        times = in_turns(runs, rounds, clock(threads), warm=False)
        seconds.append(float(np.median(times["setwise"])))
        inside.append(1e3 * answer.rerank_s)
        others += times.get("numpy + lapx", [])
    each = float(np.median(others)) / len(first) if others else np.nan
    return cells(answers, threads, seconds, inside, 1e3 * each * answers[0].collection_size)


def cells(answers: list[Answer], threads: int, seconds: list[float], inside: list[float], scaled: float) -> list[str]:
    """A line of the table. scaled: milliseconds of the baseline for the whole collection; NaN where it is missing."""
    ms, kernel_ms = 1e3 * float(np.median(seconds)), float(np.median(inside))
    size = answers[0].collection_size
    shares = 100 * np.array([astuple(answer.stages) for answer in answers], float).mean(axis=0) / size
    return [
        f"{size:,}" + (" real" if size == REAL else " resampled"),
        str(threads),
        figures(ms),
        figures(kernel_ms),
        figures(1e3 * ms * threads / size),
        figures(scaled),
        f"{scaled / ms:.0f}x",
        *(f"{share:.2g}" for share in shares),
    ]


def exact(searcher: Searcher, query: FeatureSet) -> Answer:
    """The proven top 10 of the whole collection. Raises RuntimeError when the answer claims less."""
    answer = searcher.search(query, Options(k=TOP, exhaustive=True))
    if answer.scope is not Scope.COLLECTION or answer.recalled != answer.collection_size:
        raise RuntimeError(f"not exhaustive: {answer.scope}, {answer.recalled} of {answer.collection_size}")
    return answer


def sample(collection: Collection) -> Sets:
    """The first images of a collection, (1000, n, d)."""
    with collection.snapshot() as snapshot:
        return np.stack([snapshot.tokens(key) for key in snapshot.page("", SAMPLE)])


def check(path: Path, queries: Sets) -> None:
    """Compare with numpy + scipy over every image. Raises RuntimeError when the answers differ."""
    with Collection.open(path, read_only=True) as collection:
        searcher = Searcher(collection)
        with collection.snapshot() as snapshot:
            keys = snapshot.page("", len(snapshot))
            ids, sets = snapshot.ids(keys), np.stack([snapshot.tokens(key) for key in keys])
        for query in queries:
            answer = exact(searcher, features(query))
            positions, scores = Matched(sets, query, scipy_solve).top(TOP)
            apart = max(abs(hit.score - score) for hit, score in zip(answer.hits, scores, strict=True))
            if [hit.id for hit in answer.hits] != [ids[p] for p in positions] or apart > APART:
                raise RuntimeError(f"numpy + scipy answered otherwise, scores {apart:.1e} apart")
    print(f"{len(queries)} answers over {len(keys):,} images equal those of numpy + scipy over all of them.\n")


def main() -> None:
    """Make the collections, time them, print one table."""
    parser = argparse.ArgumentParser(description="Time of an exhaustive exact search.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and collections")
    parser.add_argument("--images", type=int, nargs="+", default=[REAL, 10_000, 100_000], help=f"{REAL}: real ones")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--queries", type=int, default=10, help="of each protocol")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    databases = [encoded(args.work, split, REAL // 2, DATABASE_SEED) for split, _ in PROTOCOLS.values()]
    donors = np.concatenate(databases)
    asked = [encoded(args.work, split, 20, QUERY_SEED)[: args.queries] for _, split in PROTOCOLS.values()]
    queries = np.concatenate(asked)
    print(f"{machine()}; kernel: {matching.kernel_name()}\n")
    header = ["images", "threads", "search, ms", "of it ranking, ms", "us an image and core"]
    header += ["numpy + lapx, scaled, ms", "ratio", "gate %", "gate, dual %", "bound %", "dual %", "solved %"]
    found = []
    for images in args.images:
        start = perf_counter()
        path = made(args.work, images, donors)
        say(f"{path.name} ready after {perf_counter() - start:.0f} s")
        if images == REAL:
            check(path, queries[:: max(1, len(queries) // 4)])
        found += rows(path, queries, args.threads, args.rounds)
    print("Median over the queries; CPU time at one thread, wall time at two:\n")
    print(table(header, found))


if __name__ == "__main__":
    main()
