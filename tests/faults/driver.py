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
        rng.choice([self._put, self._put, self._put, self._delete, self._describe])(client, rng, ids)

    def _put(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        metadata = {id: {"seed": rng.randrange(1 << 24), "turn": rng.random()} for id in ids}
        items = [setwise.Item(id, setwise.FeatureSet(tokens_of(one["seed"])), one) for id, one in metadata.items()]
        after = {id: State(one["seed"], text(one)) for id, one in metadata.items()}
        with self.ledger.asking(after) as answered:
            answered(client.upsert(items).version)

    def _delete(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        with self.ledger.asking(dict.fromkeys(ids)) as answered:
            answered(client.delete(ids).version)

    def _describe(self, client: setwise.Client, rng: random.Random, ids: list[str]) -> None:
        for id in ids[:2]:
            if (state := self.ledger.now(id)) is not None:
                changed = {"turn": rng.random(), "tags": ["a", rng.randrange(9)]}
                after = State(state.seed, text(json.loads(state.metadata) | changed))
                with self.ledger.asking({id: after}) as answered:
                    answered(client.update(id, changed).version)

    def _search(self, client: setwise.Client, rng: random.Random, searcher: int) -> None:
        query = rng.choice(_QUERIES)
        hits = client.search(setwise.FeatureSet(tokens_of(query)), k=1000, exhaustive=True, metadata=False)
        self.ledger.search([(hit.id, hit.score) for hit in hits], hits.version, lambda state: score(query, state.seed))
