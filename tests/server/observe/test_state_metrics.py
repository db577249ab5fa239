"""What a server holds, as Prometheus sees it: many collections, few series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from setwise_engine.collection import Collection, CollectionInfo
from setwise_engine.errors import CorruptError
from setwise_engine.features import DecodeBudget, DecodeLimits
from setwise_server._holdings import Holdings
from setwise_server._meters import Meters
from setwise_server._registry import State
from setwise_server.observe._state_metrics import MOST_COLLECTIONS, OTHERS, StateMetrics

BUDGET = DecodeBudget(1000)


@dataclass(eq=False)
class Held:
    """A collection in a server's registry, that counts how often it is counted."""

    told: CollectionInfo
    state: State = State.READY
    problem: CorruptError | None = None
    counted: int = 0

    @property
    def collection(self) -> Held:
        """Itself."""
        if self.problem is not None:
            raise self.problem
        return self

    def info(self) -> CollectionInfo:
        """What it holds."""
        self.counted += 1
        return self.told


@pytest.fixture(scope="module")
def info(sets_path) -> CollectionInfo:
    """What a real collection says of itself."""
    with Collection.open(sets_path, read_only=True) as collection:
        return collection.info()


def registry_of(*held: Held) -> CollectorRegistry:
    """The metrics of a server of these collections."""
    metrics, registry = StateMetrics(), CollectorRegistry()
    networks = SimpleNamespace(meters=Meters(), decode=DecodeLimits(budget=BUDGET))
    collections = SimpleNamespace(entries=lambda: held, networks=networks)
    metrics.holdings = cast(Holdings, SimpleNamespace(registry=collections))
    registry.register(metrics)
    return registry


def test_callers_cannot_make_more_series_than_there_is_room_for(info: CollectionInfo) -> None:
    held = [Held(replace(info, name=f"c{i}", images=i)) for i in range(MOST_COLLECTIONS + 50)]
    registry = registry_of(*held)

    (family,) = (each for each in registry.collect() if each.name == "setwise_collection_images")
    told = {sample.labels["collection"]: sample.value for sample in family.samples}

    assert len(told) == MOST_COLLECTIONS + 1
    assert told[OTHERS] == sum(range(50))
    assert sum(told.values()) == sum(range(MOST_COLLECTIONS + 50))


def test_one_that_cannot_be_opened_is_counted_and_hides_no_other(info: CollectionInfo) -> None:
    broken = Held(info, State.FAILED, CorruptError("the catalog is damaged"))
    registry = registry_of(broken, Held(info))

    assert registry.get_sample_value("setwise_collections", {"state": "failed"}) == 1
    assert registry.get_sample_value("setwise_collections", {"state": "ready"}) == 1
    assert registry.get_sample_value("setwise_collection_images", {"collection": info.name}) == info.images


def test_a_collection_is_not_counted_again_at_each_look(info: CollectionInfo) -> None:
    held = Held(info)
    registry = registry_of(held)

    for _ in range(5):
        registry.get_sample_value("setwise_collection_images", {"collection": info.name})

    assert held.counted == 1


def test_memory_of_pictures_in_decoding() -> None:
    registry = registry_of()

    with BUDGET.hold(300, "a.jpg", lambda: None):
        assert registry.get_sample_value("setwise_decode_bytes") == 300
    assert registry.get_sample_value("setwise_decode_bytes") == 0
    assert registry.get_sample_value("setwise_decode_waiting") == 0


def test_before_the_collections_are_open_it_says_so() -> None:
    registry = CollectorRegistry()
    registry.register(StateMetrics())

    assert registry.get_sample_value("setwise_loaded") == 0
