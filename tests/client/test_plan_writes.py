"""Many changes travel in few calls, as large as the server takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

import setwise
from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import server_pb2


def server(max_changes: int = 3, max_message_bytes: int = 1 << 20) -> Callable[[Message], Message]:
    """Deletes whatever has an even number in its id, and changes what has not "absent" in it."""
    limits = server_pb2.Limits(max_message_bytes=max_message_bytes, max_changes=max_changes)

    def answer(request: Message) -> Message:
        match request:
            case server_pb2.GetServerInfoRequest():
                return server_pb2.GetServerInfoResponse(limits=limits)
            case pb.DeleteImagesRequest():
                missing = [id for id in request.ids if int(id[-1]) % 2]
                return pb.DeleteImagesResponse(deleted=len(request.ids) - len(missing), missing_ids=missing)
            case pb.UpdateMetadataRequest():
                assert request.ByteSize() <= max_message_bytes
                results = [pb.ImageResult(number=i, id=change.id) for i, change in enumerate(request.changes)]
                for result in results:
                    if "absent" in result.id:
                        result.error.code, result.error.message = 5, "not here"
                    else:
                        result.done = pb.OUTCOME_UPDATED
                return pb.UpdateMetadataResponse(results=results, collection_version=7)
        raise AssertionError(request)

    return answer


def sizes(transport: Any, method: str, field: str) -> list[int]:
    return [len(getattr(request, field)) for name, request, _ in transport.calls if name == method]


def test_ids_travel_in_parts(script: Any) -> None:
    transport = script(server(max_changes=3))
    report = setwise.Client("localhost:1", transport=transport).delete(f"id-{number}" for number in range(8))
    assert sizes(transport, "DeleteImages", "ids") == [3, 3, 2]
    assert (report.deleted, report.missing) == (4, ("id-1", "id-3", "id-5", "id-7"))


def test_changes_travel_in_parts_of_bytes(script: Any) -> None:
    transport = script(server(max_changes=100, max_message_bytes=5000))
    client = setwise.Client("localhost:1", transport=transport)
    report = client.update_many({f"id-{number}": {"text": "x" * 1000} for number in range(8)})
    assert (report.updated, report.version) == (8, 7)
    assert sum(sizes(transport, "UpdateMetadata", "changes")) == 8
    assert len(sizes(transport, "UpdateMetadata", "changes")) >= 3


def test_failed_changes_are_raised_or_collected(script: Any) -> None:
    client = setwise.Client("localhost:1", transport=script(server(max_changes=2)))
    changes = [(name, {"a": 1}) for name in ("a", "b", "c", "absent", "d", "absent too")]
    with pytest.raises(setwise.NotFoundError, match="image 'absent': not here"):
        client.update_many(changes)
    report = client.update_many(changes, on_error="collect")
    assert [(failure.number, failure.id) for failure in report.errors] == [(3, "absent"), (5, "absent too")]
    with pytest.raises(setwise.NotFoundError, match="not here"):
        client.update("absent", {"a": 1})


def test_a_lost_answer_is_asked_for_again(script: Any) -> None:
    info = server_pb2.GetServerInfoResponse()
    transport = script(info, setwise.UnavailableError("lost"), pb.DeleteImagesResponse(deleted=0))
    client = setwise.Client("localhost:1", transport=transport)
    assert client.delete(where="a == 1").deleted == 0
    assert [name for name, _, _ in transport.calls] == ["GetServerInfo", "DeleteImages", "DeleteImages"]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.delete(), "ids"),
        (lambda c: c.delete(["a"], where="a == 1"), "ids"),
        (lambda c: c.delete([3]), "id"),
        (lambda c: c.delete(where=3), "where"),
        (lambda c: c.update("a", [1]), "metadata"),
        (lambda c: c.update("a", {"b": 1}, replace=True, remove=["c"]), "remove"),
        (lambda c: c.update("a", {}, remove=[1]), "remove"),
        (lambda c: c.update_many(["a"]), "changes"),
        (lambda c: c.count(where="a =="), "where"),
        (lambda c: c.list(where=setwise.F("a")), "where"),
        (lambda c: c.search(setwise.Id("a"), group_by=""), "group_by"),
        (lambda c: c.search(setwise.Id("a"), group_size=2), "group_size"),
        (lambda c: c.search(setwise.Id("a"), group_by="a", group_size=0), "group_size"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_sent(
    script: Any, call: Callable[[setwise.Client], Any], field: str
) -> None:
    transport = script(setwise.InternalError("asked"))
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        call(setwise.Client("localhost:1", transport=transport))
    assert (caught.value.field, transport.calls) == (field, [])
