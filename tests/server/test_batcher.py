"""Forward passes: shared by what waits, never more at once than allowed, and the same bits whatever the company."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from setwise_engine.errors import CancelledError
from setwise_engine.features import Extractor, load_extractor
from setwise_server._batcher import Batcher, Lanes, result_of
from setwise_server._meters import Meters


class Recorder:
    """Stands for a network: its tokens are the mean of the pixels. Holds each pass until `go` is set."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.at_once, self.most_at_once = 0, 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def extract(self, pixels):
        with self._lock:
            self.passes.append([int(image.mean()) for image in pixels])
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.go.wait(20)
        with self._lock:
            self.at_once -= 1
        if pixels.max() == 255:
            raise ValueError("a white image")
        return pixels.reshape(len(pixels), -1).mean(axis=1, dtype=np.float32)[:, None, None]


def image(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def network():
    recorder = Recorder()
    yield recorder
    recorder.go.set()


def nobody_left() -> None:
    raise CancelledError("the caller cancelled the call")


def test_what_waits_while_a_pass_runs_goes_together_into_the_next(network) -> None:
    meters = Meters()
    batcher = Batcher(network, Lanes(count=1, images=4), meters)

    first = batcher.submit(image(0))
    until(lambda: network.passes)
    others = [batcher.submit(image(value)) for value in range(1, 7)]
    network.go.set()

    assert [result_of(each, lambda: None).tokens[0, 0] for each in [first, *others]] == list(range(7))
    assert network.passes == [[0], [1, 2, 3, 4], [5, 6]]
    assert meters.images.read() == ([1, 1, 1, 0, 0, 0, 0, 0], 7)


def test_as_many_passes_run_at_once_as_there_are_lanes(network) -> None:
    batcher = Batcher(network, Lanes(count=3))

    waiting = [batcher.submit(image(value)) for value in range(9)]
    until(lambda: network.at_once == 3)
    network.go.set()

    for each in waiting:
        result_of(each, lambda: None)
    assert network.most_at_once == 3


def test_searches_go_before_images_that_are_to_be_stored_but_not_for_ever(network) -> None:
    batcher = Batcher(network, Lanes(count=1))

    batcher.submit(image(0))
    until(lambda: network.passes)
    stored = [batcher.submit(image(value), storing=True) for value in (100, 101, 102)]
    asked = [batcher.submit(image(value)) for value in range(1, 9)]
    network.go.set()

    for each in stored + asked:
        result_of(each, lambda: None)
    assert network.passes == [[value] for value in (0, 1, 2, 100, 3, 4, 5, 101, 6, 7, 8, 102)]


def test_an_image_whose_caller_has_gone_is_left_out(network) -> None:
    batcher = Batcher(network, Lanes(count=1, images=2))

    first = batcher.submit(image(0))
    until(lambda: network.passes)
    gone, stays = batcher.submit(image(1)), batcher.submit(image(2))
    with pytest.raises(CancelledError):
        result_of(gone, nobody_left)
    gone.cancel()
    network.go.set()

    assert result_of(stays, lambda: None).tokens[0, 0] == 2
    assert result_of(first, lambda: None).waited >= 0
    assert network.passes == [[0], [2]]


def test_what_a_pass_raises_is_told_to_all_of_it_and_the_next_goes_on(network) -> None:
    batcher = Batcher(network, Lanes(count=1, images=2))
    network.go.set()

    with pytest.raises(ValueError, match="a white image"):
        result_of(batcher.submit(image(255)), lambda: None)
    assert result_of(batcher.submit(image(3)), lambda: None).tokens[0, 0] == 3


def test_a_pass_waits_for_company_when_it_is_told_to(network) -> None:
    network.go.set()
    batcher = Batcher(network, Lanes(count=1, images=2, window=20))

    first = batcher.submit(image(1))
    time.sleep(0.05)
    assert network.passes == []
    second = batcher.submit(image(2))  # ends the waiting: the pass is full

    for each in (first, second):
        result_of(each, lambda: None)
    assert network.passes == [[1, 2]]


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return load_extractor(image_size=96, device="cpu")


def test_the_bits_do_not_depend_on_the_batch_nor_on_the_lane(extractor) -> None:
    """Or an image would not find itself with a score of exactly 1, and a cached set would not be the one made anew."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3), dtype=np.uint8)
    alone = Batcher(extractor, Lanes(threads=1))
    expected = [result_of(alone.submit(each), lambda: None).tokens for each in pixels]

    for lanes in (Lanes(1, 1, 8, window=0.05), Lanes(2, 1, 3, window=0.01), Lanes(3, 1)):
        batcher = Batcher(extractor, lanes)
        waiting = [batcher.submit(each) for each in pixels]
        for future, tokens in zip(waiting, expected, strict=True):
            assert (result_of(future, lambda: None).tokens == tokens).all()


def test_the_threads_of_the_program_around_it_are_left_alone(extractor) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        batcher, seen = Batcher(extractor, Lanes(threads=1)), []
        result_of(batcher.submit(np.zeros((96, 96, 3), np.uint8)), lambda: None)
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert [torch.get_num_threads(), *seen] == [3, 3]
    finally:
        torch.set_num_threads(before)
