"""Keep a collection in step with a folder while it serves: store what is new or changed, delete what is gone.

python examples/mirror_folder.py localhost:50051 holiday --prefix holiday/

Run it again whenever you like: what is stored already costs next to nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import setwise

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def items(folder: Path, prefix: str) -> Iterator[setwise.Item]:
    """The folder's pictures, with the year of their file as metadata."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            year = time.gmtime(path.stat().st_mtime).tm_year
            yield setwise.Item(prefix + path.relative_to(folder).as_posix(), path, {"folder": prefix, "year": year})


def main() -> None:
    """Mirror the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prefix", default="", help="put before every id, and kept as metadata")
    args = parser.parse_args()
    with setwise.connect(args.target) as client:
        report = client.upsert(
            items(args.folder, args.prefix), on_error=lambda failure: print(failure.id, failure.error)
        )
        print(report.summary())
        here = {item.id for item in items(args.folder, args.prefix)}
        stored = client.list(where=setwise.F("folder") == args.prefix, page_size=1000)
        gone = [image.id for image in stored if image.id not in here]
        print(f"{client.delete(gone).deleted} deleted")
        print(
            f"{client.count(where=setwise.F('folder') == args.prefix)} of {client.count()} images are from this folder"
        )


if __name__ == "__main__":
    main()
