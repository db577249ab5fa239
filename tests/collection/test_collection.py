"""What goes into a collection comes out of it: images, replacements, deletions, versions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Known, Settings, Snapshot, Source
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CollectionError, Incompatible, InvalidInput, NotFound, ReadOnlyError
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage
from setwise_engine.matching import square

Make = Callable[..., ImageRecord]
SOURCE = Source("holiday/a.jpg", 1234, 1_700_000_000_000_000_000)


def ids(snapshot: Snapshot) -> list[str]:
    return snapshot.ids(snapshot.page("", 1000))


def key(snapshot: Snapshot, id: str) -> int:
    found = snapshot.keys([id])[0]
    assert found is not None
    return found


def test_an_image_comes_back_as_it_was_stored(collection: Collection, make: Make) -> None:
    record = make("a", 1, metadata={"tags": ["x", 1], "year": 2020}, content_hash="ab", thumbnail=b"jpeg")
    assert collection.append([record]) == 1

    with collection.snapshot() as snapshot:
        a = key(snapshot, "a")
        features = snapshot.features(a)
        np.testing.assert_array_equal(features.tokens, record.features.tokens)
        assert (features.stage, features.encoder) == (Stage.ENCODED, collection.encoder.fingerprint)
        assert (features.grid, features.image_size) == (Grid(3, 4), ImageSize(640, 480))
        assert snapshot.square(a) == square(record.features.tokens)
        assert snapshot.norm(a) == math.sqrt(snapshot.square(a))
        np.testing.assert_array_equal(snapshot.coarse(a), collection.coarse.pool(record.features.tokens))
        (stored,) = snapshot.stored([a], thumbnails=True)
        assert (stored.id, stored.metadata, stored.thumbnail) == ("a", {"tags": ["x", 1], "year": 2020}, b"jpeg")
        assert (stored.grid, stored.image_size, stored.tokens) == (Grid(3, 4), ImageSize(640, 480), 12)


def test_tokens_are_views_into_the_file(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    with collection.snapshot() as snapshot:
        tokens = snapshot.tokens(key(snapshot, "a"))
    assert not tokens.flags.owndata
    assert not tokens.flags.writeable
    collection.close()
    assert np.isfinite(tokens).all()  # the view keeps the mapping alive


def test_reopening_finds_everything(folder: Path, settings: Settings, tiny: Encoder, make: Make) -> None:
    with Collection.create(folder, settings, tiny) as made:
        made.append([make("a"), make("b", 1)])
        uuid = made.uuid
    with Collection.open(folder) as opened:
        assert (opened.uuid, opened.name, opened.settings) == (uuid, "photos", settings)
        assert opened.encoder.fingerprint == tiny.fingerprint
        with opened.snapshot() as snapshot:
            assert (len(snapshot), snapshot.version, ids(snapshot)) == (2, 1, ["a", "b"])


def test_appending_an_existing_id_replaces_it(collection: Collection, make: Make) -> None:
    collection.append([make("a", 1, metadata={"v": 1}), make("b", 2)])
    assert collection.append([make("a", 3, metadata={"v": 2})]) == 2
    with collection.snapshot() as snapshot:
        assert (len(snapshot), ids(snapshot)) == (2, ["a", "b"])
        a = key(snapshot, "a")
        assert snapshot.stored([a])[0].metadata == {"v": 2}
        np.testing.assert_array_equal(snapshot.tokens(a), make("a", 3).features.tokens)
    assert collection.info().dead_rows == 1


def test_deleted_images_are_gone_and_unknown_ids_left_out(collection: Collection, make: Make) -> None:
    collection.append([make("a"), make("b", 1)])
    assert collection.delete(["a", "never"]) == 2
    with collection.snapshot() as snapshot:
        assert (len(snapshot), ids(snapshot), snapshot.keys(["a"])) == (1, ["b"], [None])
    collection.append([make("a", 5)])
    with collection.snapshot() as snapshot:
        assert ids(snapshot) == ["a", "b"]


def test_updating_metadata_leaves_features_alone(collection: Collection, make: Make) -> None:
    collection.append([make("a", metadata={"v": 1}), make("b", metadata={"v": 1})])
    with collection.snapshot() as snapshot:
        before = snapshot.keys(["a", "b"])
    assert collection.update({"a": {"v": 2}}, {"b": SOURCE}) == 2
    with collection.snapshot() as snapshot:
        assert snapshot.keys(["a", "b"]) == before
    assert collection.sources() == {"a": Known(None, "", {"v": 2}), "b": Known(SOURCE, "", {"v": 1})}
    with pytest.raises(NotFound, match="'zzz'"):
        collection.update({"zzz": {}})


def test_sources_tell_what_is_known_of_each_file(collection: Collection, make: Make) -> None:
    collection.append([make("a", source=SOURCE, content_hash="ff", metadata={"k": None})])
    assert collection.sources() == {"a": Known(SOURCE, "ff", {"k": None})}


def test_nothing_to_do_makes_no_version(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    assert collection.append([]) == collection.delete([]) == collection.update({}) == 1


def test_a_set_without_tokens_can_be_stored(collection: Collection, tiny: Encoder, make: Make) -> None:
    empty = FeatureSet(np.zeros((0, 8), np.float16), Stage.ENCODED, "", tiny.fingerprint)
    collection.append([ImageRecord("only", empty)])
    collection.append([make("a"), ImageRecord("none", empty), make("b", 1)])
    with collection.snapshot() as snapshot:
        for id in ("only", "none"):
            features = snapshot.features(key(snapshot, id))
            assert (features.tokens.shape, features.grid, features.image_size) == ((0, 8), None, None)
            assert snapshot.norm(key(snapshot, id)) == 0.0
            assert not snapshot.coarse(key(snapshot, id)).any()
        snapshot.prefetch(snapshot.page("", 10))
    assert collection.verify().ok


def test_ids_are_ordered_by_their_utf8_bytes(collection: Collection, make: Make) -> None:
    names = ["b", "a", "ß", "日本", "𝄞", "Z", "a b", "é", "~", "\uffff"]
    collection.append([make(name, seed) for seed, name in enumerate(names)])
    ordered = sorted(names, key=str.encode)
    with collection.snapshot() as snapshot:
        assert ids(snapshot) == ordered
        first = snapshot.page("", 3)
        assert snapshot.ids(first + snapshot.page(ordered[2], 100)) == ordered


def test_many_ids_are_looked_up_in_their_order(collection: Collection, make: Make) -> None:
    names = [f"i{n}" for n in range(2500)]
    collection.append([make(name, 0, 1, 1) for name in names])
    with collection.snapshot() as snapshot:
        keys = snapshot.keys([*reversed(names), "no"])
        assert keys.pop() is None
        assert snapshot.ids([found for found in keys if found is not None]) == names[::-1]
        assert [image.id for image in snapshot.stored(snapshot.page("", 2))] == ["i0", "i1"]


def test_metadata_on_demand(collection: Collection, make: Make) -> None:
    collection.append([make("a", metadata={"x": 1, "y": 2}, thumbnail=b"t")])
    with collection.snapshot() as snapshot:
        a = snapshot.page("", 1)
        assert snapshot.stored(a, metadata=False)[0].metadata == {}
        assert snapshot.stored(a, metadata=["y", "z"])[0].metadata == {"y": 2}
        assert snapshot.stored(a)[0].thumbnail == b""


def test_a_snapshot_does_not_see_later_commits(collection: Collection, make: Make) -> None:
    collection.append([make("a", 1), make("b", 2)])
    vector = collection.coarse.pool(make("a", 1).features.tokens)
    with collection.snapshot() as before:
        collection.append([make("a", 9), make("c", 3)])
        collection.delete(["b"])
        collection.build_index()
        with collection.snapshot() as after:
            assert (len(after), ids(after), after.version) == (2, ["a", "c"], 3)
            assert after.recall(vector, 5)[0].coarse < 0.999
        assert (len(before), ids(before), before.version) == (2, ["a", "b"], 1)
        np.testing.assert_array_equal(before.tokens(key(before, "a")), make("a", 1).features.tokens)
        assert before.recall(vector, 5)[0].key == key(before, "a")


def test_unknown_keys_are_refused(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    with collection.snapshot() as snapshot:
        for call in (snapshot.tokens, snapshot.norm, snapshot.coarse, lambda k: snapshot.ids([k])):
            with pytest.raises(NotFound, match="key"):
                call(99 << 32)


def test_two_images_with_one_id_in_one_append_are_refused(collection: Collection, make: Make) -> None:
    with pytest.raises(InvalidInput, match="'a' occurs twice"):
        collection.append([make("a"), make("b"), make("a")])
    assert collection.info().images == 0


@pytest.mark.parametrize("id", ["", "x" * 1001, "a\0b", "\ud800"])
def test_ids_that_cannot_be_stored_are_refused(collection: Collection, make: Make, id: str) -> None:
    with pytest.raises(InvalidInput, match="id"):
        collection.append([make(id)])


def test_sets_that_do_not_fit_are_refused_naming_both_sides(collection: Collection, make: Make, tiny: Encoder) -> None:
    tokens = np.zeros((4, 8), np.float16)
    wide = np.zeros((4, 9), np.float16)
    for features, message in (
        (FeatureSet(tokens, Stage.RAW), "'a' are raw"),
        (FeatureSet(tokens, Stage.ENCODED, "", "feedbeef"), f"feedbeef, the collection {tiny.fingerprint}"),
        (FeatureSet(tokens, Stage.ENCODED, "net@1", tiny.fingerprint), "model net@1, the collection none"),
        (FeatureSet(wide, Stage.ENCODED, "", tiny.fingerprint), "dimensions 9, the collection 8"),
    ):
        with pytest.raises(Incompatible, match=message):
            collection.append([make("ok"), ImageRecord("a", features)])
    huge = FeatureSet(np.full((1, 8), 1e6, np.float32), Stage.ENCODED, "", tiny.fingerprint)
    with pytest.raises(InvalidInput, match="'a' exceed"):
        collection.append([ImageRecord("a", huge)])
    assert collection.info().version == 0


def test_float32_sets_are_stored_as_float16(collection: Collection, make: Make, tiny: Encoder) -> None:
    tokens = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    collection.append([ImageRecord("a", FeatureSet(tokens, Stage.ENCODED, "", tiny.fingerprint))])
    with collection.snapshot() as snapshot:
        np.testing.assert_array_equal(snapshot.tokens(key(snapshot, "a")), tokens.astype(np.float16))


def test_settings_and_encoder_must_agree(folder: Path, settings: Settings, tiny: Encoder) -> None:
    for change in ({"encoder_fingerprint": "other"}, {"model_fingerprint": "net@1"}, {"dims": 9}):
        with pytest.raises(Incompatible, match=str(next(iter(change.values())))):
            Collection.create(folder, dataclasses.replace(settings, **change), tiny)
    with pytest.raises(InvalidInput, match="'best'"):
        Collection.create(folder, dataclasses.replace(settings, coarse="best"), tiny)
    assert not folder.exists()


def test_info_counts_what_there_is(collection: Collection, make: Make, settings: Settings) -> None:
    collection.append([make("a", thumbnail=b"12345"), make("b", 1)])
    collection.append([make("b", 2)])
    info = collection.info()
    assert (info.images, info.tokens, info.dead_rows, info.segments, info.version) == (2, 24, 1, 2, 2)
    assert (info.indexed, info.index, info.settings, info.format_version) == (0, None, settings, 2)
    assert info.bytes["tokens"] == 3 * 12 * 8 * 2
    assert info.bytes["coarse"] == 3 * 36 * 4
    assert info.bytes["thumbnails"] == 5
    on_disk = sum(path.stat().st_size for path in collection.path.rglob("*") if path.is_file())
    skipped = sum((collection.path / name).stat().st_size for name in ("catalog.sqlite-shm", "writer.lock"))
    assert info.total_bytes == on_disk - skipped
    collection.build_index()
    assert (collection.info().indexed, collection.info().bytes["index"] > 0) == (2, True)


def test_a_collection_opened_read_only_refuses_writes(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    with Collection.open(collection.path, read_only=True) as reader:
        assert reader.info().images == 1
        for write in (lambda: reader.append([make("b")]), lambda: reader.delete(["a"]), reader.build_index):
            with pytest.raises(ReadOnlyError, match="opened so"):
                write()


def test_a_closed_collection_says_so(collection: Collection) -> None:
    collection.close()
    with pytest.raises(CollectionError, match="closed"):
        collection.info()


def test_a_snapshot_ends_with_its_with(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    with collection.snapshot() as snapshot:
        pass
    with pytest.raises(CollectionError, match="has ended"):
        snapshot.keys(["a"])


def test_a_path_that_is_no_text_is_refused_by_name(collection: Collection, make: Make) -> None:
    for source in (dataclasses.replace(SOURCE, path="caf\udce9.jpg"), dataclasses.replace(SOURCE, size=1 << 63)):
        with pytest.raises(InvalidInput, match="image 'a'"):
            collection.append([make("a", source=source)])
        with pytest.raises(InvalidInput, match="image 'a'"):
            collection.update({}, {"a": source})
    assert collection.info().version == 0


def test_create_refuses_what_is_there_already(collection: Collection, settings: Settings, tiny: Encoder) -> None:
    with pytest.raises(CollectionError, match="a collection already"):
        Collection.create(collection.path, settings, tiny)
    other = collection.path.with_name("letters")
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(CollectionError, match=r"'letter\.txt'"):
        Collection.create(other, settings, tiny)
    with pytest.raises(CollectionError, match="is a file"):
        Collection.create(other / "letter.txt", settings, tiny)
    assert sorted(path.name for path in other.iterdir()) == ["letter.txt"]


def test_an_unfinished_creation_is_taken_up(folder: Path, settings: Settings, tiny: Encoder, make: Make) -> None:
    with Collection.create(folder, settings, tiny):
        pass
    (folder / "catalog.sqlite").rename(folder / "catalog.sqlite.tmp")
    with Collection.create(folder, settings, tiny) as made:
        made.append([make("a")])
        assert made.verify().ok


def test_what_unfinished_commits_left_is_swept_and_nothing_else(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    segments = collection.path / "segments"
    for name in ("00000002-0123abcd.safetensors", "00000002-0123abcd.safetensors.tmp", "notes.txt"):
        (segments / name).write_bytes(b"left")
    with Collection.open(collection.path, read_only=True):
        assert len(list(segments.iterdir())) == 4
    with Collection.open(collection.path):
        assert sorted(path.name for path in segments.iterdir())[1:] == ["notes.txt"]
