"""What is asked with: drawn by ids, from another collection, or from a folder of photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.errors import ImageError, Incompatible, InvalidInput
from setwise_engine.features import Extractor
from setwise_engine.featurizer import Featurizer
from setwise_engine.search import Options, Searcher
from setwise_evaluation.experiments.recall import collection_queries, folder_queries, recall_study
from setwise_evaluation.experiments.recall._queries import own_queries

from .conftest import fill


@pytest.fixture(scope="module")
def album(
    tmp_path_factory: pytest.TempPathFactory, photos: list[Path], extractor: Extractor, encoder: Encoder
) -> Iterator[Collection]:
    """Four photographs through the default network."""
    info = extractor.info
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    featurizer = Featurizer(extractor, encoder)
    sets = featurizer.encode([featurizer.prepare(path) for path in photos[:4]])
    with Collection.create(tmp_path_factory.mktemp("album") / "album.setwise", settings, encoder) as made:
        made.append([ImageRecord(path.name, features) for path, features in zip(photos, sets, strict=False)])
        yield made


@pytest.fixture
def folder(tmp_path: Path, photos: list[Path]) -> Path:
    (tmp_path / "asked/more").mkdir(parents=True)
    for photo, name in zip(photos[3:], ("b.jpg", "more/a.jpg", ".hidden.jpg"), strict=False):
        (tmp_path / "asked" / name).write_bytes(photo.read_bytes())
    (tmp_path / "asked/notes.txt").write_text("no image")
    return tmp_path / "asked"


def test_photographs_are_asked_with_as_a_search_asks(album: Collection, folder: Path, photos: list[Path]) -> None:
    queries = folder_queries(folder, album, 10, 1)
    assert [query.name for query in queries] == ["b.jpg", "more/a.jpg"]
    study = recall_study(album, queries, k=2, kinds=("mean",), resamples=200)
    assert study.counts == (2,)
    assert study.exact_scores[0, 0] == 1.0  # it is there under its own name, and asked for as a stranger
    answer = Searcher(album).search(queries[1].features, Options(k=2, exhaustive=True))
    assert study.exact_scores[1].tolist() == [hit.score for hit in answer.hits]
    assert "A query can find 4 images: to recall 4 or more is to score every one of them." in study.notes


def test_a_broken_photograph_is_named(album: Collection, folder: Path) -> None:
    (folder / "c.jpg").write_bytes(b"no JPEG")
    with pytest.raises(ImageError, match=r"c\.jpg"):
        folder_queries(folder, album, 10, 1)


def test_folders_without_images_and_collections_without_a_network_are_refused(
    album: Collection, collection: Collection, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="empty holds no images"):
        folder_queries(tmp_path / "empty", album, 10, 1)
    with pytest.raises(Incompatible, match="ready-made feature sets"):
        folder_queries(folder, collection, 10, 1)


def test_images_of_the_collection_are_drawn_by_ids_wherever_they_lie(writable: Collection) -> None:
    def drawn(seed: int) -> list[str]:
        with writable.snapshot() as snapshot:
            return [query.name for query in own_queries(snapshot, snapshot.live_keys().tolist(), 6, seed)]

    before = drawn(3)
    assert writable.compact(everything=True).dropped
    assert drawn(3) == before == sorted(before)
    assert drawn(4) != before


def test_another_collection_asks_without_leaving_anything_out(
    collection: Collection, album: Collection, tmp_path: Path, plain_encoder: Encoder
) -> None:
    with fill(tmp_path / "other.setwise", plain_encoder, coarse="mean") as other:
        queries = collection_queries(other, collection, 5, 1)
    assert len(queries) == 5
    assert all(query.own is None for query in queries)
    study = recall_study(collection, queries, k=1, counts=[1], resamples=200, kinds=(), factories=())
    assert np.all(study.exact_scores == 1.0)  # the same images are in both
    with pytest.raises(Incompatible, match="encoder"):
        collection_queries(collection, album, 5, 1)
