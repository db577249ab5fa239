"""Composed scenes: the protocols of which everybody has the data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.features import Extractor
from setwise_evaluation.activations import activations
from setwise_evaluation.experiments.retrieval._types import Case, Side
from setwise_evaluation.labels import read_labels
from setwise_evaluation.scenes import Split, find_backgrounds, find_cutouts, write_scenes

__all__ = ["PROTOCOLS", "scene_case"]

Progress = Callable[[str, int, int], None]

PROTOCOLS = {
    "instance": (Split.INSTANCE_DATABASE, Split.INSTANCE_QUERY, "instances"),
    "category": (Split.CATEGORY_DATABASE, Split.CATEGORY_QUERY, "categories"),
    "counting": (Split.COUNTING_DATABASE, Split.COUNTING_QUERY, "instances"),
}
"""Splits of `setwise_evaluation.scenes`, and which of their labels count."""

_DATABASE_SEED, _QUERY_SEED = 100, 201


def scene_case(
    protocol: str, extractor: Extractor, work: Path, *, images: int, queries: int, seed: int, progress: Progress
) -> Case:
    """One protocol: scenes composed into `work` unless they lie there, and their raw tokens, kept there too.

    The database has the seed 100 + seed, the queries 201 + seed, so that 1 gives the scenes of our other benchmarks.
    """
    if protocol not in PROTOCOLS:
        raise InvalidInput(f"there is no protocol {protocol!r}; ask for {', '.join(PROTOCOLS)}", field="protocol")
    *splits, kind = PROTOCOLS[protocol]
    sizes = ((images, _DATABASE_SEED + seed), (queries, _QUERY_SEED + seed))
    folders = [_composed(work, split, count, number) for split, (count, number) in zip(splits, sizes, strict=True)]
    database, asked = (_side(folder, kind, extractor, progress) for folder in folders)
    return Case(
        name=protocol,
        queries=asked,
        database=database,
        kind=kind,
        counted=splits[0].counting,
        leave_one_out=False,
        said=(_words(protocol, images, queries),),
        left_out=(),
        key=f"{protocol}-{images}-{queries}-seed{seed}-{_plain(extractor)}",
    )


def _words(protocol: str, images: int, queries: int) -> str:
    what = {
        "instance": "share cut-outs but no background; labels are the cut-outs",
        "category": "share neither cut-outs nor backgrounds; labels are the categories",
        "counting": "hold four objects of two kinds each, in three proportions, on other backgrounds; labels are the "
        "cut-outs with their numbers",
    }
    return f"{images} composed scenes and {queries} queries, which {what[protocol]}."


def _composed(work: Path, split: Split, count: int, seed: int) -> Path:
    folder = work / f"{split}-{count}-seed{seed}"
    if not (folder / "labels.jsonl").exists():
        write_scenes(folder, split, count, seed, cutouts=find_cutouts(), backgrounds=find_backgrounds())
    return folder


def _side(folder: Path, kind: str, extractor: Extractor, progress: Progress) -> Side:
    found = read_labels(folder, kind=kind)
    tokens = _tokens(folder, [folder / path for path in found.paths.values()], extractor, progress)
    return Side(found.ids, tokens, tuple(found.counts.values()))


def _tokens(folder: Path, paths: list[Path], extractor: Extractor, progress: Progress) -> NDArray[np.float32]:
    """Raw tokens, (n, t, d) float32, by memory map from a file beside the scenes, written whole when missing."""
    store = folder.parent / f"{folder.name}-{_plain(extractor)}.npy"
    if not store.exists():
        name = f"{extractor.info.name}, {folder.name}"
        found = activations(paths, model=extractor, progress=lambda done, total: progress(name, done, total))
        unfinished = store.with_suffix(f".{os.getpid()}.npy")
        np.save(unfinished, found.tokens)
        unfinished.replace(store)
    loaded: NDArray[np.float32] = np.load(store, mmap_mode="r")
    return loaded


def _plain(extractor: Extractor) -> str:
    return extractor.info.fingerprint.replace(":", "-")
