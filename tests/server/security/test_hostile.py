"""Texts of callers' reach no file, no network, no process and no SQL, whatever they say and wherever they stand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from setwise_engine.collection import Collection
from setwise_proto.v1 import filters_pb2 as filters
from setwise_proto.v1 import images_pb2 as images
from setwise_proto.v1 import search_pb2, types_pb2
from setwise_server import ServerSettings
from setwise_server._servicer import PATHS

MARK = "zzq"
HOSTILE = [
    f"../{MARK}",
    f"file:/{MARK}/" + "a" * 5000,
    f"http://127.0.0.1:9/{MARK}",
    f"hf-hub:{MARK}/model",
    f"""{MARK}'"); DROP TABLE images; SELECT load_extension('x') -- $(touch /tmp/{MARK}) `id` | sh\n%s%n{{0}}""",
    f"{MARK}\x00/x",
]
WATCHED = (
    "open",
    "os.",
    "shutil.",
    "socket.",
    "subprocess.",
    "urllib.",
    "sqlite3.",
    "pickle.",
    "import",
    "exec",
    "ctypes.",
)
DEPTH = 3
USUAL = {"collection": "own", "name": "new", "dims": 4, "features": True}
ODD = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)

_seen: list[str] | None = None


def _hook(event: str, words: tuple[Any, ...]) -> None:
    if _seen is not None and event.startswith(WATCHED) and any(MARK in str(word) for word in words):
        _seen.append(f"{event} {words!r}")


@contextmanager
def watching() -> Iterator[list[str]]:
    """What Python tells of itself inside that names MARK: files, folders, sockets, processes, databases, imports."""
    global _seen  # noqa: PLW0603  # hooks of the interpreter stay for ever; this one sleeps outside
    if not hasattr(sys, "_setwise_hook"):
        sys.addaudithook(_hook)
        sys._setwise_hook = True  # type: ignore[attr-defined]
    _seen = []
    try:
        yield _seen
    finally:
        _seen = None


@pytest.fixture(scope="module")
def folder(sets_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one collection, `own`, alone in another folder."""
    folder = tmp_path_factory.mktemp("hostile") / "root"
    folder.mkdir()
    with Collection.open(sets_path, read_only=True) as sets:
        Collection.create(folder / "own.setwise", sets.settings, sets.encoder).close()
    return folder


@pytest.fixture(scope="module")
def stubs(serving, folder: Path) -> Iterator[Any]:
    """A server of that folder, whom everybody may ask for everything."""
    with serving([], ServerSettings(port=0, device="cpu", root=folder, commit_ms=1)) as stubs:
        yield stubs


def request_of(path: str) -> Descriptor:
    return descriptor_pool.Default().FindMethodByName(path[1:].replace("/", ".")).input_type


def with_text(kind: Descriptor, text: str, depth: int = DEPTH) -> Iterator[tuple[str, Message]]:
    """Messages of this kind, one for each text field of it and of those within; the rest is usual or not set."""
    for field in kind.fields:
        for path, fill in _fills(field, text, depth):
            message = GetMessageClass(kind)()
            for name, value in USUAL.items():
                if _plain(kind, name) and field.name not in (name, "model"):
                    setattr(message, name, value)  # so that the request is looked at further
            fill(message)
            yield path, message


def _plain(kind: Descriptor, name: str) -> bool:
    return name in kind.fields_by_name and kind.fields_by_name[name].message_type is None


def _fills(field: FieldDescriptor, text: str, depth: int) -> Iterator[tuple[str, Any]]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        yield f"{field.name}[]", lambda message: _enter(getattr(message, field.name), text)
    elif field.type == FieldDescriptor.TYPE_STRING:
        yield field.name, lambda message: _put(message, field, text)
    elif field.message_type is not None and depth:
        for path, inner in with_text(field.message_type, text, depth - 1):
            yield f"{field.name}.{path}", lambda message, inner=inner: _put(message, field, inner)


def _put(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    elif isinstance(value, Message):
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _enter(entries: Any, text: str) -> None:
    entries[text].SetInParent()


def test_what_is_watched_would_be_seen(tmp_path: Path) -> None:
    with watching() as seen:
        (tmp_path / MARK).write_text("")
        (tmp_path / MARK).unlink()
        subprocess.run(["true", MARK], check=False)
    assert {line.partition(" ")[0] for line in seen} >= {"open", "os.remove", "subprocess.Popen"}


@pytest.mark.parametrize("path", sorted(PATHS))
def test_hostile_texts_in_every_field_of_every_request_touch_nothing(stubs, folder: Path, path: str) -> None:
    before = set(folder.parent.rglob("*"))
    ask = stubs.channel.stream_stream(path)
    with watching() as seen:
        for text in HOSTILE:
            for where, request in with_text(request_of(path), text):
                code = _end(ask(iter([request.SerializeToString()]), timeout=30))
                assert code not in ODD, f"{path} {where}={text!r}"
    assert seen == []
    made = set(folder.parent.rglob("*")) - before
    assert not [each for each in made if MARK in each.name or folder / "own.setwise" not in each.parents]


def _end(call: Any) -> grpc.StatusCode:
    try:
        list(call)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_hostile_ids_and_metadata_are_kept_and_found_as_they_are(stubs, make_item) -> None:
    """Names and values of metadata, ids and filters hold quotes, comments and statements, and mean only themselves."""
    texts = [text for text in HOSTILE if "\x00" not in text and len(text) < 1000]
    sent = [make_item(f"{number} {text}", number, **{text: text}) for number, text in enumerate(texts)]
    results = stubs.images.UpsertImages(images.UpsertImagesRequest(collection="own", images=sent)).results
    stored = [item for item, result in zip(sent, results, strict=True) if not result.HasField("error")]
    assert len(stored) == len(texts)
    for item, text in zip(sent, texts, strict=True):
        got = stubs.images.GetImage(images.GetImageRequest(collection="own", id=item.id))
        assert got.image.metadata[text].string_value == text
        equal = filters.Filter(equals=filters.Equals(field=text, value=types_pb2.Value(string_value=text)))
        count = stubs.images.CountImages(images.CountImagesRequest(collection="own", where=equal))
        assert count.count == 1
        request = search_pb2.SearchRequest(collection="own", query=types_pb2.Query(id=item.id))
        assert stubs.search.Search(request).hits[0].id == item.id
    assert stubs.images.CountImages(images.CountImagesRequest(collection="own")).count == len(texts)


def fields_of(kind: Descriptor, seen: set[str]) -> Iterator[tuple[str, FieldDescriptor]]:
    if kind.full_name not in seen:
        seen.add(kind.full_name)
        for field in kind.fields:
            yield f"{kind.name}.{field.name}", field
            if field.message_type is not None:
                yield from fields_of(field.message_type, seen)


def test_no_request_has_a_field_for_a_path_a_url_or_a_model_to_fetch() -> None:
    """Models are those that the server was started with: the few fields named so only choose among them, or say what
    a set was made with."""
    seen: set[str] = set()
    names = {name for path in PATHS for name, _ in fields_of(request_of(path), seen)}
    words = ("path", "url", "uri", "file", "folder", "directory", "host", "address", "model", "weights", "command")
    told = {name for name in names if any(word in name.rpartition(".")[2] for word in words)}
    assert told == {"CreateCollectionRequest.model", "FeatureSet.model"}
