"""A server of upsert streams that does what a test tells it to, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from google.protobuf.message import Message

import setwise
from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import server_pb2

GONE = setwise.UnavailableError("the connection broke")
Answers = Iterator[pb.UpsertResponse]


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
