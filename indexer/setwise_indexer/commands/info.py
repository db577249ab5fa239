"""setwise info: what is in a collection."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from setwise_engine.collection import CollectionInfo

__all__ = ["HELP", "configure", "human_bytes", "run"]

HELP = "print what is in a collection"

_KIBI = 1024.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise info`."""
    parser.add_argument("collection", type=Path, metavar="DIR", help="the collection's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the collection's settings, counts and bytes. Returns 0."""
    from setwise_engine.collection import Collection

    with Collection.open(args.collection, read_only=True) as collection:
        info = collection.info()
        plain = collection.encoder.projection is None
    if args.json:
        print(json.dumps(asdict(info) | {"total_bytes": info.total_bytes}, indent=2))
        return 0
    rows = _rows(info, plain=plain)
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
        ("on disk", human_bytes(info.total_bytes)),
        *((f"  {kind}", human_bytes(size)) for kind, size in info.bytes.items()),
        ("version", f"{info.version}, format {info.format_version}, made {info.created}"),
        ("uuid", info.uuid),
    ]


def human_bytes(size: float) -> str:
    """12345 as "12.1 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _KIBI:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIBI
    return f"{size:.1f} TiB"
