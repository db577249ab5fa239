"""What the indexer's tests share: folders of real photos, folders of ready-made sets, and a look into a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from setwise_engine.collection import Collection, Known
from setwise_indexer import Request, Summary, index

Tokens = dict[str, NDArray[np.float16]]


@pytest.fixture
def folder(tmp_path: Path, photos: list[Path]) -> Path:
    """Three real photos, small, in a folder of their own."""
    (tmp_path / "photos/sub").mkdir(parents=True)
    for source, name in zip(photos, ("a.jpg", "b.png", "sub/c.webp"), strict=False):
        with Image.open(source) as picture:
            picture.convert("RGB").resize((160, 120)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A folder of six ready-made sets of 4 to 9 tokens with 8 dimensions."""
    (tmp_path / "sets").mkdir()
    rng = np.random.default_rng(7)
    for number in range(6):
        tokens = rng.standard_normal((4 + number, 8)).astype(np.float32)
        np.save(tmp_path / "sets" / f"{number}.npy", tokens)
    return tmp_path / "sets"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where the collection of a test goes."""
    return tmp_path / "out.setwise"


@pytest.fixture
def build(into: Path) -> Callable[..., Summary]:
    """`setwise index SOURCE... --into out.setwise` with options as keywords."""

    def run(*sources: Path | str, **options: Any) -> Summary:
        options.setdefault("into", into)
        return index(Request(sources=tuple(map(str, sources)), device="cpu", **options))

    return run


@contextmanager
def opened(path: Path) -> Iterator[Collection]:
    with Collection.open(path, read_only=True) as collection:
        yield collection


@pytest.fixture
def known(into: Path) -> Callable[[], dict[str, Known]]:
    """Ids, sources, hashes and metadata of the collection."""

    def read() -> dict[str, Known]:
        with opened(into) as collection:
            return collection.sources()

    return read


@pytest.fixture
def tokens_of(into: Path) -> Callable[..., Tokens]:
    """Copies of all stored tokens by id."""

    def read(path: Path = into) -> Tokens:
        with opened(path) as collection, collection.snapshot() as snapshot:
            ids = sorted(collection.sources())
            keyed = zip(ids, snapshot.keys(ids), strict=True)
            return {id: np.array(snapshot.tokens(key)) for id, key in keyed if key is not None}

    return read
