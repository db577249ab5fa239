"""The shipped encoder against one fitted on the collection itself, with and without the first direction.

    python benchmarks/encoders.py --work build/benchmarks

1000 database scenes and 250 queries a protocol, the same scenes as `quality.py`. The collections are made through the
engine from one extraction, and searched in process with the default candidates.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from _protocols import BOOTSTRAP_SEED, DATABASE_SEED, PROTOCOLS, QUERY_SEED, labels_of
from _shared import Sets, composed, machine, raw, say, shipped_encoder, table
from numpy.typing import NDArray

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.features import load_extractor
from setwise_engine.search import Options, Searcher
from setwise_evaluation.retrieval import bootstrap, f1_at, paired_bootstrap

IMAGES = 1000
QUERIES = 250
SAMPLE = 500
"""Images that an encoder is fitted on, as `setwise index` takes them."""


def candidates(database: Sets) -> dict[str, Encoder]:
    """The encoders to compare, by the names of the table."""
    model = load_extractor().info.fingerprint
    sample = [database[index].astype(np.float32) for index in range(0, len(database), len(database) // SAMPLE)]
    return {
        "shipped": shipped_encoder(),
        "fitted on the collection": fit_encoder(sample, model=model, drop=1),
        "fitted, first direction kept": fit_encoder(sample, model=model, drop=0),
    }


def ranked(path: Path, encoder: Encoder, database: Sets, queries: Sets, ids: list[str]) -> list[list[str]]:
    """First 5 ids of every query in a collection of the database under this encoder."""
    info = load_extractor().info
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)

    def features(tokens: Sets) -> FeatureSet:
        return FeatureSet(encoder.encode(tokens), Stage.ENCODED, info.fingerprint, encoder.fingerprint, info.grid)

    if not path.exists():
        with Collection.create(path, settings, encoder) as new:
            for start in range(0, len(ids), 200):
                some = zip(ids[start : start + 200], database[start : start + 200], strict=True)
                new.append([ImageRecord(id, features(tokens), {}, "", None) for id, tokens in some])
            new.build_index()
    with Collection.open(path, read_only=True) as collection:
        searcher = Searcher(collection)
        return [[hit.id for hit in searcher.search(features(query), Options(k=5)).hits] for query in queries]


def rows(protocol: str, work: Path) -> Iterator[list[str]]:
    """F1@1 and mean F1@5 by encoder, category labels, with the paired difference from the shipped one."""
    split, query_split = PROTOCOLS[protocol]
    folder, asked = composed(work, split, IMAGES, DATABASE_SEED), composed(work, query_split, 500, QUERY_SEED)
    labels, query_labels = labels_of(folder, "categories"), list(labels_of(asked, "categories").values())[:QUERIES]
    database, queries = raw(work, split, IMAGES, DATABASE_SEED), raw(work, query_split, 500, QUERY_SEED)[:QUERIES]
    values: dict[str, list[NDArray[np.float64]]] = {}
    for name, encoder in candidates(database).items():
        say(f"{protocol}: {name}")
        path = work / f"encoder-{protocol}-{encoder.fingerprint}.setwise"
        ranking = ranked(path, encoder, database, queries, list(labels))
        values[name] = [_f1(ranking, query_labels, labels, k) for k in (1, 5)]
        cells = [str(bootstrap(own, seed=BOOTSTRAP_SEED)) for own in values[name]]
        pairs = zip(values[name], values["shipped"], strict=True)
        ahead = [f"{paired_bootstrap(own, shipped, seed=BOOTSTRAP_SEED):+.3f}" for own, shipped in pairs]
        yield [name, *cells, *(ahead if name != "shipped" else ["", ""])]


def _f1(
    ranking: list[list[str]], queries: list[frozenset[str]], labels: Mapping[str, frozenset[str]], k: int
) -> NDArray[np.float64]:
    pairs = zip(queries, ranking, strict=True)
    return np.array([f1_at(query, [labels[id] for id in ids], k) for query, ids in pairs])


def main() -> None:
    """Make the collections, search them, print a table a protocol."""
    parser = argparse.ArgumentParser(description="Quality by encoder.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes, tokens and collections")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print(machine(), end="\n\n")
    header = ["encoder", "F1@1", "mean F1@5", "minus the shipped one, F1@1", "minus the shipped one, mean F1@5"]
    for protocol in PROTOCOLS:
        print(f"{protocol} protocol, labels are categories ({IMAGES} images, {QUERIES} queries):\n")
        print(table(header, list(rows(protocol, args.work))), flush=True)


if __name__ == "__main__":
    main()
