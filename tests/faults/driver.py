"""Seeded work against a running server through the SDK, every question and answer noted in the ledger."""

from __future__ import annotations

import functools
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ledger import Ledger, State
from numpy.typing import NDArray
from workload import record

import setwise
from setwise_engine.collection import Collection
from setwise_engine.matching import similarity

__all__ = ["COLLECTION", "Driver", "read_content", "tokens_of"]

COLLECTION = "photos"
WRITERS, IDS, SEARCHERS = 3, 12, 2
_QUERIES = range(8)


@functools.cache
def tokens_of(seed: int) -> NDArray[np.float16]:
    """The tokens that belong to a seed, (n, 8)."""
    tokens: NDArray[np.float16] = record("", seed).features.tokens
    return tokens


@functools.cache
def score(query: int, seed: int) -> float:
    """The definition's cosine of two seeds."""
    return similarity(tokens_of(query), tokens_of(seed))


def text(metadata: dict[str, Any]) -> str:
    """Metadata as the ledger has it."""
    return json.dumps(metadata, sort_keys=True)


def read_content(folder: Path) -> tuple[dict[str, State], int, list[str]]:
    """What a folder holds: states by id, the version, and the ids whose tokens are not those of their seed."""
    with Collection.open(folder, read_only=True) as collection, collection.snapshot() as snapshot:
        keys = snapshot.page("", 1_000_000)
        found, torn = {}, []
        for key, image in zip(keys, snapshot.stored(keys), strict=True):
            seed = int(image.metadata["seed"])  # type: ignore[arg-type]
            found[image.id] = State(seed, text(image.metadata))
            if snapshot.tokens(key).tobytes() != tokens_of(seed).tobytes():
                torn.append(image.id)
        return found, snapshot.version, torn


@dataclass
class Driver:
    """Threads that write and search until the server is gone. problems: errors that no kill explains."""

    address: str
    ledger: Ledger
    seed: int
    problems: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Sets the threads to work."""
        self._stop = threading.Event()
        work = [(self._write, n) for n in range(WRITERS)] + [(self._search, n) for n in range(SEARCHERS)]
        self._threads = [threading.Thread(target=self._until_it_ends, args=one) for one in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits until all threads have ended: the server is gone."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            if thread.is_alive():
                self.problems.append("a call hung for a minute after the server had gone")

    def _until_it_ends(self, step: Callable[[setwise.Client, random.Random, int], None], number: int) -> None:
        rng = random.Random(f"{self.seed} {step.__name__} {number}")
        try:
            with setwise.connect(self.address, collection=COLLECTION, retries=0, timeout=30.0) as client:
                while not self._stop.is_set():
                    step(client, rng, number)
        except (setwise.UnavailableError, setwise.DeadlineExceededError):
            pass  # killed
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")

    def _write(self, client: setwise.Client, rng: random.Random, writer: int) -> None:
        ids = [f"w{writer}-{n:02}" for n in rng.sample(range(IDS), rng.randrange(1, 7))]
        kinds = [self._put, self._put, self._put, self._delete, self._delete_where, self._describe, self._describe]
        rng.choice(kinds)(client, rng, ids)

    def _put(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        metadata = {id: {"seed": rng.randrange(1 << 24), "turn": rng.random(), "writer": id[:2]} for id in ids}
        items = [setwise.Item(id, setwise.FeatureSet(tokens_of(one["seed"])), one) for id, one in metadata.items()]
        after = {id: State(one["seed"], text(one)) for id, one in metadata.items()}
        with self.ledger.asking(after) as answered:
            answered(client.upsert(items).version)

    def _delete(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        with self.ledger.asking(dict.fromkeys(ids)) as answered:
            answered(client.delete(ids).version)

    def _delete_where(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        most, writer = rng.uniform(0, 0.3), ids[0][:2]
        passing = [id for id in list(self.ledger.changes) if id.startswith(writer) and self._turn(id) < most]
        with self.ledger.asking(dict.fromkeys(passing)) as answered:
            report = client.delete(where=(setwise.F("writer") == writer) & (setwise.F("turn") < most))
            answered(report.version)
        if report.deleted != len(passing):
            self.problems.append(f"{report.deleted} images deleted by filter instead of {len(passing)}")

    def _describe(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        changes = {id: {"turn": rng.random(), "tags": ["a", rng.randrange(9)]} for id in ids if self.ledger.now(id)}
        with self.ledger.asking({id: self._changed(id, change) for id, change in changes.items()}) as answered:
            if changes:
                answered(client.update_many(changes).version)

    def _changed(self, id: str, change: dict[str, Any]) -> State:
        state = self.ledger.now(id)
        assert state is not None
        return State(state.seed, text(json.loads(state.metadata) | change))

    def _turn(self, id: str) -> float:
        state = self.ledger.now(id)
        return 1.0 if state is None else float(json.loads(state.metadata)["turn"])

    def _search(self, client: setwise.Client, rng: random.Random, searcher: int) -> None:
        query, most = rng.choice(_QUERIES), rng.choice([None, rng.random()])
        where = None if most is None else setwise.F("turn") < most
        asked = setwise.FeatureSet(tokens_of(query))
        hits = client.search(asked, k=1000, exhaustive=True, metadata=False, where=where)

        def right(state: State) -> float | None:
            passes = most is None or json.loads(state.metadata)["turn"] < most
            return score(query, state.seed) if passes else None

        self.ledger.search([(hit.id, hit.score) for hit in hits], hits.version, right)
