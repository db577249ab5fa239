"""Pictures that are asked with: decoded and sent through the network once, whoever asks and however often."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from setwise_engine.errors import CancelledError, ImageError
from setwise_server import ServerSettings
from setwise_server._networks import Networks
from setwise_server._picture import Picture
from setwise_server._registry import Registry


@pytest.fixture
def registry(photos_path):
    registry = Registry([photos_path], ServerSettings(device="cpu", read_only=True))
    yield registry
    registry.close()


@pytest.fixture
def image_encoder(registry):
    return registry.image_encoder(registry.get(""))


def anybody() -> None:
    """The caller is still there."""


def nobody_left() -> None:
    raise CancelledError("the caller cancelled the call")


def finished(encoder, image: bytes):
    picture = Picture(encoder, image)
    picture.begin(anybody)
    return picture.finish(anybody)


def passes(networks: Networks) -> float:
    """Images that went through a network."""
    return networks.meters.images.read()[1]


def test_a_picture_comes_to_what_the_featurizer_makes_of_it(image_encoder, photos) -> None:
    image = photos[0].read_bytes()
    prepared = image_encoder.featurizer.prepare(image)
    raw = image_encoder.batcher.submit(prepared.pixels).result(20).tokens
    expected = image_encoder.featurizer.encoded(raw, prepared.image_size)

    features = finished(image_encoder, image)

    assert (features.tokens == expected.tokens).all()
    assert (features.image_size, features.grid, features.encoder) == (
        expected.image_size,
        expected.grid,
        expected.encoder,
    )


def test_asking_again_costs_no_pass_and_gives_the_same(image_encoder, registry, photos) -> None:
    image = photos[0].read_bytes()
    first = finished(image_encoder, image)

    again = Picture(image_encoder, image)
    again.begin(anybody)

    assert again.finish(anybody) is first
    assert (again.decode_s, again.extract_s, again.encode_s) == (0, 0, 0)
    assert passes(registry.networks) == 1


def test_many_who_ask_with_one_picture_at_once_need_one_pass(image_encoder, registry, photos) -> None:
    together = threading.Barrier(8)

    def ask(image: bytes):
        together.wait(20)
        return finished(image_encoder, image)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, [photos[1].read_bytes()] * 8))

    assert all(one is found[0] for one in found)
    assert passes(registry.networks) == 1


def test_who_waits_for_another_makes_the_set_when_that_one_gives_up(image_encoder, photos) -> None:
    image = photos[0].read_bytes()
    first, second = Picture(image_encoder, image), Picture(image_encoder, image)
    first.begin(anybody)
    second.begin(anybody)
    assert (first.mine, second.mine) == (True, False)

    with pytest.raises(CancelledError):
        second.finish(nobody_left)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.finish, anybody)
        first.give_up()
        features = waiting.result(20)

    assert np.isfinite(features.tokens).all()
    assert finished(image_encoder, image) is features


def test_what_is_no_picture_is_each_callers_own_fault(image_encoder) -> None:
    for _ in range(2):
        with pytest.raises(ImageError):
            finished(image_encoder, b"\xff\xd8\xff no picture")


def test_a_caller_who_leaves_while_the_network_is_busy_is_let_go_at_once(image_encoder, photos) -> None:
    image = np.zeros((320, 320, 3), np.uint8)
    busy = [image_encoder.batcher.submit(image) for _ in range(40 * image_encoder.batcher.lanes.count)]
    picture = Picture(image_encoder, photos[2].read_bytes())
    picture.begin(anybody)

    started = time.perf_counter()
    with pytest.raises(CancelledError):
        picture.finish(nobody_left)

    assert not all(each.done() for each in busy)
    assert time.perf_counter() - started < 1
    for each in busy:
        each.cancel()


def test_warming_up_runs_the_network_and_asks_the_collection(registry, monkeypatch) -> None:
    searched = []
    searcher = type(registry.get("").searcher)
    search = searcher.search
    monkeypatch.setattr(searcher, "search", lambda *given: searched.append(search(*given)) or searched[-1])

    registry.warm()

    assert passes(registry.networks) == registry.image_encoder(registry.get("")).batcher.lanes.count
    assert [len(answer.hits) for answer in searched] == [1]
