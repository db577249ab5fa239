"""What to ask with: images of the collection itself, of another collection, or of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from setwise_engine.collection import Collection, Snapshot
from setwise_engine.errors import Incompatible, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.search import comparable
from setwise_evaluation.experiments.recall._types import Query

__all__ = ["collection_queries", "folder_queries", "own_queries"]

_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"})
_BATCH = 8


def own_queries(snapshot: Snapshot, keys: Sequence[int], count: int, seed: int) -> list[Query]:
    """At most so many images of the collection itself, each to be left out of its own answers; in the order of ids.

    keys: what to draw from. The same ids are drawn wherever compaction has moved the images.
    """
    ids = _drawn(sorted(snapshot.ids(keys), key=str.encode), count, seed)
    return [Query(id, snapshot.features(key), own=id) for id, key in zip(ids, _present(snapshot, ids), strict=True)]


def collection_queries(other: Collection, collection: Collection, count: int, seed: int) -> list[Query]:
    """At most so many images of another collection. Raises Incompatible when it has another encoder."""
    with other.snapshot() as snapshot:
        drawn = own_queries(snapshot, snapshot.live_keys().tolist(), count, seed)
        kept = [np.array(query.features.tokens) for query in drawn]  # their files may go with the collection
    return [
        Query(query.name, comparable(_with_tokens(query.features, tokens), collection.encoder))
        for query, tokens in zip(drawn, kept, strict=True)
    ]


def folder_queries(
    folder: Path,
    collection: Collection,
    count: int,
    seed: int,
    *,
    weights: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Query]:
    """At most so many images of a folder and what is below it, through the collection's own network and encoder.

    weights: of the network, where the collection was made with some of one's own. Raises InvalidInput when there are no
    images, ImageError naming one that cannot be decoded, Incompatible when the collection holds ready-made sets or was
    made with other weights.
    """
    from setwise_engine.features import load_extractor
    from setwise_engine.featurizer import Featurizer

    settings = collection.settings
    if not settings.model:
        raise Incompatible(
            f"{collection.path} holds ready-made feature sets, so that images cannot be asked with; "
            "leave --queries out, or name a collection",
            field="queries",
        )
    paths = _drawn(_images(folder), count, seed)
    extractor = load_extractor(settings.model, image_size=settings.image_size, weights=weights)
    featurizer = Featurizer(extractor, collection.encoder)
    queries: list[Query] = []
    for first in range(0, len(paths), _BATCH):
        batch = paths[first : first + _BATCH]
        sets = featurizer.encode([featurizer.prepare(folder / path) for path in batch])
        queries += [Query(path, features) for path, features in zip(batch, sets, strict=True)]
        progress(len(queries), len(paths))
    return queries


def _images(folder: Path) -> list[str]:
    """Images by their paths relative to the folder; hidden ones are left out."""
    found = [
        Path(root, name).relative_to(folder)
        for root, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES
    ]
    shown = sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))
    if not shown:
        raise InvalidInput(f"{folder} holds no images; name a folder of images or a collection", field="queries")
    return shown


def _drawn(names: list[str], count: int, seed: int) -> list[str]:
    if count < 1:
        raise InvalidInput(f"sample is {count}; ask with at least 1 image", field="sample")
    if len(names) <= count:
        return names
    chosen = np.random.default_rng(seed).choice(len(names), count, replace=False)
    return [names[place] for place in sorted(chosen.tolist())]


def _present(snapshot: Snapshot, ids: Sequence[str]) -> list[int]:
    return [key for key in snapshot.keys(ids) if key is not None]


def _with_tokens(features: FeatureSet, tokens: np.ndarray) -> FeatureSet:
    return FeatureSet(tokens, features.stage, features.model, features.encoder, features.grid, features.image_size)
