"""Compose scenes: `python -m setwise_evaluation.scenes --out DIR --split fit --count 500 --seed 1`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from setwise_engine.errors import EngineError
from setwise_evaluation.scenes import (
    DEFAULT_BACKGROUNDS,
    DEFAULT_CUTOUTS,
    Split,
    find_backgrounds,
    find_cutouts,
    write_scenes,
)

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compose as the arguments say; 0 when done, 1 with a sentence on stderr when something is missing."""
    args = _parser().parse_args(arguments)
    try:
        labels = write_scenes(
            args.out,
            args.split,
            args.count,
            args.seed,
            cutouts=find_cutouts(args.cutouts),
            backgrounds=find_backgrounds(args.backgrounds),
        )
    except (EngineError, OSError) as error:
        print(f"setwise_evaluation.scenes: error: {error}", file=sys.stderr)
        return 1
    print(f"{args.count} scenes; labels in {labels}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m setwise_evaluation.scenes", description="Compose labelled scenes.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write scenes and labels.jsonl into")
    parser.add_argument("--split", type=Split, choices=list(Split), required=True, help="what the scenes are for")
    parser.add_argument("--count", type=int, required=True, help="how many scenes")
    parser.add_argument("--seed", type=int, default=1, help="other seeds give other scenes (default 1)")
    parser.add_argument(
        "--cutouts",
        type=Path,
        default=DEFAULT_CUTOUTS,
        help="folder of PNG cut-outs with alpha; default: the stamps of Debian's tuxpaint-stamps-default",
    )
    parser.add_argument(
        "--backgrounds",
        type=Path,
        nargs="+",
        default=list(DEFAULT_BACKGROUNDS),
        help="folders of photographs; default: Debian's mate-backgrounds and plasma-workspace-wallpapers",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
