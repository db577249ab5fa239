"""How good the rankings are: composed scenes, indexed, served and queried over gRPC as a user would.

    python benchmarks/quality.py --work build/benchmarks

1000 database scenes and 500 queries in each of two protocols (`setwise_evaluation.scenes`). Every query is answered
twice: with all 1000 images as candidates and all scores returned, which gives the rankings by every similarity, and
with the defaults. F1@1 and mean F1@5 are defined in `setwise_evaluation.retrieval`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from _answers import SIMILARITIES, TOP, Answers, Ranking, ask
from _protocols import BOOTSTRAP_SEED, PROTOCOLS, QUERY_SEED, Labels, Protocol
from _service import served
from _shared import Sets, encoded, machine, table
from numpy.typing import NDArray

import setwise
from setwise_engine.coarse import KINDS, Coarse
from setwise_engine.collection import Collection
from setwise_evaluation.retrieval import bootstrap, f1_at, paired_bootstrap, random_f1, recall_by_candidates

# In the category protocol no cut-out is shared, so that instances never overlap.
LABELS = {"instance": ("categories", "instances"), "category": ("categories",)}
CANDIDATES = (10, 20, 50, 100, 200, 500)


def quality_rows(answers: Answers, database: Labels, queries: Sequence[frozenset[str]]) -> Iterator[list[str]]:
    """F1@1 and mean F1@5 of every similarity with 95 % intervals, and how far the semantic one is above it."""
    rankings = {name: answers.ranking(name, 5) for name in SIMILARITIES}
    rankings["semantic, default candidates"] = answers.default
    values = {name: [_f1(ranking, database, queries, k) for k in (1, 5)] for name, ranking in rankings.items()}
    for name, own in values.items():
        cells = [str(bootstrap(value, seed=BOOTSTRAP_SEED)) for value in own]
        pairs = zip(values["semantic"], own, strict=True)
        ahead = [paired_bootstrap(semantic, value, seed=BOOTSTRAP_SEED) for semantic, value in pairs]
        yield [name, *cells, *("" if name == "semantic" else f"{difference:+.3f}" for difference in ahead)]
    chance = f"{random_f1(queries, list(database.values())):.3f}"
    yield ["by chance", chance, chance, "", ""]


def _f1(ranking: Ranking, database: Labels, queries: Sequence[frozenset[str]], k: int) -> NDArray[np.float64]:
    pairs = zip(queries, ranking, strict=True)
    return np.array([f1_at(query, [database[id] for id in ids], k) for query, ids in pairs])


def recall_rows(protocol: Protocol, queries: Sets, exact: Ranking) -> Iterator[list[str]]:
    """Share of the exact top 10 among the first candidates, for every kind of coarse vector."""
    with Collection.open(protocol.path, read_only=True) as collection, collection.snapshot() as snapshot:
        keys = snapshot.page("", len(snapshot))
        ids = np.array(snapshot.ids(keys))
        sets = [np.array(snapshot.tokens(key)) for key in keys]
        basis, kept = collection.encoder.coarse_basis, collection.settings.coarse
    for kind in KINDS:
        pool = Coarse(kind, basis)
        scores = pool.pool_many(list(queries)) @ pool.pool_many(sets).T
        order = np.argsort(-scores, axis=1, kind="stable")
        shares = [
            recall_by_candidates(hits, ids[row].tolist(), CANDIDATES) for hits, row in zip(exact, order, strict=True)
        ]
        name = f"{kind} (the default)" if kind == kept else kind
        yield [name, str(pool.dims), *(f"{share:.3f}" for share in np.mean(shares, axis=0))]


def report(protocol: Protocol, answers: Answers, queries: Sets) -> None:
    """Print the tables of one protocol."""
    size = f"{len(answers.ids)} images, {len(answers.default)} queries"
    for kind in LABELS[protocol.name]:
        print(f"### {protocol.name} protocol, labels are {kind} ({size})\n")
        header = ["ranked by", "F1@1", "mean F1@5", "semantic minus it, F1@1", "semantic minus it, mean F1@5"]
        print(table(header, list(quality_rows(answers, *protocol.labels(kind)))))
    print(f"Share of the exact top {TOP} among the first candidates, {protocol.name} protocol:\n")
    rows = list(recall_rows(protocol, queries, answers.ranking("semantic", TOP)))
    print(table(["coarse vector", "dimensions", *map(str, CANDIDATES)], rows))


def main() -> None:
    """Compose, index, serve, ask and print."""
    parser = argparse.ArgumentParser(description="Quality of the rankings over composed scenes.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes, collections and answers")
    parser.add_argument("--images", type=int, default=1000, help="database scenes a protocol (at most 1000)")
    parser.add_argument("--queries", type=int, default=500, help="queries a protocol")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    protocols = [Protocol(name, args.work, args.images, args.queries) for name in PROTOCOLS]
    with served(*(protocol.path for protocol in protocols)) as address, setwise.connect(address, timeout=120) as client:
        answers = [ask(client, p.name, p.queries, sorted(p.labels("categories")[0]), args.work) for p in protocols]
    print(machine(), end="\n\n")
    for protocol, answer in zip(protocols, answers, strict=True):
        queries = encoded(args.work, protocol.query_split, args.queries, QUERY_SEED)
        report(protocol, answer, queries)


if __name__ == "__main__":
    main()
