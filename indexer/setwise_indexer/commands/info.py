"""setwise info: what is in a collection."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from setwise_engine.collection import CollectionInfo, Room

__all__ = ["HELP", "configure", "human_bytes", "run"]

HELP = "print what is in a collection"

_KIBI = 1024.0
_MILLION = 1_000_000
_MEMORY = "in memory"
_CACHES = "caches"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise info`."""
    parser.add_argument("collection", type=Path, metavar="DIR", help="the collection's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print settings, counts, bytes on disk and in memory, and what a million more images will need. Returns 0."""
    from setwise_engine.collection import Collection

    with Collection.open(args.collection, read_only=True) as collection:
        info = collection.info()
        plain = collection.encoder.projection is None
        room, next_million = collection.room(_MILLION)
    if args.json:
        more = {"room": asdict(room), "next_million": None if next_million is None else asdict(next_million)}
        print(json.dumps(asdict(info) | {"total_bytes": info.total_bytes} | more, indent=2))
        return 0
    rows = _rows(info, plain=plain) + _room_rows(room, info.images) + _next_rows(next_million)
    rows += [("version", f"{info.version}, format {info.format_version}, made {info.created}"), ("uuid", info.uuid)]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    return 0


def _rows(info: CollectionInfo, *, plain: bool) -> list[tuple[str, str]]:
    settings = info.settings
    model = f"{settings.model}, {settings.image_size} px ({settings.model_fingerprint})"
    mean = f", {info.tokens / info.images:.0f} an image" if info.images else ""
    encoder = f"{settings.encoder_fingerprint}{' (tokens as they are)' if plain else ''}, sigma {info.sigma:.4g}"
    index = f"{info.index.factory}, {info.indexed:,} images" if info.index else "none yet"
    return [
        ("collection", f"{info.name} ({info.path})"),
        ("images", f"{info.images:,}"),
        ("tokens", f"{info.tokens:,}{mean}, {settings.dims} numbers each"),
        ("model", model if settings.model else "ready-made feature sets"),
        ("encoder", encoder),
        ("coarse vectors", settings.coarse),
        ("thumbnails", "yes" if settings.thumbnails else "no"),
        ("int8 gate", "yes" if settings.gate else "no"),
        ("index", index),
        ("segments", f"{info.segments:,}, {info.dead_rows:,} dead rows"),
    ]


def _room_rows(room: Room, images: int) -> list[tuple[str, str]]:
    """What is there now: in all, of each kind that there is, and divided by the images."""
    rows: list[tuple[str, str]] = []
    for name, kinds in _parts(room):
        rows.append((name, _shared(sum(kinds.values()), images)))
        rows += [(f"  {kind}", _shared(size, images)) for kind, size in kinds.items() if size]
        if name == _MEMORY:
            rows.append((f"  {_CACHES}", f"at most {human_bytes(room.memory[_CACHES])} besides"))
    return rows


def _next_rows(room: Room | None) -> list[tuple[str, str]]:
    """What a million more images like these will take."""
    if room is None:
        return []
    needs = ", ".join(f"{human_bytes(sum(kinds.values()))} {name}" for name, kinds in _parts(room))
    return [("next 1,000,000", f"{needs}, if they are like these")]


def _parts(room: Room) -> list[tuple[str, dict[str, int]]]:
    """The room's parts and their names; caches stand apart, because they have bounds and the images none."""
    memory = {kind: size for kind, size in room.memory.items() if kind != _CACHES}
    return [("on disk", room.disk), (_MEMORY, memory), ("read by each search", room.mapped)]


def _shared(size: int, images: int) -> str:
    return f"{human_bytes(size)}, {human_bytes(size / images)} an image" if images else human_bytes(size)


def human_bytes(size: float) -> str:
    """12345 as "12.1 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _KIBI:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIBI
    return f"{size:.1f} TiB"
