"""setwise index: images in bulk into a collection."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal

__all__ = ["HELP", "configure", "run"]

HELP = "bring a collection up to date with folders, files or a manifest of images"

_DESCRIPTION = """
Makes the collection, or brings it up to date: new images are indexed, changed ones replaced, unchanged ones skipped.
Stop it whenever you like: the same command again goes on where it was. docs/indexing.md tells the rest.
"""
_STOPPED = "setwise index: stopped; all that was finished is stored. Run the same command again and it goes on."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise index`."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    add("sources", nargs="*", metavar="SOURCE", help="folder (searched recursively), file, or glob in quotes")
    add("--into", type=Path, required=True, metavar="DIR", help="the collection's folder, e.g. photos.setwise")
    add("--manifest", metavar="FILE", help="CSV or JSONL instead of sources: path, optional id, metadata columns")
    add("--features", action="store_true", help="the files are ready-made feature sets (.npy, .safetensors)")
    add("--prune", action="store_true", help="remove from the collection what this run's sources no longer hold")
    add("--report", type=Path, metavar="FILE", help="write failed images there, one JSON object a line")
    add("--strict", action="store_true", help="exit with 3 when an image failed (the others are indexed)")
    _configure_new(parser.add_argument_group("for a new collection (an existing one keeps its own)"))
    _configure_speed(parser.add_argument_group("speed"))


def _configure_new(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model", help="network, e.g. efficientnet-lite0 (default), timm:NAME, torchvision:NAME")
    add("--image-size", type=int, metavar="PX", help="side of the square that the network sees")
    add("--weights", metavar="FILE", help="the network's weights; give it again with every later run")
    add("--dims", type=_dims, metavar="N", help='numbers in a token (default 256); "none" keeps the network\'s own')
    add("--fit", action="store_true", help="fit the encoder to these images even where one is shipped")
    add("--encoder-from", type=Path, metavar="DIR", help="use the encoder of this collection")
    add("--coarse", metavar="KIND", help="coarse vectors: mean, sqrtcov16, -32 or -64, mean+sqrtcov32 or -64")
    add("--no-thumbnails", action="store_true", help="store no thumbnails")
    add("--no-gate", action="store_true", help="store no int8 copy of the tokens: a third less disk, slower searches")


def _configure_speed(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    add("--bf16", action="store_true", help="run the network in bfloat16: faster on a GPU, less exact")
    add("--workers", type=int, metavar="N", help="threads that decode (default: one a core)")
    add("--batch-size", type=int, metavar="N", help="images in one forward pass")
    add("--commit-seconds", type=float, default=10.0, metavar="S", help="commit after so many seconds (10) or 64 MiB")


def _dims(text: str) -> int | Literal["none"]:
    return "none" if text == "none" else int(text)


def run(args: argparse.Namespace) -> int:
    """Index and print the summary. Returns 0, or 3 with --strict when images failed, or 130 after an interrupt."""
    from setwise_indexer import Request, index

    request = Request(
        into=args.into,
        sources=tuple(args.sources),
        manifest=args.manifest,
        features=args.features,
        model=args.model,
        image_size=args.image_size,
        weights=args.weights,
        dims=args.dims,
        encoder_from=args.encoder_from,
        fit=args.fit,
        device=args.device,
        bf16=args.bf16,
        coarse=args.coarse,
        thumbnails=False if args.no_thumbnails else None,
        gate=False if args.no_gate else None,
        workers=args.workers,
        batch_size=args.batch_size,
        commit_seconds=args.commit_seconds,
        prune=args.prune,
        report=args.report,
    )
    try:
        summary = index(request)
    except KeyboardInterrupt:
        print(_STOPPED, file=sys.stderr)
        return 130
    print(summary)
    return 3 if args.strict and summary.failed else 0
