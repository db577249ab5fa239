"""Targets of files: snapshots, catalogs, segments, indexes, encoders and sets, as they lie on disk or come from one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from fuzz_grammar import Grammar, block_grammar, json_grammar
from fuzz_target import Ready, Target
from fuzz_wire import small_collection
from workload import record, tiny_encoder

from setwise_engine.collection import Collection, restore, verify_folder, write_snapshot
from setwise_engine.encoder import Encoder
from setwise_engine.search import Options, Searcher

__all__ = ["TARGETS"]


def _use(folder: Path) -> None:
    """Everything that a reader does with a collection: lists, reads, searches both ways, verifies."""
    with Collection.open(folder, read_only=True) as collection:
        with collection.snapshot() as snapshot:
            keys = snapshot.page("", 100)
            for key, image in zip(keys, snapshot.stored(keys, metadata=True, thumbnails=True), strict=True):
                assert image.id
                snapshot.features(key)
        searcher = Searcher(collection, scan_threads=1)
        for options in (Options(k=3, exhaustive=True, matches=True), Options(k=3, scores=True, proofs=True)):
            for hit in searcher.search(record("", 4).features, options).hits:
                assert hit.score == hit.score
    verify_folder(folder)


def _in_place(folder: Path, find: Callable[[Path], Path], grammar: Grammar | None = None) -> Ready:
    """One file of a sound collection replaced by the case."""
    path = small_collection(folder)
    place = find(path)
    seed = place.read_bytes()

    def run(data: bytes) -> None:
        for beside in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
            (path / beside).unlink(missing_ok=True)
        place.unlink(missing_ok=True)  # never write into a file that is mapped
        place.write_bytes(data)
        _use(path)

    return Ready(run, [seed], grammar or block_grammar())


def _catalogs(folder: Path) -> Ready:
    """A catalog of strangers."""
    return _in_place(folder, lambda path: path / "catalog.sqlite")


def _segments(folder: Path) -> Ready:
    """A segment whose bytes changed: its checksums must say so."""
    return _in_place(folder, lambda path: next(path.glob("segments/*")))


def _indexes(folder: Path) -> Ready:
    """A FAISS file that is not what was written: never a wrong answer, and never read."""
    return _in_place(folder, lambda path: next(path.glob("index/*.faiss")))


def _sidecars(folder: Path) -> Ready:
    """What says which files the index is made of."""
    return _in_place(folder, lambda path: path / "index" / "coarse.json", json_grammar())


def _encoders(_: Path) -> Ready:
    """An encoder's file: what passes is what was written."""

    def run(data: bytes) -> None:
        encoder = Encoder.from_bytes(data)
        assert Encoder.from_bytes(encoder.to_bytes()).fingerprint == encoder.fingerprint
        encoder.encode(np.zeros((2, encoder.dims_in), np.float32))

    rng = np.random.default_rng(1)
    mean, projection, basis = (rng.normal(size=shape).astype("f4") for shape in ((6,), (6, 4), (4, 2)))
    whole = Encoder("m", 6, 4, mean, projection, 0.5, basis)
    return Ready(run, [tiny_encoder().to_bytes(), whole.to_bytes()], block_grammar())


def _sealed_segments(folder: Path) -> Ready:
    """A segment of a stranger who knows our checksums: its arrays are the case, its header is right."""
    from setwise_engine.collection._layout import parse
    from setwise_engine.collection._segment import Segment
    from setwise_engine.collection._segment_writer import crc32c
    from setwise_engine.collection._types import SegmentEntry

    path = next(small_collection(folder).glob("segments/*"))
    sound = path.read_bytes()
    length = int.from_bytes(sound[:8], "little")
    header = json.loads(sound[8 : 8 + length])
    tensors, metadata = parse(sound[8 : 8 + length], len(sound), path.name)
    rows, tokens = tensors["squares"].shape[0], tensors["tokens"].shape[0]
    thumbnails = tensors["thumbnails"].shape[0]
    entry = SegmentEntry(1, path.name, rows, tokens, thumbnails, len(sound), "")
    entry = entry._replace(id=int(metadata["segment"]))

    def run(data: bytes) -> None:
        body = np.frombuffer((data + bytes(len(sound)))[: len(sound) - 8 - length], np.uint8)
        whole = np.concatenate([np.frombuffer(sound[: 8 + length], np.uint8), body])
        sums = {
            f"crc32c.{name}": f"{crc32c(whole[place.start : place.start + place.bytes]):08x}"
            for name, place in tensors.items()
        }
        kept = {name: sums.get(name, value) for name, value in metadata.items()}
        text = json.dumps({"__metadata__": kept} | {k: v for k, v in header.items() if k != "__metadata__"})
        assert len(text) <= length or not text.startswith(" ")
        packed = text.replace(", ", ",").replace(": ", ":").encode().ljust(length)
        path.unlink(missing_ok=True)
        path.write_bytes(sound[:8] + packed[:length] + body.tobytes())
        segment = Segment(path.parent, entry, collection=metadata["collection"], dims=8, coarse=_coarse(tensors))
        segment.coarse()
        for row in range(rows):
            segment.thumbnail(row)
            segment.grid(row)
            segment.image_size(row)
            segment.unchecked(row)
            segment.tokens(row)

    return Ready(run, [sound[8 + length :]], block_grammar())


def _coarse(tensors: dict[str, object]) -> int:
    return int(tensors["coarse"].shape[1])  # type: ignore[attr-defined]


def _snapshots(folder: Path) -> Ready:
    """A snapshot: restored whole, or nothing of it is left; never a file beside its folder."""
    seed = _snapshot(small_collection(folder / "from"))
    beside = folder / "to"
    beside.mkdir(exist_ok=True)

    def run(data: bytes) -> None:
        target = beside / "r.setwise"
        shutil.rmtree(target, ignore_errors=True)
        try:
            restore(BytesIO(data), target)
            _use(target)
        finally:
            left = {path.name for path in beside.iterdir()}
            shutil.rmtree(target, ignore_errors=True)
            assert left <= {"r.setwise"}, left

    return Ready(run, [seed], block_grammar())


def _sealed_snapshots(folder: Path) -> Ready:
    """A snapshot of a stranger who knows our format: its catalog is the case, its manifest is right."""
    from setwise_engine.collection._manifest import File, Manifest
    from setwise_engine.collection._snapshot_tar import _archive, _small

    source = small_collection(folder / "from")
    with Collection.open(source) as collection, collection.snapshot() as snapshot:
        about = (2, collection.name, collection.uuid, snapshot.version, len(snapshot))
    seed = (source / "catalog.sqlite").read_bytes()
    files = {str(path.relative_to(source)): path.read_bytes() for path in source.glob("segments/*")}
    files["encoder.safetensors"] = (source / "encoder.safetensors").read_bytes()
    target = folder / "r.setwise"

    def run(data: bytes) -> None:
        members = {"catalog.sqlite": data, **files}
        said = {name: File(len(one), hashlib.sha256(one).hexdigest()) for name, one in members.items()}
        listed = [("manifest.json", Manifest(*about, said).to_bytes()), *members.items()]
        tar = b"".join(_archive([_small(name, one) for name, one in listed]))
        shutil.rmtree(target, ignore_errors=True)
        restore(BytesIO(tar), target)
        _use(target)

    return Ready(run, [seed], block_grammar())


def _snapshot(path: Path) -> bytes:
    out = BytesIO()
    with Collection.open(path) as collection:
        write_snapshot(collection, out)
    return out.getvalue()


def _set_files(folder: Path) -> Ready:
    """Ready-made sets as .npy or .safetensors (by the first byte): read or refused, never run."""
    from safetensors.numpy import save

    from setwise_indexer._items import Item
    from setwise_indexer._sets import SetFiles

    paths = [folder / "s.npy", folder / "s.safetensors"]
    out = BytesIO()
    np.save(out, np.ones((2, 3, 4), "f4"))
    named = save({"a": np.ones((3, 4), "f2"), "b": np.ones((2, 3, 4), "f4")})
    objects = BytesIO()
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)

    def run(data: bytes) -> None:
        path = paths[data[0] % 2 if data else 0]
        path.unlink(missing_ok=True)
        path.write_bytes(data[1:])
        files = SetFiles()
        for key in list(files.sets(str(path)))[:20]:
            assert files.tokens(Item("x", str(path), {}, key)).dtype != object

    return Ready(run, [b"\0" + out.getvalue(), b"\1" + named, b"\0" + objects.getvalue()], block_grammar())


TARGETS = (
    Target("catalogs", _catalogs, short=25, most=1 << 17),
    Target("segments", _segments, short=25, most=1 << 14),
    Target("sealed_segments", _sealed_segments, short=100, most=1 << 14),
    Target("indexes", _indexes, short=25, most=1 << 14),
    Target("sidecars", _sidecars, short=40),
    Target("encoders", _encoders),
    Target("snapshots", _snapshots, short=20, most=1 << 18),
    Target("sealed_snapshots", _sealed_snapshots, short=20, most=1 << 17),
    Target("set_files", _set_files, short=100),
)
