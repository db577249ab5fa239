"""The whole way with the default network: real photos in, themselves found first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.errors import Incompatible
from setwise_engine.feature_set import FeatureSet
from setwise_engine.features import Extractor, prepare_image
from setwise_engine.matching import Kernel, affinity, assign, kernel_name, upper_bound, verify
from setwise_engine.search import Options, Scope, Searcher


@pytest.fixture(scope="module")
def raw(photos: list[Path], extractor: Extractor) -> dict[str, FeatureSet]:
    """Raw sets of the photos and of their mirror images, by name."""
    pixels = np.stack([prepare_image(photo, extractor.info.image_size).pixels for photo in photos])
    both = np.concatenate([pixels, pixels[:, :, ::-1]])
    names = [photo.stem for photo in photos]
    tokens = extractor.extract(np.ascontiguousarray(both))
    info = extractor.info
    return {
        name: FeatureSet(one, model=info.fingerprint, grid=info.grid)
        for name, one in zip(names + [f"{name} mirrored" for name in names], tokens, strict=True)
    }


@pytest.fixture(scope="module")
def searcher(
    raw: dict[str, FeatureSet], extractor: Extractor, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Searcher]:
    info = extractor.info
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    with Collection.create(tmp_path_factory.mktemp("photos") / "photos.setwise", settings, encoder) as collection:
        collection.append([ImageRecord(name, encoder.encode_set(features)) for name, features in raw.items()])
        yield Searcher(collection)


def test_every_photo_finds_itself_and_then_its_mirror_image(searcher: Searcher, raw: dict[str, FeatureSet]) -> None:
    for name in (name for name in raw if "mirrored" not in name):
        answer = searcher.search(raw[name], Options(k=2))
        assert (answer.hits[0].id, answer.hits[0].score) == (name, 1.0)
        assert answer.hits[1].id == f"{name} mirrored"
        assert answer.scope is Scope.COLLECTION


@pytest.mark.parametrize("kernel", [Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF])
def test_pruning_changes_no_bit(searcher: Searcher, raw: dict[str, FeatureSet], kernel: Kernel) -> None:
    saved = 0
    for features in raw.values():
        answers = []
        for prune in (True, False):
            searcher._prune = prune
            answers.append(searcher.search(features, Options(k=3, kernel=kernel)))
        pruned, plain = ([(hit.id, hit.score) for hit in answer.hits] for answer in answers)
        assert pruned == plain
        saved += answers[0].pruned
    assert saved > 0 or kernel_name() == "reference"  # which solves everything


def test_prices_prove_the_matching_of_two_photos(raw: dict[str, FeatureSet], encoder: Encoder) -> None:
    names = list(raw)
    for a, b in pairwise(names):
        A = affinity(encoder.encode(raw[a].tokens), encoder.encode(raw[b].tokens))
        solved = assign(A)
        verify(A, solved)
        assert solved.value <= upper_bound(A)


def test_tokens_of_unknown_origin_are_taken_at_their_word(searcher: Searcher, raw: dict[str, FeatureSet]) -> None:
    name, features = next(iter(raw.items()))
    assert searcher.search(FeatureSet(features.tokens), Options(k=1)).hits[0].id == name


def test_tokens_of_another_image_size_are_refused_naming_both(
    searcher: Searcher, raw: dict[str, FeatureSet], extractor: Extractor
) -> None:
    other = extractor.info.fingerprint.replace("@320", "@224")
    features = FeatureSet(next(iter(raw.values())).tokens[:49], model=other)
    with pytest.raises(Incompatible, match=f"{other}.*{extractor.info.fingerprint}"):
        searcher.search(features)
