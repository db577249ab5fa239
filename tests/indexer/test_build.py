"""A run brings the collection up to date: new, changed, touched, moved, gone; the same run again does nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, Known
from setwise_engine.encoder import Encoder
from setwise_engine.errors import Incompatible, InvalidInput
from setwise_engine.features import Extractor
from setwise_engine.featurizer import Featurizer
from setwise_indexer import Summary

Build = Callable[..., Summary]
Tokens = dict[str, object]
KnownOf = Callable[[], dict[str, Known]]


@pytest.fixture
def build(build: Build) -> Build:
    """`--features` wherever the sources are sets, which spares most tests the network."""

    def run(*sources: Path, **options: object) -> Summary:
        if any("sets" in str(source) for source in sources):
            options.setdefault("features", True)
        return build(*sources, **options)

    return run


def counts(summary: Summary) -> tuple[int, int, int, int, int, int]:
    s = summary
    return (s.indexed, s.replaced, s.unchanged, s.metadata, s.pruned, s.failed)


def test_a_folder_of_photos_becomes_a_collection(
    build: Build, folder: Path, into: Path, extractor: Extractor, encoder: Encoder
) -> None:
    assert counts(build(folder)) == (3, 0, 0, 0, 0, 0)
    featurizer = Featurizer(extractor, encoder)
    with Collection.open(into, read_only=True) as collection, collection.snapshot() as snapshot:
        assert collection.encoder.fingerprint == encoder.fingerprint
        (fresh,) = featurizer.encode([featurizer.prepare(folder / "b.png", thumbnail=True)])
        key = snapshot.keys(["b.png"])[0]
        assert key is not None
        (stored,) = snapshot.stored([key], thumbnails=True)
        difference = np.abs(np.asarray(snapshot.tokens(key), np.float32) - fresh.tokens.astype(np.float32))
        assert difference.max() <= np.spacing(np.abs(fresh.tokens).max(), dtype=np.float16)
        assert stored.image_size == (160, 120)
        assert stored.thumbnail.startswith(b"\xff\xd8")
        assert collection.info().indexed == 3


def test_the_same_run_again_changes_nothing(build: Build, sets: Path, known: KnownOf, into: Path) -> None:
    build(sets)
    before, stamp = known(), (into / "catalog.sqlite").stat().st_mtime_ns
    assert counts(build(sets)) == (0, 0, 6, 0, 0, 0)
    assert known() == before
    assert (into / "catalog.sqlite").stat().st_mtime_ns == stamp


def test_the_kind_of_index_is_kept_until_another_is_asked_for(build: Build, sets: Path, into: Path) -> None:
    def factory(**options: object) -> str:
        build(sets, **options)
        with Collection.open(into) as collection:
            index = collection.info().index
        assert index is not None
        return index.factory

    assert [factory(index_factory="SQ8"), factory(), factory(index_factory="")] == ["SQ8", "SQ8", "Flat"]


def test_a_touched_file_is_recognised_by_its_bytes(build: Build, folder: Path, known: KnownOf) -> None:
    build(folder)
    os.utime(folder / "a.jpg", ns=(1, 1))
    assert counts(build(folder)) == (0, 0, 3, 0, 0, 0)
    source = known()["a.jpg"].source
    assert source is not None
    assert source.mtime_ns == 1


def test_a_moved_folder_is_recognised_by_its_bytes(build: Build, sets: Path, known: KnownOf) -> None:
    build(sets)
    moved = sets.rename(sets.parent / "moved-sets")
    assert counts(build(moved)) == (0, 0, 6, 0, 0, 0)
    source = known()["0.npy"].source
    assert source is not None
    assert source.path == str(moved / "0.npy")


def test_a_changed_file_replaces_its_image(build: Build, sets: Path, tokens_of: Callable[[], Tokens]) -> None:
    build(sets)
    np.save(sets / "2.npy", np.full((3, 8), 0.5, np.float32))
    assert counts(build(sets)) == (0, 1, 5, 0, 0, 0)
    np.testing.assert_array_equal(tokens_of()["2.npy"], np.full((3, 8), 0.5, np.float16))


def test_new_files_are_added(build: Build, sets: Path) -> None:
    build(sets)
    shutil.copy(sets / "0.npy", sets / "new.npy")
    assert counts(build(sets)) == (1, 0, 6, 0, 0, 0)


def test_only_prune_removes_what_is_gone(build: Build, sets: Path, known: KnownOf) -> None:
    build(sets)
    (sets / "0.npy").unlink()
    assert counts(build(sets)) == (0, 0, 5, 0, 0, 0)
    assert counts(build(sets, prune=True)) == (0, 0, 5, 0, 1, 0)
    assert "0.npy" not in known()


def test_prune_spares_a_file_that_is_there_but_broken(build: Build, folder: Path, known: KnownOf) -> None:
    build(folder)
    (folder / "a.jpg").write_bytes(b"")
    assert counts(build(folder, prune=True)) == (0, 0, 2, 0, 0, 1)
    assert "a.jpg" in known()


def test_prune_removes_nothing_while_a_part_cannot_be_read(build: Build, sets: Path, known: KnownOf) -> None:
    build(sets)
    (sets / "0.npy").unlink()
    (sets / "1.npy").write_bytes(b"no longer an array")
    summary = build(sets, prune=True)
    assert counts(summary) == (0, 0, 4, 0, 0, 1)
    assert "not pruned" in str(summary)
    assert len(known()) == 6


def test_prune_with_an_empty_folder_is_refused(build: Build, sets: Path, known: KnownOf) -> None:
    build(sets)
    for file in sets.iterdir():
        file.unlink()
    with pytest.raises(InvalidInput, match="no files found"):
        build(sets, prune=True)
    assert len(known()) == 6


def manifest(folder: Path, rows: Mapping[str, Mapping[str, object]]) -> str:
    lines = [json.dumps({"path": path, **metadata}) for path, metadata in rows.items()]
    (folder / "list.jsonl").write_text("\n".join(lines))
    return str(folder / "list.jsonl")


def test_changed_metadata_is_applied_without_reading_the_file(build: Build, sets: Path, known: KnownOf) -> None:
    listed: dict[str, dict[str, float]] = {f"{number}.npy": {"n": number} for number in range(6)}
    build(manifest=manifest(sets, listed), features=True)
    (sets / "0.npy").write_bytes(b"")  # would fail if it were read
    os.utime(sets / "0.npy", ns=(0, 0))
    listed["1.npy"] = {"n": 1.0}  # 1 and 1.0 are different metadata
    summary = build(manifest=manifest(sets, listed), features=True)
    assert (summary.metadata, summary.unchanged, summary.failed) == (1, 4, 1)
    assert isinstance(known()["1.npy"].metadata["n"], float)
    assert known()["0.npy"].metadata == {"n": 0}


def test_metadata_survives_a_run_without_a_manifest(build: Build, sets: Path, known: KnownOf) -> None:
    build(manifest=manifest(sets, {"0.npy": {"city": "Ulm"}}), features=True)
    np.save(sets / "0.npy", np.ones((2, 8), np.float32))
    assert counts(build(sets)) == (5, 1, 0, 0, 0, 0)
    assert known()["0.npy"].metadata == {"city": "Ulm"}


def test_a_new_collection_fits_its_encoder_and_every_run_fits_the_same(
    build: Build, folder: Path, tmp_path: Path
) -> None:
    prints = set()
    for name in ("one.setwise", "two.setwise"):
        build(folder, into=tmp_path / name, image_size=64, dims=4)
        with Collection.open(tmp_path / name, read_only=True) as collection:
            assert collection.settings.dims == 4
            prints.add(collection.encoder.fingerprint)
    assert len(prints) == 1
    shared = build(folder, into=tmp_path / "three.setwise", image_size=64, encoder_from=tmp_path / "one.setwise")
    assert counts(shared) == (3, 0, 0, 0, 0, 0)
    with Collection.open(tmp_path / "three.setwise", read_only=True) as collection:
        assert {collection.encoder.fingerprint} == prints


def test_the_default_model_takes_its_shipped_encoder_unless_asked_to_fit(
    build: Build, folder: Path, into: Path, encoder: Encoder, tmp_path: Path
) -> None:
    build(folder)
    build(folder, into=tmp_path / "fitted.setwise", fit=True, dims=8)
    with Collection.open(into, read_only=True) as shipped, Collection.open(tmp_path / "fitted.setwise") as fitted:
        assert shipped.encoder.fingerprint == encoder.fingerprint
        assert fitted.encoder.fingerprint != encoder.fingerprint
        assert fitted.settings.model_fingerprint == shipped.settings.model_fingerprint
    again = build(folder, into=tmp_path / "fitted.setwise", fit=True, dims=8)
    assert counts(again) == (0, 0, 3, 0, 0, 0), "the same command again has nothing to do"


def test_settings_of_an_existing_collection_rule(build: Build, sets: Path, folder: Path, into: Path) -> None:
    build(sets, dims=4)
    assert counts(build(sets, dims=4)) == (0, 0, 6, 0, 0, 0)
    with pytest.raises(Incompatible, match=r"was made with --dims 4, this run asks for none"):
        build(sets, dims="none")
    with pytest.raises(Incompatible, match=r"--coarse \S+, this run asks for mean"):
        build(sets, coarse="mean")
    with pytest.raises(Incompatible, match=r"holds ready-made sets .*this run has images"):
        build(folder)


def test_another_model_or_size_is_refused_by_name(build: Build, folder: Path, tmp_path: Path) -> None:
    build(folder, image_size=64, dims="none")
    with pytest.raises(Incompatible, match=r"made with --model efficientnet-lite0, this run asks for timm:resnet18"):
        build(folder, model="timm:resnet18")
    with pytest.raises(Incompatible, match=r"made with --image-size 64, this run asks for 320"):
        build(folder, image_size=320)
    with pytest.raises(Incompatible, match=r"is for model efficientnet-lite0@64:.* this run has model .*@96:"):
        build(folder, into=tmp_path / "b.setwise", image_size=96, encoder_from=tmp_path / "out.setwise")
    assert not (tmp_path / "b.setwise").exists()


def test_more_dimensions_than_the_images_span_are_refused_with_advice(build: Build, sets: Path, into: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--dims 9 is more than these images span; give --dims \d or less"):
        build(sets, dims=9)
    assert not into.exists()
