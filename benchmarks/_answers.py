"""Every score of every query against every image, as the service gives them over gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _shared import say
from numpy.typing import NDArray

import setwise

__all__ = ["SIMILARITIES", "Answers", "Ranking", "ask"]

SIMILARITIES = ("pooled", "spatio-semantic", "MaxSim, query side", "MaxSim, mean of both sides", "semantic")
TOP = 10
_CHUNK = 50

Ranking = list[list[str]]


@dataclass(frozen=True)
class Answers:
    """ids: of the images, by column. scores: (queries, images, similarities). default: ids of a plain search."""

    ids: list[str]
    scores: NDArray[np.float64]
    default: Ranking

    def ranking(self, similarity: str, k: int) -> Ranking:
        """First k ids of every query by one similarity; ties in the order of the ids, which are sorted."""
        scores = self.scores[:, :, SIMILARITIES.index(similarity)]
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return [[self.ids[column] for column in row] for row in order]


def ask(client: setwise.Client, name: str, queries: Sequence[Path], ids: Sequence[str], work: Path) -> Answers:
    """Ask the collection `name` with every picture, once exhaustively and once with the defaults.

    Answers are kept in `work` for this very collection, some queries to a file, so that a run that was stopped goes on.
    """
    [uuid] = [info.uuid for info in client.collections() if info.name == name]
    parts, defaults = [], []
    for start in range(0, len(queries), _CHUNK):
        store = work / f"answers-{name}-{uuid}-{start}.npz"
        if not store.exists():
            scores, default = _ask_some(client, name, queries[start : start + _CHUNK], ids)
            np.savez(store, scores=scores, default=default)
            say(f"{name}: {min(start + _CHUNK, len(queries))} of {len(queries)} queries")
        with np.load(store) as kept:
            parts.append(kept["scores"])
            defaults += kept["default"].tolist()
    return Answers(list(ids), np.concatenate(parts), defaults)


def _ask_some(
    client: setwise.Client, name: str, queries: Sequence[Path], ids: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Two calls under way at a time: the machine has two cores."""

    def one(path: Path) -> tuple[list[tuple[float, ...]], list[str]]:
        number = len(ids)
        every = client.search(path, k=number, candidates=number, scores=True, metadata=False, collection=name)
        if every.certificate.scope != "collection" or len(every) != number:
            raise RuntimeError(f"{name} answered with {len(every)} of {number} images: {every.certificate}")
        by_id = {hit.id: _similarities(hit) for hit in every}
        default = client.search(path, k=TOP, metadata=False, collection=name)
        return [by_id[id] for id in ids], [hit.id for hit in default]

    with ThreadPoolExecutor(2) as threads:
        scores, default = zip(*threads.map(one, queries), strict=True)
    return np.array(scores), np.array(default)


def _similarities(hit: setwise.Hit) -> tuple[float, ...]:
    """A hit's scores in the order of SIMILARITIES."""
    scores = hit.scores
    if scores is None or scores.spatio_semantic is None:
        raise RuntimeError(f"{hit.id} came without scores, or without a spatio-semantic one")
    both = (scores.maxsim_query + scores.maxsim_hit) / 2
    return scores.pooled, scores.spatio_semantic, scores.maxsim_query, both, scores.cosine
