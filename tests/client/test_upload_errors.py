"""Images that fail in an upsert: raised, collected, or handed to a function; the others are stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from upsert_server import Answers, Server, acks, breaks_after, client, failed, sets, started, stores

import setwise
from setwise._retry import Retries
from setwise_proto.v1 import images_pb2 as pb


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of at most a millisecond."""
    monkeypatch.setattr(Retries.__init__, "__defaults__", (4, 0.001, 0.001))


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
