"""MaxSim as search engines run it in process, each with its own copy of the sets; what is missing is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _baselines import maxsim
from _shared import Sets, say
from _timing import optional
from numpy.typing import NDArray

__all__ = ["ENGINES", "Engine", "Run", "engines"]

Run = Callable[[], list[int]]
"""One search, ready to start: rows of the ten best, best first."""
TOP = 10


class Engine:
    """One engine that holds a database."""

    name: str
    cosine = False
    """Whether it normalises tokens: another score than the inner product that keeps their norms."""

    def prepare(self, query: NDArray[np.float32], rows: list[int]) -> Run:
        """Everything that can be made before the clock starts."""
        raise NotImplementedError


class Numpy(Engine):
    """One GEMM over candidates that already lie together in float32."""

    name = "numpy, one GEMM"

    def __init__(self, sets: Sets, threads: int, folder: Path) -> None:
        self._sets = sets

    def prepare(self, query: NDArray[np.float32], rows: list[int]) -> Run:
        candidates = np.ascontiguousarray(self._sets[rows], np.float32)
        out = np.empty((len(rows) * candidates.shape[1], len(query)), np.float32)
        return lambda: [rows[i] for i in maxsim(candidates, query, out, TOP)[0]]


class Edge(Engine):
    """Qdrant's engine in process: exact search over float32 multivectors."""

    name = "Qdrant Edge"

    def __init__(self, sets: Sets, threads: int, folder: Path) -> None:
        self._api = api = optional("qdrant_edge", "qdrant-edge-py")
        if api is None:
            raise ImportError
        compare = api.MultiVectorConfig(api.MultiVectorComparator.MaxSim)
        params = api.EdgeVectorParams(sets.shape[2], api.Distance.Dot, multivector_config=compare)
        self._shard = api.EdgeShard.create(str(folder), api.EdgeConfig(vectors=params, max_search_threads=threads))
        for start in range(0, len(sets), 100):
            some = enumerate(sets[start : start + 100].astype(np.float32), start)
            points = [api.Point(id=row, vector=one.tolist()) for row, one in some]
            self._shard.update(api.UpdateOperation.upsert_points(points))
        self._shard.optimize()
        self._count = len(sets)

    def prepare(self, query: NDArray[np.float32], rows: list[int]) -> Run:
        api = self._api
        chosen = None if len(rows) == self._count else api.Filter(must=[api.HasIdCondition(set(rows))])
        nearest, params = api.Query.Nearest(query.tolist()), api.SearchParams(exact=True)
        request = api.QueryRequest(limit=TOP, query=nearest, filter=chosen, params=params)
        return lambda: [int(point.id) for point in self._shard.query(request)]


class Local(Engine):
    """qdrant-client's local mode, which is numpy."""

    name = "qdrant-client, local mode"

    def __init__(self, sets: Sets, threads: int, folder: Path) -> None:
        library = optional("qdrant_client", "qdrant-client")
        if library is None:
            raise ImportError
        self._models = models = library.models
        self._client = library.QdrantClient(":memory:")
        compare = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        params = models.VectorParams(size=sets.shape[2], distance=models.Distance.DOT, multivector_config=compare)
        self._client.create_collection("sets", vectors_config=params)
        for start in range(0, len(sets), 100):
            some = enumerate(sets[start : start + 100].astype(np.float32), start)
            points = [models.PointStruct(id=row, vector=one.tolist(), payload={}) for row, one in some]
            self._client.upsert("sets", points)
        self._count = len(sets)

    def prepare(self, query: NDArray[np.float32], rows: list[int]) -> Run:
        every = len(rows) == self._count
        chosen = None if every else self._models.Filter(must=[self._models.HasIdCondition(has_id=rows)])
        options: dict[str, Any] = {"query": query.tolist(), "query_filter": chosen, "limit": TOP, "with_payload": False}
        return lambda: [int(point.id) for point in self._client.query_points("sets", **options).points]


class Lance(Engine):
    """LanceDB's flat search over a multivector column, float32; an index on the ids serves the filter."""

    name = "LanceDB"
    cosine = True

    def __init__(self, sets: Sets, threads: int, folder: Path) -> None:
        library, arrow = optional("lancedb", "lancedb"), optional("pyarrow", "lancedb")
        if library is None or arrow is None:
            raise ImportError
        N, n, d = sets.shape
        tokens = arrow.FixedSizeListArray.from_arrays(arrow.array(sets.astype(np.float32).ravel()), d)
        column = arrow.ListArray.from_arrays(arrow.array(np.arange(0, N * n + 1, n, dtype=np.int32)), tokens)
        self._table = library.connect(str(folder)).create_table(
            "sets", arrow.table({"row": arrow.array(np.arange(N)), "vector": column})
        )
        from lancedb.index import BTree

        self._table.create_index("row", config=BTree())
        self._count = N

    def prepare(self, query: NDArray[np.float32], rows: list[int]) -> Run:
        search = self._table.search(query).distance_type("cosine").select(["row", "_distance"]).limit(TOP)
        if len(rows) < self._count:
            search = search.where(f"row in ({','.join(map(str, rows))})", prefilter=True)

        def run() -> list[int]:
            found: list[int] = search.to_arrow()["row"].to_pylist()
            return found

        return run


class Plaid(Engine):
    """fast-plaid with its defaults: 4-bit residuals, 8 probes; approximate, and normalised as ColBERT's tokens are."""

    name = "fast-plaid, 4 bits"
    cosine = True

    def __init__(self, sets: Sets, threads: int, folder: Path) -> None:
        torch, library = optional("torch", "torch"), optional("fast_plaid.search", "fast-plaid")
        if torch is None or library is None:
            raise ImportError
        torch.set_num_threads(threads)
        self._torch = torch
        self._index = library.FastPlaid(index=str(folder), device="cpu")
        self._index.create([torch.from_numpy(_unit(one.astype(np.float32))) for one in sets])
        self._count = len(sets)

    def prepare(self, query: NDArray[np.float32], rows: list[int]) -> Run:
        asked = self._torch.from_numpy(_unit(query)[None])
        subset = None if len(rows) == self._count else [rows]
        search = self._index.search
        return lambda: [int(row) for row, _ in search(asked, top_k=TOP, show_progress=False, subset=subset)[0]]


def _unit(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    return tokens / np.maximum(np.linalg.norm(tokens, axis=-1, keepdims=True), np.float32(1e-6))


ENGINES: dict[str, type[Engine]] = {
    "numpy": Numpy,
    "qdrant-edge": Edge,
    "qdrant-local": Local,
    "lancedb": Lance,
    "fast-plaid": Plaid,
}


def engines(names: list[str], sets: Sets, threads: int, folder: Path) -> Iterator[Engine]:
    """Every engine that is installed, filled with the sets; they keep their files in the folder."""
    for name in names:
        try:
            engine = ENGINES[name](sets, threads, folder / name)  # type: ignore[call-arg]
        except ImportError:
            continue
        say(f"{engine.name} holds {len(sets)} sets")
        yield engine
