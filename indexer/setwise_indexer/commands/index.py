"""setwise index: images in bulk into a collection."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from setwise_indexer import Request

__all__ = ["HELP", "configure", "configure_new", "configure_speed", "options", "run", "run_request"]

HELP = "bring a collection up to date with folders, files or a manifest of images"

_DESCRIPTION = """
Makes the collection, or brings it up to date: new images are indexed, changed ones replaced, unchanged ones skipped.
Stop it whenever you like: the same command again goes on where it was. docs/indexing.md tells the rest.
"""
_STOPPED = "setwise {}: stopped; all that was finished is stored. Run the same command again and it goes on."


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
    add("--index-factory", metavar="TEXT", help='kind of FAISS index, e.g. SQ8, "IVF{lists},SQ8"; "" for one by size')
    configure_new(parser.add_argument_group("for a new collection (an existing one keeps its own)"))
    configure_speed(parser.add_argument_group("speed"))


def configure_new(group: argparse._ArgumentGroup) -> None:
    """Add what settles how a new collection is made."""
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


def configure_speed(group: argparse._ArgumentGroup) -> None:
    """Add what settles how fast a run is."""
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
    from setwise_indexer import Request

    plain = {"sources": tuple(args.sources), "manifest": args.manifest, "features": args.features, "prune": args.prune}
    request = Request(**plain, **options(args), index_factory=args.index_factory)
    return run_request(request, strict=args.strict, command="index")


def options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of Request that every run has."""
    named = ("into", "model", "image_size", "weights", "dims", "encoder_from", "fit", "coarse", "report")
    speed = ("device", "bf16", "workers", "batch_size", "commit_seconds")
    return {name: getattr(args, name) for name in (*named, *speed)} | {
        "thumbnails": False if args.no_thumbnails else None,
        "gate": False if args.no_gate else None,
    }


def run_request(request: Request, *, strict: bool, command: str) -> int:
    """Do it and print the summary. Returns 0, or 3 with `strict` when images failed, or 130 after an interrupt."""
    from setwise_indexer import index

    try:
        summary = index(request)
    except KeyboardInterrupt:
        print(_STOPPED.format(command), file=sys.stderr)
        return 130
    print(summary)
    return 3 if strict and summary.failed else 0
