"""An upsert survives what streams meet: broken ones are taken up again, full servers waited for, bad images named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from upsert_server import NAMES, Answers, AsyncServer, Server, acks, breaks_after, client, failed, sets, started, stores

import setwise
from setwise._retry import Retries
from setwise_proto.v1 import images_pb2 as pb


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of at most a millisecond."""
    monkeypatch.setattr(Retries.__init__, "__defaults__", (4, 0.001, 0.001))


def test_images_travel_in_order_with_their_metadata() -> None:
    seen: list[pb.ImageInput] = []

    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        for number, image in enumerate(images):
            seen.append(image)
            yield acks([number], [pb.OUTCOME_INSERTED, pb.OUTCOME_REPLACED, pb.OUTCOME_UNCHANGED][number % 3], number)

    server = Server(script)
    report = client(server, collection="photos").upsert(iter(sets(6)), mode="insert")
    assert (report.inserted, report.replaced, report.unchanged, report.failed, report.version) == (2, 2, 2, 0, 5)
    assert report.total == 6 and report.summary().startswith("2 inserted, 2 replaced, 2 unchanged in ")
    assert [(image.id, image.metadata["place"].int_value) for image in seen] == list(zip(NAMES, range(6), strict=False))
    assert seen[0].features.tokens.shape == [4, 8]
    assert server.begun == [pb.UpsertStart(collection="photos", mode=pb.UPSERT_MODE_INSERT)]


def test_paths_pairs_and_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: list[Path]) -> None:
    monkeypatch.chdir(photos[0].parent)
    data = photos[0].read_bytes()
    pixels = np.zeros((3, 3, 3), np.uint8)
    images = [
        Path(photos[0].name),
        f"./{photos[1].name}",
        ("a", data),
        (setwise.Id("b"), pixels),
        setwise.Item("c", data),
    ]
    server = Server(stores)
    client(server).upsert(images)
    assert server.streams == [[photos[0].name, photos[1].name, "a", "b", "c"]]


def test_small_sets_travel_together_and_no_message_is_too_large() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        for number, _ in enumerate(images):
            time.sleep(0.01 if number < 3 else 0)
            yield acks([number])

    server = Server(script, message_bytes=3000)
    client(server).upsert(sets(100))
    assert len(server.messages) < 60
    assert max(server.messages) <= 3000


def test_no_more_is_unanswered_than_the_window_holds() -> None:
    size = 120 * 16 * 2
    most = 0

    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        nonlocal most
        yield started(window=5 * size)
        unanswered: list[int] = []
        for number, _ in enumerate(images):
            unanswered.append(number)
            most = max(most, len(unanswered))
            if len(unanswered) == 4:
                yield acks(unanswered)
                unanswered = []
        yield acks(unanswered)

    report = client(Server(script)).upsert(sets(50, tokens=240))
    assert (report.inserted, most) == (50, 4)


def test_an_image_larger_than_the_window_goes_alone() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started(window=10)
        for number, _ in enumerate(images):
            yield acks([number])

    assert client(Server(script)).upsert(sets(3)).inserted == 3


def test_a_broken_stream_is_taken_up_where_answers_ended() -> None:
    server = Server(breaks_after(sent=10, answered=4), stores)
    report = client(server).upsert(sets(30))
    assert report.inserted == 30
    assert server.streams[0][:10] == NAMES[:10]
    assert server.streams[1] == NAMES[4:30]


def test_attempts_are_counted_anew_after_an_answer() -> None:
    server = Server(*[breaks_after(sent=1, answered=1)] * 9, stores)
    assert client(server, retries=1).upsert(sets(10)).inserted == 10
    assert len(server.streams) == 10


def test_attempts_end() -> None:
    server = Server(breaks_after(sent=1, answered=0))
    with pytest.raises(setwise.UnavailableError, match="the connection broke"):
        client(server, retries=2).upsert(sets(3))
    assert len(server.streams) == 3


def test_a_stream_that_ends_early_is_taken_up_too() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        next(images)
        yield acks([0])

    server = Server(script, stores)
    assert client(server).upsert(sets(5)).inserted == 5
    assert server.streams[1] == NAMES[1:5]


def test_images_that_another_writer_kept_out_are_sent_again_in_their_order() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        for number, _ in enumerate(images):
            yield failed(number, code=10, reason="LOCKED") if number == 2 else acks([number])

    server = Server(script, stores)
    assert client(server).upsert(sets(6)).inserted == 6
    assert server.streams[1] == NAMES[2:6]


def test_a_refused_stream_is_told_as_it_is() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        raise setwise.FailedPreconditionError("it waits for its encoder")
        yield

    with pytest.raises(setwise.FailedPreconditionError, match="waits for its encoder"):
        client(Server(script)).upsert(sets(3))


def test_a_server_that_stops_answers_what_it_has_and_gets_the_rest_later() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        next(images), next(images)
        yield pb.UpsertResponse(shutting_down=pb.UpsertShuttingDown())
        yield acks([0, 1])

    server = Server(script, stores)
    assert client(server).upsert(sets(8)).inserted == 8
    assert server.streams[1] == NAMES[2:8]


def test_advice_to_hold_back_is_kept() -> None:
    times: list[float] = []

    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        for number, _ in enumerate(images):
            times.append(time.monotonic())
            if number == 0:
                yield pb.UpsertResponse(backoff=pb.UpsertBackoff(seconds=0.2, window_bytes=1))
            yield acks([number])

    def slowly() -> Iterator[setwise.Item]:
        for item in sets(3):
            yield item
            time.sleep(0.02)

    assert client(Server(script)).upsert(slowly()).inserted == 3
    assert times[1] - times[0] >= 0.15


def test_a_silent_server_is_not_waited_for_beyond_the_timeout() -> None:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        list(images)
        time.sleep(1.0)

    begun = time.monotonic()
    with pytest.raises(setwise.DeadlineExceededError, match="timeout="):
        client(Server(script), timeout=0.2).upsert(sets(2))
    assert 0.2 <= time.monotonic() - begun < 0.9


def test_a_slow_source_is_no_silent_server() -> None:
    def slowly() -> Iterator[setwise.Item]:
        for item in sets(3):
            time.sleep(0.15)
            yield item

    assert client(Server(stores), timeout=0.1).upsert(slowly()).inserted == 3


def test_progress_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[setwise.Progress] = []
    client(Server(stores)).upsert(sets(5), progress=steps.append)
    assert [step.done for step in steps] == [1, 2, 3, 4, 5]
    assert (steps[-1].total, steps[-1].failed) == (5, 0)
    assert steps[-1].bytes > 5 * 64
    client(Server(stores)).upsert(sets(5), progress=True)
    assert "5 of 5 images, " in capsys.readouterr().err


def test_nothing_to_store_is_no_error() -> None:
    assert client(Server(stores)).upsert([]).summary().startswith("nothing to do")


def test_a_long_id_is_named_by_its_beginning() -> None:
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        client(Server(stores)).upsert([("x" * 1001, b"")])
    assert caught.value.details["id"] == "x" * 1001
    assert len(caught.value.message) < 300


def test_asyncio_does_the_same() -> None:
    server = Server(breaks_after(sent=10, answered=4), stores)

    async def main() -> list[setwise.UpsertReport]:
        async with setwise.AsyncClient("localhost:1", transport=AsyncServer(server), timeout=5) as client:
            first = await client.upsert(sets(30))
            return [first, *await asyncio.gather(*(client.upsert(sets(20)) for _ in range(12)))]

    assert [report.inserted for report in asyncio.run(main())] == [30] + [20] * 12


def test_a_cancelled_task_ends_its_stream() -> None:
    server = Server(stores)

    def endless() -> Iterator[setwise.Item]:
        while True:
            yield from sets(10)

    async def main() -> None:
        async with setwise.AsyncClient("localhost:1", transport=AsyncServer(server), timeout=5) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.upsert(endless()), 0.1)

    asyncio.run(main())
    assert server.cancelled


def test_an_async_iterable_is_read_on_the_loop_and_closed() -> None:
    server, closed = Server(stores), []

    async def camera(most: int) -> AsyncIterator[setwise.Item]:
        try:
            for item in sets(most):
                await asyncio.sleep(0)
                yield item
        finally:
            closed.append(most)

    async def main() -> setwise.UpsertReport:
        async with setwise.AsyncClient("localhost:1", transport=AsyncServer(server), timeout=5) as client:
            return await client.upsert(camera(25))

    assert asyncio.run(main()).inserted == 25
    assert closed == [25]


def test_a_source_that_never_comes_does_not_hold_up_the_end_of_its_task() -> None:
    server, closed = Server(stores), []

    async def silent() -> AsyncIterator[setwise.Item]:
        try:
            for item in sets(3):
                yield item
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def main() -> None:
        async with setwise.AsyncClient("localhost:1", transport=AsyncServer(server), timeout=5) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.upsert(silent()), 0.2)

    asyncio.run(main())
    assert closed == [True]


def test_an_error_of_an_async_source_comes_through() -> None:
    async def broken() -> AsyncIterator[setwise.Item]:
        for item in sets(3):
            yield item
        raise OSError("the camera is gone")

    async def main() -> None:
        async with setwise.AsyncClient("localhost:1", transport=AsyncServer(Server(stores)), timeout=5) as client:
            with pytest.raises(OSError, match="camera"):
                await client.upsert(broken())

    asyncio.run(main())
