"""How long a search takes, stage by stage: 1000 and 10,000 images, by image and by id, in process and over gRPC.

    OMP_NUM_THREADS=1 python benchmarks/latency.py --work build/benchmarks

1000 images are composed scenes, indexed by `setwise index`. 10,000 are resampled from 2000 real ones
(`_shared.resampled`), each with the thumbnail of a real scene. One call at a time; defaults otherwise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
from _protocols import Protocol
from _service import served
from _shared import Sets, machine, milliseconds, resampled, say, table

import setwise
from setwise_engine.collection import Collection, ImageRecord
from setwise_engine.feature_set import FeatureSet, Stage

T = TypeVar("T")

QUERIES = 100
WARM = 5
LARGE = 10_000
STAGES = ("decode_ms", "extract_ms", "encode_ms", "recall_ms", "rerank_ms", "fetch_ms", "total_ms")


def enlarged(work: Path, protocols: Sequence[Protocol]) -> Path:
    """A collection of 10,000 resampled images, made like the real ones it is resampled from."""
    path = work / f"resampled-{LARGE}.setwise"
    if path.exists():
        return path
    say(f"making {path}")
    real = [_stored(protocol.path) for protocol in protocols]
    donors = np.concatenate([tokens for tokens, _ in real])
    thumbnails = [thumbnail for _, some in real for thumbnail in some]
    with Collection.open(protocols[0].path, read_only=True) as model:
        settings, encoder = model.settings, model.encoder
        with model.snapshot() as snapshot:
            like = snapshot.features(snapshot.page("", 1)[0])
    partial = path.with_suffix(".partial")
    with Collection.create(partial, settings, encoder) as collection:
        number = 0
        for chunk in resampled(donors, LARGE, seed=LARGE):
            collection.append([_record(number + i, one, like, thumbnails) for i, one in enumerate(chunk)])
            number += len(chunk)
        collection.build_index()
    return partial.rename(path)


def _stored(path: Path) -> tuple[Sets, list[bytes]]:
    """Tokens (images, n, d) and thumbnails of a collection."""
    with Collection.open(path, read_only=True) as collection, collection.snapshot() as snapshot:
        keys = snapshot.page("", len(snapshot))
        thumbnails = [image.thumbnail for image in snapshot.stored(keys, thumbnails=True)]
        return np.stack([snapshot.tokens(key) for key in keys]), thumbnails


def _record(number: int, tokens: Sets, like: FeatureSet, thumbnails: Sequence[bytes]) -> ImageRecord:
    return ImageRecord(
        id=f"resampled-{number:05d}",
        features=FeatureSet(tokens, Stage.ENCODED, like.model, like.encoder, like.grid, like.image_size),
        metadata={"number": number},
        content_hash="",
        source=None,
        thumbnail=thumbnails[number % len(thumbnails)],
    )


def rows(client: setwise.Client, name: str, images: Sequence[Path], where: str) -> Iterator[list[str]]:
    """Times of one collection by image, by stored id, and by image with everything that an answer can carry."""
    ids = [image.id for image, _ in zip(client.list(collection=name), images, strict=False)]

    def plain(path: Path) -> setwise.Hits:
        return client.search(path, collection=name)

    def by_id(id: str) -> setwise.Hits:
        return client.search(setwise.Id(id), collection=name)

    def full(path: Path) -> setwise.Hits:
        return client.search(path, collection=name, scores=True, matches=True, thumbnails=True)

    yield [where, "image", *_times(images, plain)]
    yield [where, "id", *_times(ids, by_id)]
    yield [where, "image, full answer", *_times(images, full)]


def _times(queries: Sequence[T], search: Callable[[T], setwise.Hits]) -> list[str]:
    """p50 / p95 of every stage and of the whole call as the client sees it."""
    for query in queries[:WARM]:
        search(query)
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    calls = []
    for query in queries:
        start = perf_counter()
        hits = search(query)
        calls.append(perf_counter() - start)
        for stage, times in stages.items():
            times.append(getattr(hits.timings, stage) / 1e3)
    return [*map(milliseconds, stages.values()), milliseconds(calls)]


def main() -> None:
    """Make the collections, time them, print a table each."""
    parser = argparse.ArgumentParser(description="Latency of a search by stage.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and collections")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    protocols = [Protocol(name, args.work, 1000, 500) for name in ("instance", "category")]
    images = protocols[0].queries[:QUERIES]
    print(machine(), end="\n\n")
    header = ["where", "query", *(stage.removesuffix("_ms") for stage in STAGES), "whole call"]
    for path in (protocols[0].path, enlarged(args.work, protocols)):
        with setwise.connect(path) as client:
            [info] = client.collections()
            found = list(rows(client, info.name, images, "in process"))
        with served(path) as address, setwise.connect(address) as client:
            found += rows(client, info.name, images, "gRPC")
        print(f"{info.images:,} images ({path.stem}), p50 / p95 in ms:\n")
        print(table(header, found))


if __name__ == "__main__":
    main()
