"""Ask with every picture of a folder, and keep a contact sheet of each answer.

python examples/search_folder.py photos.setwise holiday/ --out sheets/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import setwise


def main() -> None:
    """Search with all pictures in few calls; a broken one does not stop the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="host:port, or a collection's directory")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("sheets"))
    args = parser.parse_args()
    pictures = sorted(path for path in args.folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    args.out.mkdir(parents=True, exist_ok=True)
    with setwise.connect(args.target) as client:
        for picture, outcome in zip(pictures, client.search_many(pictures, k=5, thumbnails=True), strict=True):
            if isinstance(outcome, setwise.SetwiseError):
                print(f"{picture.name}: {outcome}")
                continue
            outcome.save(args.out / f"{picture.stem}.png")
            best = f"{outcome[0].id} ({outcome[0].score:.3f})" if outcome else "nothing"
            print(f"{picture.name}: {best}")


if __name__ == "__main__":
    main()
