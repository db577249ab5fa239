"""Metrics of what a server holds and does now, read when they are asked for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from setwise_engine.collection import CollectionInfo
from setwise_engine.errors import EngineError
from setwise_engine.features import DecodeLimits
from setwise_server._holdings import Holdings
from setwise_server._meters import Meters
from setwise_server._pools import Pools
from setwise_server._registry import Entry, State
from setwise_server.handlers import Kind
from setwise_server.observe._histogram import histogram_of

__all__ = ["MOST_COLLECTIONS", "OTHERS", "StateMetrics"]

MOST_COLLECTIONS = 100
"""Of so many collections, the largest, each has its own metrics; callers may make as many as they like."""
OTHERS = "(others)"
"""The label of all further collections together: no collection can have this name."""
FRESH_S = 10.0
SHARE = 100  # counting a collection's tokens reads its whole catalogue: it may take a hundredth of a core

_SIZES = {
    "images": "Images.",
    "tokens": "Tokens of all images.",
    "bytes": "Bytes on disk.",
    "segments": "Segments.",
    "dead_images": "Images deleted or replaced whose room is not freed yet.",
    "indexed_images": "Images that the coarse index covers.",
}


class StateMetrics(Collector):
    """Thread-safe: Prometheus asks from a thread of its own. holdings: None until they are loaded."""

    def __init__(self) -> None:
        self.pools: Pools | None = None
        self.holdings: Holdings | None = None
        self._infos: WeakKeyDictionary[Entry, tuple[float, CollectionInfo]] = WeakKeyDictionary()

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        if self.pools is not None:
            yield from _of_pools(self.pools)
        yield GaugeMetricFamily("setwise_loaded", "1 once the collections are open.", self.holdings is not None)
        if self.holdings is not None:
            yield from self._of_collections(self.holdings.registry.entries())
            networks = self.holdings.registry.networks
            yield from _of_decoding(networks.decode)
            yield from _of_networks(networks.meters)

    def _of_collections(self, entries: Iterable[Entry]) -> Iterator[Metric]:
        states = Counter(entry.state for entry in entries)
        told = GaugeMetricFamily("setwise_collections", "Collections, by state.", labels=["state"])
        for state in State:
            told.add_metric([state.name.lower()], states[state])
        yield told
        infos = [info for entry in entries if (info := self._info(entry)) is not None]
        infos.sort(key=lambda info: (-info.images, info.name))
        rows = [(info.name, _sizes(info)) for info in infos[:MOST_COLLECTIONS]]
        if infos[MOST_COLLECTIONS:]:
            rest = sum((Counter(_sizes(info)) for info in infos[MOST_COLLECTIONS:]), Counter[str]())
            rows.append((OTHERS, rest))
        for size, text in _SIZES.items():
            family = GaugeMetricFamily(f"setwise_collection_{size}", text, labels=["collection"])
            for name, sizes in rows:
                family.add_metric([name], sizes[size])
            yield family

    def _info(self, entry: Entry) -> CollectionInfo | None:
        """What it holds, lately; None when it cannot be told."""
        fresh_until, info = self._infos.get(entry, (0.0, None))
        begun = time.monotonic()
        if info is None or begun >= fresh_until:
            try:
                info = entry.collection.info()
            except EngineError:
                return None
            ended = time.monotonic()
            self._infos[entry] = ended + max(FRESH_S, SHARE * (ended - begun)), info
        return info


def _sizes(info: CollectionInfo) -> dict[str, int]:
    return {
        "images": info.images,
        "tokens": info.tokens,
        "bytes": info.total_bytes,
        "segments": info.segments,
        "dead_images": info.dead_rows,
        "indexed_images": info.indexed,
    }


def _of_pools(pools: Pools) -> Iterator[Metric]:
    running = GaugeMetricFamily("setwise_pool_running", "Calls that have a thread, by pool.", labels=["pool"])
    waiting = GaugeMetricFamily("setwise_pool_waiting", "Calls that wait for a thread, by pool.", labels=["pool"])
    for kind in Kind:
        running.add_metric([kind.value], pools.of(kind).running)
        waiting.add_metric([kind.value], pools.of(kind).waiting)
    yield running
    yield waiting


def _of_decoding(limits: DecodeLimits) -> Iterator[Metric]:
    if limits.budget is not None:
        yield GaugeMetricFamily("setwise_decode_bytes", "Memory taken by pictures in decoding.", limits.budget.held)
        yield GaugeMetricFamily("setwise_decode_waiting", "Pictures that wait for memory.", limits.budget.waiting)


def _of_networks(meters: Meters) -> Iterator[Metric]:
    yield histogram_of("setwise_forward_pass_images", "Images of one forward pass.", meters.images)
    yield histogram_of("setwise_forward_pass_duration_seconds", "Seconds of one forward pass.", meters.seconds)
    lookups = CounterMetricFamily(
        "setwise_query_cache_lookups",
        "Images that were asked with, by whether their set was cached.",
        labels=["result"],
    )
    lookups.add_metric(["hit"], meters.hits)
    lookups.add_metric(["miss"], meters.misses)
    yield lookups
    yield GaugeMetricFamily("setwise_query_cache_bytes", "Bytes of the sets that are cached.", meters.cached_bytes)
