"""From pictures to changes: each with its own fault, the network shared fairly and not run for what is stored."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from setwise_engine.collection import Mode, Put
from setwise_engine.errors import CancelledError, ImageError
from setwise_engine.featurizer import Featurizer
from setwise_proto.v1 import images_pb2 as pb
from setwise_server import Limits, ServerSettings
from setwise_server._registry import Registry
from setwise_server.ingest import Intake


@pytest.fixture
def registry(photos_path, tmp_path):
    registry = Registry([shutil.copytree(photos_path, tmp_path / "photos.setwise")], ServerSettings(device="cpu"))
    yield registry
    registry.close()


@pytest.fixture
def changes(registry):
    """What the inputs come to in the collection of photos."""
    intake = Intake(registry, Limits(), 1)
    return lambda inputs, check=lambda: None: intake.changes(registry.get(""), inputs, Mode.UPSERT, check)


def picture(photo: Path, id: str = "") -> pb.ImageInput:
    return pb.ImageInput(id=id or photo.name, image=photo.read_bytes())


def test_pictures_become_what_the_indexer_would_store(changes, registry, photos) -> None:
    taken = changes([picture(photo, f"new-{photo.name}") for photo in photos[:6]])
    collection = registry.get("").collection
    with collection.snapshot() as snapshot:
        for photo, put in zip(photos[:6], taken, strict=True):
            assert isinstance(put, Put)
            (key,) = snapshot.keys([photo.name])
            stored = snapshot.features(key)
            assert put.record.id == f"new-{photo.name}"
            assert put.record.features.grid == stored.grid
            assert abs(put.record.features.tokens - stored.tokens).max() < 0.1
            assert put.record.thumbnail.startswith(b"\xff\xd8\xff")
            assert put.record.content_hash


def test_a_picture_that_is_stored_is_not_sent_through_the_network_again(changes, registry, photos, monkeypatch) -> None:
    (put,) = changes([picture(photos[0])])
    collection = registry.get("").collection
    collection.write([put])
    monkeypatch.setattr(Featurizer, "encoded", None)
    (again,) = changes([picture(photos[0])])
    assert (again.record.features.tokens == put.record.features.tokens).all()
    assert again.record.thumbnail == put.record.thumbnail
    (outcome,) = collection.write([again]).results
    assert outcome == "unchanged"


def test_each_picture_has_its_own_fault(changes, photos) -> None:
    good, bad, late = changes([picture(photos[0]), pb.ImageInput(id="bad", image=b"\xff\xd8\xff"), picture(photos[1])])
    assert isinstance(good, Put)
    assert isinstance(bad, ImageError)
    assert bad.field == "image"
    assert isinstance(late, Put)


def test_a_caller_who_leaves_ends_it_between_forward_passes(changes, registry, photos) -> None:
    left = iter([*[False] * (len(photos) + 2), *[True] * 1000])

    def check() -> None:
        if next(left):
            raise CancelledError("the caller cancelled the call")

    with pytest.raises(CancelledError):
        changes([picture(photo, f"new-{photo.name}") for photo in photos], check)
    assert registry.networks.meters.images.read()[1] < len(photos)


def test_a_search_that_waits_for_the_network_goes_before_what_is_to_be_stored(
    changes, registry, photos, monkeypatch
) -> None:
    encoder = registry.image_encoder(registry.get(""))
    pixels = encoder.featurizer.prepare(photos[0].read_bytes()).pixels
    changes([picture(photos[0], "warm")])
    inputs = [picture(photo, f"new-{photo.name}") for photo in photos]
    taken = []
    writing = threading.Thread(target=lambda: taken.extend(changes(inputs)))
    before = registry.networks.meters.images.read()[1]
    writing.start()
    while registry.networks.meters.images.read()[1] == before:
        time.sleep(0.001)
    asked = encoder.batcher.submit(pixels)
    asked.result(20)
    assert not taken
    writing.join()
    assert all(isinstance(each, Put) for each in taken)
