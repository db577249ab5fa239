"""A collection of the demo photos, opened in process and served by the real command; and transports that fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf.message import Message
from PIL import Image
from threadpoolctl import threadpool_limits

import setwise
from setwise.commands._connection import VARIABLES
from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Grid, Stage
from setwise_engine.features import Extractor
from setwise_engine.featurizer import Featurizer


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs these tests may have a key of his own."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """This process computes as the server below does: how many threads share a sum shows in its last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def collection_path(
    one_thread: None,
    tmp_path_factory: pytest.TempPathFactory,
    photos: list[Path],
    extractor: Extractor,
    encoder: Encoder,
) -> Path:
    """The ten demo photos; an id is the file's name, the metadata a number and some words."""
    path = tmp_path_factory.mktemp("client") / "photos.setwise"
    info, featurizer = extractor.info, Featurizer(extractor, encoder)
    prepared = [featurizer.prepare(photo, thumbnail=True) for photo in photos]
    records = [
        ImageRecord(
            id=photo.name,
            features=features,
            metadata={"number": number, "words": [photo.stem, None], "half": number / 2, "even": number % 2 == 0},
            thumbnail=image.thumbnail,
        )
        for number, (photo, image, features) in enumerate(
            zip(photos, prepared, (featurizer.encode([image])[0] for image in prepared), strict=True)
        )
    ]
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    with Collection.create(path, settings, encoder) as collection:
        collection.append(records)
        collection.build_index()
    return path


@pytest.fixture(scope="session")
def local(collection_path: Path) -> Iterator[setwise.Client]:
    """A client of the directory."""
    with setwise.connect(collection_path, timeout=60) as client:
        yield client


@contextmanager
def serving(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """host:port of `setwise serve` with these arguments, and its process."""
    command = [sys.executable, "-m", "setwise", "serve", *words, "--device", "cpu"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
        try:
            assert server.stdout is not None
            found = next(match for line in server.stdout if (match := re.search(r"on (\S+:\d+)", line)))
            yield found.group(1), server
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[tuple[str, subprocess.Popen[str]]]]:
    """Starts a server; see `serving`."""
    return serving


@pytest.fixture(scope="session")
def address(collection_path: Path) -> Iterator[str]:
    """host:port of `setwise serve` on that directory."""
    with serving(str(collection_path), "--port", "0") as (address, _):
        yield address


@pytest.fixture(scope="session")
def sets_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve ready-made sets of six tokens; number, kind, and tags for all but the last."""
    path = tmp_path_factory.mktemp("sets") / "sets.setwise"
    encoder = Encoder("", 8, 8, None, None, 1.0, np.eye(8, dtype=np.float32))
    settings = Settings("", 0, "", encoder.dims, encoder.fingerprint)
    records = []
    for number, tokens in enumerate(np.random.default_rng(5).normal(size=(12, 6, 8)).astype(np.float16)):
        features = FeatureSet(tokens, Stage.ENCODED, encoder=encoder.fingerprint, grid=Grid(2, 3))
        metadata = {"number": number, "kind": "odd" if number % 2 else "even"}
        metadata |= {"tags": ["all", f"t{number % 3}"]} if number < 11 else {}
        records.append(ImageRecord(f"set-{number:02}", features, metadata))
    with Collection.create(path, settings, encoder) as collection:
        collection.append(records)
    return path


@pytest.fixture(scope="session")
def rooted(collection_path: Path, sets_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a server that may be written to: copies of both collections, and of the sets a second one."""
    root = tmp_path_factory.mktemp("root")
    for source, name in ((collection_path, "photos"), (sets_path, "sets"), (sets_path, "more")):
        shutil.copytree(source, root / f"{name}.setwise")
    with serving("--root", str(root), "--port", "0") as (address, _):
        yield address


@pytest.fixture(scope="session")
def remote(address: str) -> Iterator[setwise.Client]:
    """A client of the server."""
    with setwise.connect(address, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def collage(tmp_path_factory: pytest.TempPathFactory, photos: list[Path]) -> Path:
    """A portrait picture of two of the photos, one above the other."""
    canvas = Image.new("RGB", (300, 420))
    for place, name in enumerate(("cat", "coffee")):
        with Image.open(next(photo for photo in photos if photo.stem == name)) as photo:
            canvas.paste(photo.convert("RGB").resize((300, 210)), (0, 210 * place))
    path = tmp_path_factory.mktemp("queries") / "cat over coffee.png"
    canvas.save(path)
    return path


class Script:
    """A transport that answers calls from a list: a message is given, an error raised, a callable asked."""

    def __init__(self, *answers: Message | setwise.SetwiseError | Callable[[Message], Message]) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, Message, float | None]] = []
        self.closed = 0

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """The next answer; the last one is given again and again."""
        self.calls.append((method.rpartition("/")[2], request, timeout))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, setwise.SetwiseError):
            raise answer
        return answer if isinstance(answer, Message) else answer(request)

    def close(self) -> None:
        """Count."""
        self.closed += 1


class AsyncScript:
    """The same for asyncio."""

    def __init__(self, *answers: Message | setwise.SetwiseError | Callable[[Message], Message]) -> None:
        self.script = Script(*answers)

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Script.call."""
        return self.script.call(method, request, reply, timeout)

    async def close(self) -> None:
        """As Script.close."""
        self.script.close()


@pytest.fixture
def script() -> type[Script]:
    """A transport that answers from a list."""
    return Script


@pytest.fixture
def async_script() -> type[AsyncScript]:
    """A transport for asyncio that answers from a list."""
    return AsyncScript
