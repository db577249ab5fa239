"""The Upsert stream over a real server: acknowledged images are there, whatever else happens."""

from __future__ import annotations

import queue
import threading
import time

import grpc
import pytest

from setwise_engine.collection import Collection
from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits, ServerSettings


@pytest.fixture
def stubs(serving, own_path):
    with serving([own_path], ServerSettings(port=0, device="cpu", commit_ms=50)) as stubs:
        yield stubs


def start(mode: int = pb.UPSERT_MODE_UPSERT, collection: str = "") -> pb.UpsertRequest:
    return pb.UpsertRequest(start=pb.UpsertStart(collection=collection, mode=mode))


def data(*images: pb.ImageInput) -> pb.UpsertRequest:
    return pb.UpsertRequest(data=pb.UpsertData(images=images))


class Stream:
    """An open stream: send messages, take replies."""

    def __init__(self, stubs, *messages: pb.UpsertRequest) -> None:
        self._requests: queue.Queue = queue.Queue()
        self.call = stubs.images.Upsert(iter(self._requests.get, None))
        self.send(*messages)

    def send(self, *messages: pb.UpsertRequest) -> None:
        for message in messages:
            self._requests.put(message)

    def end(self) -> None:
        self._requests.put(None)

    def acks(self, count: int) -> list[pb.ImageResult]:
        """The next results, at least so many."""
        results: list[pb.ImageResult] = []
        while len(results) < count:
            results += next(self.call).acks.results
        return results

    def rest(self) -> list[pb.UpsertResponse]:
        """Half-close, and everything that is still answered."""
        self.end()
        return list(self.call)


def results_of(replies: list[pb.UpsertResponse]) -> list[pb.ImageResult]:
    return [result for reply in replies for result in reply.acks.results]


def upserted(stubs, *images: pb.ImageInput, mode: int = pb.UPSERT_MODE_UPSERT) -> list[pb.ImageResult]:
    return results_of(Stream(stubs, start(mode), data(*images)).rest())


def ids(stubs) -> list[str]:
    return [image.id for image in stubs.images.ListImages(pb.ListImagesRequest(page_size=1000)).images]


def test_images_are_searched_from_the_moment_they_are_acknowledged(stubs, make_item) -> None:
    stream = Stream(stubs, start())
    started = next(stream.call).started
    assert started.window_bytes >= Limits().max_message_bytes
    for seed in range(3):
        stream.send(data(make_item(f"new-{seed}", seed)))
        (result,) = stream.acks(1)
        assert (result.number, result.id, result.done) == (seed, f"new-{seed}", pb.OUTCOME_INSERTED)
        query = types.Query(features=make_item("", seed).features)
        hit = stubs.search.Search(search_pb2.SearchRequest(query=query)).hits[0]
        assert (hit.id, round(hit.score, 6)) == (f"new-{seed}", 1)
    assert not stream.rest()
    assert stream.call.code() is grpc.StatusCode.OK


def test_every_image_of_a_half_closed_stream_is_answered_in_order(stubs, make_item) -> None:
    images = [make_item(f"{number:03}", number) for number in range(300)]
    stream = Stream(stubs, start(), *(data(*images[first : first + 7]) for first in range(0, 300, 7)))
    replies = stream.rest()
    assert [result.number for result in results_of(replies)] == list(range(300))
    versions = [reply.acks.collection_version for reply in replies if reply.HasField("acks")]
    assert versions == sorted(versions)
    assert ids(stubs) == [f"{number:03}" for number in range(300)]


def test_images_of_one_window_share_a_commit(stubs, make_item) -> None:
    before = stubs.images.CountImages(pb.CountImagesRequest()).collection_version
    upserted(stubs, *(make_item(str(number), number) for number in range(200)))
    after = stubs.images.CountImages(pb.CountImagesRequest())
    assert after.count == 200
    assert after.collection_version - before <= 4


def test_the_same_image_again_changes_nothing_and_new_metadata_no_features(stubs, make_item) -> None:
    (first,) = upserted(stubs, make_item("a", 1, year=1))
    (again,) = upserted(stubs, make_item("a", 1, year=1))
    (other,) = upserted(stubs, make_item("a", 1, year=2))
    (new,) = upserted(stubs, make_item("a", 2, year=2))
    outcomes = [pb.OUTCOME_INSERTED, pb.OUTCOME_UNCHANGED, pb.OUTCOME_UPDATED, pb.OUTCOME_REPLACED]
    assert [result.done for result in (first, again, other, new)] == outcomes
    image = stubs.images.GetImage(pb.GetImageRequest(id="a")).image
    assert image.metadata["year"].int_value == 2


def test_one_id_many_times_in_one_stream_ends_with_the_last(stubs, make_item) -> None:
    results = upserted(stubs, *(make_item("a", number, turn=number) for number in range(1000)))
    assert [result.number for result in results] == list(range(1000))
    assert ids(stubs) == ["a"]
    assert stubs.images.GetImage(pb.GetImageRequest(id="a")).image.metadata["turn"].int_value == 999


@pytest.mark.parametrize(
    ("mode", "known", "unknown"),
    [(pb.UPSERT_MODE_INSERT, "ALREADY_EXISTS", ""), (pb.UPSERT_MODE_UPDATE, "", "NOT_FOUND")],
)
def test_a_mode_that_does_not_fit_is_that_images_error(stubs, make_item, mode: int, known: str, unknown: str) -> None:
    upserted(stubs, make_item("known", 1))
    results = upserted(stubs, make_item("known", 2), make_item("new", 3), mode=mode)
    assert {result.id: result.error.reason for result in results} == {"known": known, "new": unknown}


def _faults(make_item) -> dict[str, tuple[pb.ImageInput, str, str]]:
    """Bad images by name, with the field and the reason that they are answered with."""
    cut = make_item("x")
    cut.features.tokens.data = cut.features.tokens.data[:-1]
    foreign = make_item("x")
    foreign.features.stage, foreign.features.encoder = types.STAGE_ENCODED, "another"
    nested = make_item("x")
    inner = types.Value(list_value=types.ListValue(values=[types.Value(int_value=1)]))
    nested.metadata["a"].list_value.values.append(inner)
    large = make_item("x")
    large.metadata["a"].string_value = "x" * (1 << 20)
    return {
        "no content": (pb.ImageInput(id="x"), "image", "INVALID_INPUT"),
        "no id": (make_item(""), "id", "INVALID_INPUT"),
        "a long id": (make_item("x" * 1001), "id", "INVALID_INPUT"),
        "data cut short": (cut, "features.tokens.data", "INVALID_FEATURES"),
        "another encoder": (foreign, "features.encoder", "INCOMPATIBLE"),
        "a nested list": (nested, "metadata", "INVALID_INPUT"),
        "large metadata": (large, "metadata", "INVALID_INPUT"),
        "a picture for ready-made sets": (pb.ImageInput(id="x", image=b"\xff\xd8\xff"), "image", "INCOMPATIBLE"),
    }


def test_a_bad_image_is_answered_with_its_fault_and_the_others_are_stored(stubs, make_item) -> None:
    faults = _faults(make_item)
    images = [image for bad, _, _ in faults.values() for image in (make_item(f"good-{len(bad.id)}"), bad)]
    results = sorted(upserted(stubs, *images), key=lambda result: result.number)
    for (name, (_, field, reason)), result in zip(faults.items(), results[1::2], strict=True):
        assert (result.error.field, result.error.reason) == (field, reason), name
        assert result.error.message
    assert all(result.done for result in results[::2])


def test_ids_of_every_script_come_back_as_they_went(stubs, make_item) -> None:
    names = ["a", "é", "日本語", "\U0001f600", "ع" * 1000, " ", "a/b\n"]
    results = upserted(stubs, *(make_item(name, seed) for seed, name in enumerate(names)))
    assert [result.id for result in results] == names
    assert sorted(ids(stubs)) == sorted(names)


def test_what_is_no_start_is_refused(stubs, make_item) -> None:
    for messages in ([data(make_item("a"))], [pb.UpsertRequest()], []):
        stream = Stream(stubs, *messages)
        with pytest.raises(grpc.RpcError, match="begins with its start") as caught:
            stream.rest()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_second_start_ends_the_stream_after_what_came_before_it_was_answered(stubs, make_item) -> None:
    stream = Stream(stubs, start(), data(make_item("a")), start())
    assert next(stream.call).HasField("started")
    assert [result.id for result in stream.acks(1)] == ["a"]
    with pytest.raises(grpc.RpcError, match="images only"):
        next(stream.call)
    stream.end()
    assert ids(stubs) == ["a"]


def test_an_unknown_collection_or_mode_ends_the_stream_at_once(stubs) -> None:
    for message, field in ((start(collection="nope"), "start.collection"), (start(mode=17), "start.mode")):
        stream = Stream(stubs, message)
        with pytest.raises(grpc.RpcError) as caught:
            stream.rest()
        assert field in str(dict(caught.value.trailing_metadata()))


def test_many_streams_and_calls_write_side_by_side(stubs, make_item) -> None:
    def stream(name: str) -> None:
        upserted(stubs, *(make_item(f"{name}-{number}", number) for number in range(50)))

    def call(name: str) -> None:
        for number in range(5):
            stubs.images.UpsertImages(pb.UpsertImagesRequest(images=[make_item(f"{name}-{number}", number)]))

    threads = [threading.Thread(target=stream, args=(f"s{n}",)) for n in range(6)]
    threads += [threading.Thread(target=call, args=(f"c{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"s{n}-{i}" for n in range(6) for i in range(50)} | {f"c{n}-{i}" for n in range(4) for i in range(5)}
    assert set(ids(stubs)) == expected


def test_a_caller_who_vanishes_leaves_whole_images_only(stubs, make_item, own_path) -> None:
    for cut in range(5):
        stream = Stream(stubs, start(), *(data(make_item(f"{cut}-{n}", n)) for n in range(40)))
        next(stream.call)
        if cut:
            stream.acks(cut * 5)
        stream.call.cancel()
        stream.end()
    assert all(result.done for result in upserted(stubs, make_item("after", 1)))
    stubs.stop()
    with Collection.open(own_path, read_only=True) as collection:
        assert collection.verify().ok
        with collection.snapshot() as snapshot:
            assert "after" in snapshot.ids(snapshot.live_keys().tolist())


def test_a_server_that_stops_answers_what_it_has_received_and_says_so(stubs, make_item, own_path) -> None:
    stream = Stream(stubs, start())
    next(stream.call)
    stream.send(data(*(make_item(str(number), number) for number in range(20))))
    stream.acks(20)
    stream.send(data(*(make_item(f"late-{number}", number) for number in range(20))))
    stopping = threading.Timer(0.02, stubs.stop)
    stopping.start()
    replies = list(stream.call)
    stopping.join()
    assert any(reply.HasField("shutting_down") for reply in replies)
    acknowledged = {result.id for result in results_of(replies) if result.done}
    with Collection.open(own_path, read_only=True) as collection, collection.snapshot() as snapshot:
        stored = set(snapshot.ids(snapshot.live_keys().tolist()))
    assert acknowledged <= stored
    stream.end()


def test_photos_are_decoded_encoded_and_given_thumbnails(serving, photos_path, photos, tmp_path) -> None:
    with Collection.open(photos_path, read_only=True) as known:
        Collection.create(tmp_path / "new.setwise", known.settings, known.encoder).close()
    with serving([tmp_path / "new.setwise"]) as stubs:
        images = [pb.ImageInput(id=photo.name, image=photo.read_bytes()) for photo in photos[:6]]
        images.insert(2, pb.ImageInput(id="broken", image=b"\xff\xd8\xff no jpeg"))
        results = sorted(upserted(stubs, *images), key=lambda result: result.number)
        assert results[2].error.reason == "INVALID_IMAGE"
        assert all(result.done == pb.OUTCOME_INSERTED for result in results[:2] + results[3:])
        again = upserted(stubs, images[0])
        assert again[0].done == pb.OUTCOME_UNCHANGED
        stored = stubs.images.GetImage(pb.GetImageRequest(id=photos[0].name, include_thumbnail=True)).image
        assert stored.thumbnail.startswith(b"\xff\xd8\xff")
        query = types.Query(image=photos[3].read_bytes())
        assert stubs.search.Search(search_pb2.SearchRequest(query=query)).hits[0].id == photos[3].name


def test_those_who_send_more_than_may_wait_are_told_to_slow_down_and_lose_nothing(
    serving, own_path, make_item, monkeypatch
) -> None:
    opened, write = threading.Event(), Collection.write
    monkeypatch.setattr(Collection, "write", lambda *args: (opened.wait(20) if args[1] else None, write(*args))[1])
    limits = Limits(max_message_bytes=20_000, max_image_bytes=10_000)
    settings = ServerSettings(port=0, device="cpu", commit_bytes=20_000, limits=limits)
    with serving([own_path], settings) as stubs:
        streams = [
            Stream(stubs, start(), *(data(*(make_item(f"{s}-{m}-{n}", n) for n in range(30))) for m in range(4)))
            for s in range(6)
        ]
        told: queue.Queue = queue.Queue()
        for stream in streams:
            threading.Thread(target=lambda stream=stream: told.put(list(stream.call))).start()
            stream.end()
        time.sleep(0.5)
        opened.set()
        replies = [reply for _ in streams for reply in told.get(timeout=20)]
        results = results_of(replies)
        assert len(results) == 6 * 4 * 30
        assert all(result.done for result in results)
        assert stubs.images.CountImages(pb.CountImagesRequest()).count == 6 * 4 * 30
        advice = [reply.backoff for reply in replies if reply.HasField("backoff")]
        assert advice
        assert all(each.seconds > 0 and each.window_bytes > 0 for each in advice)


def test_a_read_only_collection_refuses_the_stream(serving, own_path, make_item) -> None:
    with serving([own_path], ServerSettings(port=0, device="cpu", read_only=True)) as stubs:
        with pytest.raises(grpc.RpcError) as caught:
            Stream(stubs, start()).rest()
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == "this server was started with --read-only; ask another one"


def test_where_no_thread_can_be_started_the_stream_fails_and_the_next_one_does_not(
    stubs, make_item, monkeypatch
) -> None:
    begin = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "setwise-acks":
            raise RuntimeError("can't start new thread")
        begin(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(grpc.RpcError) as caught:
            Stream(stubs, start()).rest()
        assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert upserted(stubs, make_item("a"))[0].done == pb.OUTCOME_INSERTED
    assert not any(thread.name == "setwise-upsert" for thread in threading.enumerate())
