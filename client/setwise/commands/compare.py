"""`setwise compare`: every score of two pictures, and which patch of one matched which of the other."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from setwise._region import parse_region
from setwise.commands._connection import configure_connection, connect

if TYPE_CHECKING:
    from PIL import Image

    from setwise import Client, Comparison

__all__ = ["HELP", "configure", "run"]

HELP = "score two pictures against each other and show which patch matched which"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("a", metavar="A", help="an image file (with --id: a stored id)")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument("--target", metavar="T", help="host:port or a collection (default: the default network)")
    parser.add_argument("--id", action="store_true", help="A and B are ids of stored images")
    parser.add_argument("--region-a", type=parse_region, metavar="L,T,R,B", help="only this part of A, in pixels")
    parser.add_argument("--region-b", type=parse_region, metavar="L,T,R,B", help="only this part of B, in pixels")
    parser.add_argument("--kernel", help="which matching to show: cosine (default) or containment (with --region-a)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="matches to draw (default 12)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a picture of the matches")
    configure_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print, draw."""
    import setwise
    from setwise._pictures import check_picture_file

    if args.out is not None:
        check_picture_file(args.out)
    a, b = ((setwise.Id(side) if args.id else Path(side)) for side in (args.a, args.b))
    with _connect(args) as client:
        result = client.compare(
            a,
            b,
            kernel=args.kernel,
            region_a=args.region_a,
            region_b=args.region_b,
            matches=args.json or args.out is not None,
        )
        drawn = _draw(client, result, args) if args.out is not None else None
    if args.json:
        print(json.dumps(result.to_dict() | {"a": args.a, "b": args.b}, ensure_ascii=False))
    else:
        print("\n".join(_lines(result)))
    if drawn is not None:
        drawn.save(args.out)
        print(f"wrote {args.out}", file=sys.stderr)
    return 0


def _connect(args: argparse.Namespace) -> Client:
    """The target's client; without a target one that knows the default network and no images."""
    import setwise
    from setwise._local import LocalTransport

    if args.target is not None:
        return connect(args)
    if args.id or args.collection:
        raise setwise.InvalidArgumentError("--id and --collection need a --target that holds the images")
    return setwise.Client("default network", timeout=args.timeout, transport=LocalTransport(None))


def _draw(client: Client, result: Comparison, args: argparse.Namespace) -> Image.Image:
    if not args.id:
        return result.draw_matches(top=args.top)
    a, b = (client.get(side).thumbnail for side in (args.a, args.b))
    return result.draw_matches(a, b, top=args.top)


_MEANINGS = {
    "cosine": "semantic: every patch matched to its best place, one to one",
    "inner_product": "the matched sum itself",
    "rbf": "the same matching through a Gaussian",
    "spatio_semantic": "every patch against the one at its own position",
    "maxsim_query": "every patch of A with its best of B, shared ones allowed",
    "maxsim_hit": "every patch of B with its best of A",
    "pooled": "the two mean vectors",
    "containment": "how much of A is found in B, by a matching of its own",
}


def _lines(result: Comparison) -> list[str]:
    from setwise._table import printable, table

    rows = [
        [name, "-" if value is None else f"{value:.4f}", _MEANINGS.get(name, "")]
        for name, value in result.scores.to_dict().items()
    ]
    head = f"A {printable(result.a.label)}, B {printable(result.b.label)}"
    return [head, *table(["score", "value", ""], rows, right={1}, most=80)]
