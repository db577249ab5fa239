"""An upsert survives what streams meet: broken ones are taken up again, full servers waited for, bad images named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

import setwise
from setwise._retry import Retries
from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import server_pb2

GONE = setwise.UnavailableError("the connection broke")
Answers = Iterator[pb.UpsertResponse]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of at most a millisecond."""
    monkeypatch.setattr(Retries.__init__, "__defaults__", (4, 0.001, 0.001))


def started(window: int = 1 << 20) -> pb.UpsertResponse:
    return pb.UpsertResponse(started=pb.UpsertStarted(window_bytes=window))


def acks(numbers: list[int], outcome: int = pb.OUTCOME_INSERTED, version: int = 1) -> pb.UpsertResponse:
    results = [pb.ImageResult(number=number, done=outcome) for number in numbers]
    return pb.UpsertResponse(acks=pb.UpsertAcks(collection_version=version, results=results))


def failed(number: int, code: int = 3, reason: str = "INVALID_IMAGE") -> pb.UpsertResponse:
    error = pb.ImageResult(number=number)
    error.error.code, error.error.message, error.error.reason = code, "no picture", reason
    return pb.UpsertResponse(acks=pb.UpsertAcks(collection_version=1, results=[error]))


class Server:
    """A transport whose streams answer as a script says: one function a stream, the last one for all that follow.

    streams: the ids that each stream received. begun: what each of them began with.
    """

    def __init__(self, *scripts: Callable[[Server, Iterator[pb.ImageInput]], Answers], message_bytes: int = 1 << 20):
        self.scripts = list(scripts)
        self.limits = server_pb2.Limits(max_message_bytes=message_bytes, max_image_bytes=1 << 19)
        self.streams: list[list[str]] = []
        self.begun: list[pb.UpsertStart] = []
        self.messages: list[int] = []
        self.cancelled = 0

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """Tell the limits."""
        assert method.endswith("GetServerInfo")
        return server_pb2.GetServerInfoResponse(limits=self.limits)

    def stream(self, method: str, requests: Iterator[Message], reply: type[Message]) -> Any:
        """Answer a stream."""
        assert method == "/setwise.v1.ImageService/Upsert"
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        received: list[str] = []
        self.streams.append(received)
        return _Stream(self, script(self, self._images(requests, received)))

    def _images(self, requests: Iterator[Any], received: list[str]) -> Iterator[pb.ImageInput]:
        self.begun.append(next(requests).start)
        for request in requests:
            self.messages.append(request.ByteSize())
            for image in request.data.images:
                received.append(image.id)
                yield image

    def close(self) -> None:
        """Nothing to close."""


class _Stream:
    def __init__(self, server: Server, answers: Answers) -> None:
        self.server, self.answers = server, answers

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Message:
        return next(self.answers)

    def cancel(self) -> None:
        self.server.cancelled += 1


def stores(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
    """Answers each image as it comes."""
    yield started()
    for number, _ in enumerate(images):
        yield acks([number])


def breaks_after(sent: int, answered: int) -> Callable[[Server, Iterator[pb.ImageInput]], Answers]:
    def script(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        for number, _ in enumerate(images, start=1):
            if number == sent:
                yield acks(list(range(answered)))
                raise GONE

    return script


def client(server: Server, **options: Any) -> setwise.Client:
    return setwise.Client("localhost:1", transport=server, **{"timeout": 5.0, **options})


def sets(number: int, tokens: int = 4) -> list[setwise.Item]:
    array = np.ones((tokens, 8), np.float16)
    return [setwise.Item(f"image-{place}", setwise.FeatureSet(array), {"place": place}) for place in range(number)]


NAMES = [f"image-{place}" for place in range(100)]


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


def faulty(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
    yield started()
    for number, image in enumerate(images):
        yield failed(number) if image.id in ("image-3", "image-5") else acks([number])


def test_the_first_error_is_raised_once_what_was_sent_is_answered() -> None:
    with pytest.raises(setwise.InvalidArgumentError, match="image 'image-3': no picture") as caught:
        client(Server(faulty)).upsert(sets(10))
    assert caught.value.reason == "INVALID_IMAGE"
    assert caught.value.details == {"id": "image-3", "number": "3"}


def test_an_endless_source_is_read_no_further_after_an_error() -> None:
    item = sets(1)[0]
    read = count()

    def endless() -> Iterator[setwise.Item]:
        for number in read:
            yield setwise.Item(f"image-{number}", item.image)

    with pytest.raises(setwise.InvalidArgumentError):
        client(Server(faulty)).upsert(endless())
    assert next(read) < 20_000


def test_errors_are_collected(tmp_path: Path) -> None:
    images = [*sets(6), tmp_path / "missing.jpg", ("x", 3), ("", b"x"), setwise.Item("y", b"x", {"z": {}}), 7]
    report = client(Server(faulty)).upsert(images, on_error="collect")
    assert (report.inserted, report.failed) == (4, 7)
    assert {failure.number for failure in report.errors} == {3, 5, 6, 7, 8, 9, 10}
    missing = next(failure for failure in report.errors if failure.number == 6)
    assert (missing.id, type(missing.error)) == ((tmp_path / "missing.jpg").as_posix(), setwise.NotFoundError)
    assert "setwise.Id" not in missing.error.message
    assert report.to_dict()["errors"][0]["error"]["code"]


def test_errors_are_handed_to_a_function() -> None:
    failures: list[setwise.Failure] = []
    report = client(Server(faulty)).upsert(sets(8), on_error=failures.append)
    assert (report.inserted, report.failed, report.errors) == (6, 2, ())
    assert [failure.id for failure in failures] == ["image-3", "image-5"]


def test_what_a_function_raises_comes_through_and_ends_the_stream() -> None:
    def stop(failure: setwise.Failure) -> None:
        raise KeyError(failure.id)

    server = Server(faulty)
    with pytest.raises(KeyError, match="image-3"):
        client(server).upsert(sets(50), on_error=stop)
    assert server.cancelled


def test_what_the_source_raises_comes_through_and_ends_the_stream() -> None:
    def broken() -> Iterator[setwise.Item]:
        yield from sets(3)
        raise OSError("the disk is gone")

    server = Server(stores)
    with pytest.raises(OSError, match="the disk is gone"):
        client(server).upsert(broken())
    assert server.cancelled


def test_an_insertion_that_may_have_met_itself_says_so() -> None:
    def known(server: Server, images: Iterator[pb.ImageInput]) -> Answers:
        yield started()
        for number, _ in enumerate(images):
            yield failed(number, 6, "ALREADY_EXISTS")

    server = Server(breaks_after(sent=2, answered=0), known)
    report = client(server).upsert(sets(2), mode="insert", on_error="collect")
    assert [failure.error.details for failure in report.errors] == [{"sent_again": "true"}] * 2
    assert all(isinstance(failure.error, setwise.ConflictError) for failure in report.errors)
    assert "may be this very one" in report.errors[0].error.message


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


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"images": "photo.jpg"}, "images"),
        ({"images": {"a": b"x"}}, "images"),
        ({"images": 3}, "images"),
        ({"images": [], "mode": "replace"}, "mode"),
        ({"images": [], "on_error": "ignore"}, "on_error"),
        ({"images": [], "progress": 3}, "progress"),
    ],
)
def test_wrong_arguments_are_told_at_once(options: dict[str, Any], field: str) -> None:
    server = Server(stores)
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        client(server).upsert(**options)
    assert (caught.value.field, server.streams) == (field, [])


def test_nothing_to_store_is_no_error() -> None:
    assert client(Server(stores)).upsert([]).summary().startswith("nothing to do")


class AsyncServer:
    """The same for asyncio."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Server.call."""
        return self.server.call(method, request, reply, timeout)

    def blocking(self) -> Server:
        """The server."""
        return self.server

    async def close(self) -> None:
        """Nothing to close."""


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
