"""`setwise reindex`: a collection built anew from the files that its images came from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from setwise_engine.collection import Collection, ImageRecord
from setwise_engine.errors import InvalidInput
from setwise_indexer import Request, Summary, index
from setwise_indexer.commands import reindex as command

Build = Callable[..., Summary]


@pytest.fixture
def again(into: Path, tmp_path: Path) -> Callable[..., Summary]:
    """`setwise reindex out.setwise --into again.setwise` with options as keywords."""

    def run(**options: Any) -> Summary:
        options.setdefault("into", tmp_path / "again.setwise")
        return index(Request(stored=into, device="cpu", **options))

    return run


def test_the_same_options_make_the_same_collection(build: Build, again, sets, tokens_of, tmp_path: Path) -> None:
    build(sets, features=True, dims=4, coarse="mean", gate=False)
    into = tmp_path / "out.setwise"
    with Collection.open(into) as collection:
        collection.update({"0.npy": {"kind": "first"}})
    summary = again()
    assert (summary.indexed, summary.failed, summary.changed) == (6, 0, 0)
    with Collection.open(into) as old, Collection.open(tmp_path / "again.setwise") as new:
        assert new.settings == old.settings
        assert new.uuid != old.uuid
        assert new.sources() == old.sources()
    one, other = tokens_of(), tokens_of(tmp_path / "again.setwise")
    assert all(np.array_equal(one[id], other[id]) for id in one)


def test_another_encoder_is_fitted_when_other_dims_are_asked_for(build: Build, again, sets, tmp_path: Path) -> None:
    build(sets, features=True)
    again(dims=3)
    with Collection.open(tmp_path / "again.setwise") as collection:
        assert collection.settings.dims == 3


def test_another_size_of_the_network_takes_no_old_encoder_along(build: Build, again, folder, into, tmp_path) -> None:
    build(folder, thumbnails=False)
    again(image_size=224, dims=16)
    with Collection.open(into) as old, Collection.open(tmp_path / "again.setwise") as new:
        assert (old.settings.image_size, new.settings.image_size) == (320, 224)
        assert (new.settings.dims, new.settings.thumbnails) == (16, False)
        assert sorted(new.sources()) == ["a.jpg", "b.png", "sub/c.webp"]


def test_files_that_are_gone_are_reported_and_changed_ones_indexed_as_they_are(build, again, sets, tmp_path) -> None:
    build(sets, features=True)
    (sets / "1.npy").unlink()
    np.save(sets / "2.npy", np.ones((3, 8), np.float32))
    (sets / "3.npy").touch()
    summary = again()
    assert (summary.indexed, summary.failed, summary.changed) == (5, 1, 1)
    assert "1.npy" in summary.failures[0].path
    assert f"changed since it was stored, indexed as it is now: {sets / '2.npy'}" in str(summary)
    assert again().unchanged == 5


def test_many_sets_of_one_file_are_found_again(build: Build, again, tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    np.save(tmp_path / "sets" / "a#b.npy", np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32))
    build(tmp_path / "sets", features=True)
    assert again().indexed == 3
    with Collection.open(tmp_path / "again.setwise") as collection:
        assert sorted(collection.sources()) == ["a#b.npy/0", "a#b.npy/1", "a#b.npy/2"]


def test_images_that_came_from_no_file_are_named(build: Build, again, sets, into: Path) -> None:
    build(sets, features=True)
    with Collection.open(into) as collection, collection.snapshot() as snapshot:
        (key,) = snapshot.keys(["0.npy"])
        collection.append([ImageRecord(id="sent", features=snapshot.features(key))])
    summary = again()
    assert (summary.indexed, summary.failed) == (6, 1)
    assert summary.failures[0].id == "sent"
    assert "send it again" in summary.failures[0].reason


def test_what_cannot_be_is_refused_before_any_work(build: Build, again, sets, into: Path) -> None:
    build(sets, features=True)
    with pytest.raises(InvalidInput, match="no model"):
        again(model="efficientnet-lite0")
    with pytest.raises(InvalidInput, match="in its own place"):
        again(into=into)
    with Collection.open(into) as collection:
        collection.delete(sorted(collection.sources()))
    with pytest.raises(InvalidInput, match="no images"):
        again()


def test_the_command_line_says_what_it_did(build: Build, folder: Path, into: Path, tmp_path: Path, capsys) -> None:
    build(folder)
    with Image.open(folder / "a.jpg") as picture:
        picture.rotate(180).save(folder / "a.jpg")
    parser = argparse.ArgumentParser()
    command.configure(parser)
    words = [str(into), "--into", str(tmp_path / "new.setwise"), "--no-gate", "--strict"]
    assert command.run(parser.parse_args(words)) == 0
    said = capsys.readouterr().out
    assert "3 indexed" in said
    assert f"indexed as it is now: {folder / 'a.jpg'}" in said
