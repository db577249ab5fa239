"""Sets that are kept: found again, made once, and never more of them than there is room for."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.feature_set import FeatureSet
from setwise_server._cache import EACH, SetCache, key_of
from setwise_server._meters import Meters

SIZE = 100 * 2 + EACH


def a_set(value: float = 1.0) -> FeatureSet:
    return FeatureSet(np.full((10, 10), value, np.float16))


def made(cache: SetCache, image: bytes) -> FeatureSet:
    """The set of an image that is not there yet."""
    key, features = key_of("encoder", image), a_set()
    _, mine = cache.find(key)
    assert mine
    cache.settle(key, features)
    return features


def kept(cache: SetCache, image: bytes) -> FeatureSet | None:
    """The set of an image if it is there."""
    key = key_of("encoder", image)
    future, mine = cache.find(key)
    if mine:
        cache.settle(key, None)
    return future.result(0)


def test_a_set_that_was_made_is_found_again() -> None:
    meters = Meters()
    cache = SetCache(10 * SIZE, meters)

    features = made(cache, b"one")

    assert kept(cache, b"one") is features
    assert kept(cache, b"two") is None
    assert (meters.hits, meters.misses, meters.cached_bytes) == (1, 2, SIZE)


def test_another_encoder_or_another_byte_is_another_set() -> None:
    assert len({key_of("a", b"image"), key_of("b", b"image"), key_of("a", b"image ")}) == 3


def test_the_least_lately_used_leave_first() -> None:
    cache = SetCache(2 * SIZE)
    for image in (b"one", b"two"):
        made(cache, image)

    kept(cache, b"one")
    made(cache, b"three")

    assert [kept(cache, image) is not None for image in (b"one", b"two", b"three")] == [True, False, True]


@pytest.mark.parametrize("most", [0, SIZE - 1])
def test_what_is_larger_than_all_the_room_is_not_kept(most: int) -> None:
    meters = Meters()
    cache = SetCache(most, meters)

    made(cache, b"one")

    assert kept(cache, b"one") is None
    assert meters.cached_bytes == 0


def test_those_who_ask_while_a_set_is_made_wait_for_it() -> None:
    cache, key, features = SetCache(10 * SIZE), key_of("encoder", b"one"), a_set()
    first, mine = cache.find(key)
    second, also_mine = cache.find(key)
    assert (mine, also_mine) == (True, False)
    assert not second.done()

    cache.settle(key, features)

    assert first.result(0) is second.result(0) is features


def test_when_who_makes_it_gives_up_one_of_those_who_wait_may() -> None:
    cache, key = SetCache(10 * SIZE), key_of("encoder", b"one")
    cache.find(key)
    waiting, _ = cache.find(key)

    cache.settle(key, None)

    assert waiting.result(0) is None
    assert [cache.find(key)[1] for _ in range(2)] == [True, False]
