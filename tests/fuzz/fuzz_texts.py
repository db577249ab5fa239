"""Targets of text: filters as people write them, manifests, and the small JSON and TOML files read at start."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from fuzz_grammar import json_grammar, word_grammar
from fuzz_target import Ready, Target
from fuzz_wire import METADATA

from setwise_engine.filters import matches

__all__ = ["TARGETS"]

WORDS = rb"""
and or not in contains between exists true false null year tags ( ) [ ] , == != < <= > >= = 1 -2 .5 1e9 1e999 "not" AND
9223372036854775807 9223372036854775808 "a" 'b' "\u00e4" "\ud800" '\''
""".split()


def _where_texts(_: Path) -> Ready:
    """A filter as text: it travels, and its own text means the same."""
    from setwise._where_text import parse_where
    from setwise_server._filters import filter_from_proto
    from setwise_server.settings import Limits

    limits = Limits()

    def run(data: bytes) -> None:
        found = parse_where(data.decode("utf-8", "replace"))
        again = parse_where(str(found))
        here, there = (filter_from_proto(one.message(), limits) for one in (found, again))
        for one in METADATA:
            assert matches(here, one) == matches(there, one), (found, again)

    seeds = [
        'year >= 2020 and camera == "front"',
        "not (tags contains 'a' or half between 0.5 and 1e3) and no exists",
        '"a field" in [1, -2.5, "x\\u00e4", true, null] or false',
        "camera not in [] AND year != 3",
    ]
    return Ready(run, [text.encode() for text in seeds], word_grammar(WORDS))


def _snapshot_manifests(_: Path) -> Ready:
    """The first member of a snapshot: what passes names only files that a collection has, and reads back equal."""
    from setwise_engine.collection._manifest import MANIFEST, File, Manifest, read_manifest

    names = ["catalog.sqlite", "encoder.safetensors", "segments/00000001-0123abcd.safetensors"]
    seed = Manifest(2, "photos", "f" * 32, 3, 4, {name: File(10, "0" * 64) for name in names})

    def run(data: bytes) -> None:
        manifest = read_manifest(MANIFEST, BytesIO(data))
        for name in manifest.files:
            assert name == Path(name).as_posix()
            assert Path(name).parts[:-1] in ((), ("segments",))
        assert read_manifest(MANIFEST, BytesIO(manifest.to_bytes())) == manifest

    return Ready(run, [seed.to_bytes()], json_grammar())


def _image_manifests(folder: Path) -> Ready:
    """A list of images, CSV or JSONL (by the first byte): ids that can be stored, metadata that can be stored."""
    from setwise_engine.collection import check_metadata
    from setwise_indexer._manifest import read_manifest

    paths = [folder / "list.csv", folder / "list.jsonl"]

    def run(data: bytes) -> None:
        path = paths[data[0] % 2 if data else 0]
        path.write_bytes(data[1:])
        for item in read_manifest(str(path)).items:
            assert item.id
            assert "\0" not in item.id
            check_metadata(item.metadata, item.id)

    csv = b'\0path,id,year,name\na/b.jpg,one,2020,"x, ""y"""\nc.jpg,,1e3,\n'
    jsonl = b'\1{"path": "a.jpg", "id": "\xc3\xbc", "tags": ["a", 1, null]}\n\n{"path": "b.jpg", "half": 0.5}\n'
    return Ready(run, [csv, jsonl], json_grammar(skip=1))


def _aliases(folder: Path) -> Ready:
    """The file of aliases: names to names."""
    from setwise_engine.collection import Disk
    from setwise_server._aliases import ALIASES_FILE, read_aliases, write_aliases

    def run(data: bytes) -> None:
        (folder / ALIASES_FILE).write_bytes(data)
        aliases = read_aliases(folder)
        assert all(isinstance(one, str) for pair in aliases.items() for one in pair)

    write_aliases(folder, {"photos": "photos-2", "ü": "x"}, Disk())
    return Ready(run, [(folder / ALIASES_FILE).read_bytes()], json_grammar())


def _segment_headers(_: Path) -> Ready:
    """The header of a segment: tensors that lie within the file."""
    from setwise_engine.collection._layout import layout, parse, shapes

    size = 1 << 16

    def run(data: bytes) -> None:
        header = data.ljust(4088)
        tensors, _ = parse(header, size, "x")
        for tensor in tensors.values():
            assert 8 + len(header) <= tensor.start <= tensor.start + tensor.bytes <= size

    plain = {"kind": "setwise-segment", "version": "1", "collection": "c", "segment": "1"}
    gated = plain | {"gate": "1", "births": "1"}
    seeds = [layout(shapes(2, 5, 8, 4, 10), plain)[0], layout(shapes(2, 5, 8, 4, 10, gate=True, births=True), gated)[0]]
    return Ready(run, [seed[8:].rstrip() for seed in seeds], json_grammar())


TARGETS = (
    Target("where_texts", _where_texts),
    Target("snapshot_manifests", _snapshot_manifests),
    Target("image_manifests", _image_manifests),
    Target("aliases", _aliases),
    Target("segment_headers", _segment_headers),
)
