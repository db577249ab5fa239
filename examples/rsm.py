"""Which pictures of a folder are alike: a representational similarity matrix, with and without respect to place.

python examples/rsm.py holiday/ --out rsm/
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from setwise_evaluation.activations import activations
from setwise_evaluation.rsm import heat_map, rsm


def main() -> None:
    """Draw both matrices and name the two different pictures that are most alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--out", type=Path, default=Path("rsm"))
    args = parser.parse_args()
    pictures = sorted(path for path in args.folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    names = tuple(picture.name for picture in pictures)
    tokens = activations(pictures, model=args.model).tokens  # (pictures, places, numbers)
    args.out.mkdir(parents=True, exist_ok=True)
    for matching, name in (("exact", "semantic"), ("none", "spatio-semantic")):
        matrix = replace(rsm(tokens, kernel="cosine", matching=matching), row_ids=names, column_ids=names)
        figure, caption = heat_map(matrix)
        figure.savefig(args.out / f"{name}.png", dpi=150)
        np.save(args.out / f"{name}.npy", matrix.values)
        alike = np.triu(matrix.values, 1)
        one, other = np.unravel_index(alike.argmax(), alike.shape)
        print(f"{name}: {names[one]} and {names[other]} ({alike[one, other]:.3f}). {caption}")


if __name__ == "__main__":
    main()
