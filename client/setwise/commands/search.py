"""`setwise search`: ask a server or a collection, from a shell."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from setwise._region import parse_region
from setwise.commands._connection import configure_connection, connect

if TYPE_CHECKING:
    from setwise import Client, Hits, SetwiseError

__all__ = ["HELP", "configure", "run"]

HELP = "find the images that show the same things as a picture"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("target", metavar="TARGET", help="host:port of a server, or a collection's directory")
    parser.add_argument("queries", metavar="QUERY", nargs="+", help="image files to ask with (with --id: stored ids)")
    parser.add_argument("--id", action="store_true", help="the queries are ids of stored images")
    parser.add_argument("-k", type=int, default=10, help="how many hits (default 10)")
    parser.add_argument("--candidates", type=int, metavar="N", help="images recalled for exact scoring, at least k")
    parser.add_argument("--exhaustive", action="store_true", help="score every image: proven for the whole collection")
    parser.add_argument(
        "--region", type=parse_region, metavar="L,T,R,B", help="ask with this part of each picture, in pixels"
    )
    parser.add_argument("--kernel", help="cosine (default), inner_product, rbf or containment (default with --region)")
    parser.add_argument("--min-score", type=float, metavar="S", help="leave out hits below this score")
    parser.add_argument("--where", metavar="TEXT", help="only images that pass, such as 'year >= 2020'")
    parser.add_argument("--group-by", metavar="FIELD", help="at most one hit for each value of this metadata field")
    parser.add_argument("--group-size", type=int, metavar="N", help="with --group-by: at most N hits")
    parser.add_argument("--partial", action="store_true", help="when the time runs out, show the best found so far")
    parser.add_argument("--scores", action="store_true", help="show every score of each hit")
    parser.add_argument("--proof", action="store_true", help="check that each hit's matching is optimal, and say so")
    parser.add_argument("--json", action="store_true", help="print JSON, one line a query")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a contact sheet; several queries number it")
    configure_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, print, draw; 1 when a query failed."""
    import setwise
    from setwise._pictures import check_picture_file

    if args.out is not None:
        check_picture_file(args.out)
    queries = [setwise.Id(query) if args.id else Path(query) for query in args.queries]
    with connect(args) as client:
        outcomes = client.search_many(
            queries,
            k=args.k,
            regions=None if args.region is None else [args.region] * len(queries),
            candidates=args.candidates,
            exhaustive=True if args.exhaustive else None,
            kernel=args.kernel,
            min_score=args.min_score,
            scores=args.scores,
            thumbnails=args.out is not None,
            proof=args.proof,
            where=args.where,
            group_by=args.group_by,
            group_size=args.group_size,
            partial=args.partial,
        )
        proven = [_check(client, outcome) if args.proof else "" for outcome in outcomes]
    failed = 0
    for number, (query, outcome, line) in enumerate(zip(args.queries, outcomes, proven, strict=True), start=1):
        if isinstance(outcome, setwise.SetwiseError):
            failed += 1
            _tell_error(args, query, outcome)
        else:
            _tell_hits(args, query, outcome, number, line)
    return 1 if failed else 0


def _tell_error(args: argparse.Namespace, query: str, error: SetwiseError) -> None:
    if args.json:
        print(json.dumps({"query": query, "error": error.to_dict()}, ensure_ascii=False))
    print(f"setwise search: error: {query}: {error}", file=sys.stderr)


def _check(client: Client, outcome: Hits | SetwiseError) -> str:
    """What was proven, in a line, after checking the proof of every hit here. Raises ProofError."""
    import setwise

    if isinstance(outcome, setwise.SetwiseError):
        return ""
    for hit in outcome:
        features = client.get(hit.id, thumbnail=False, features=True).features
        assert features is not None
        hit.verify(features)
    return f"proof: {outcome.certificate.sentence()}; the matchings of all {len(outcome)} hits checked here"


def _tell_hits(args: argparse.Namespace, query: str, hits: Hits, number: int, proven: str) -> None:
    for warning in hits.warnings:
        print(f"setwise search: warning: {query}: {warning}", file=sys.stderr)
    if args.json:
        print(json.dumps(hits.to_dict() | {"query": query}, ensure_ascii=False))
    else:
        if number > 1:
            print()
        print("\n".join([*_lines(query, hits), *([proven] if proven else [])]))
    if args.out is not None:
        _save(hits, _numbered(args.out, number, len(args.queries)))


def _lines(query: str, hits: Hits) -> list[str]:
    from setwise._table import printable, table

    head = f"{printable(query)}: {len(hits)} {'hit' if len(hits) == 1 else 'hits'} ({hits.summary()})"
    if not hits:
        return [head]
    columns = {
        "rank": [str(rank) for rank in range(1, len(hits) + 1)],
        "score": [f"{hit.score:.4f}" for hit in hits],
        **_scores(hits),
    }
    numeric = len(columns)
    if any(hit.group is not None for hit in hits):
        columns["group"] = [json.dumps(hit.group, ensure_ascii=False) for hit in hits]
    columns["id"] = [hit.id for hit in hits]
    if any(hit.metadata for hit in hits):
        columns["metadata"] = [json.dumps(hit.metadata, ensure_ascii=False) for hit in hits]
    return [head, *table(list(columns), list(zip(*columns.values(), strict=True)), right=range(numeric))]


def _scores(hits: Hits) -> dict[str, list[str]]:
    every = [hit.scores.to_dict() for hit in hits if hit.scores is not None]
    return (
        {name: ["-" if row[name] is None else f"{row[name]:.4f}" for row in every] for name in every[0]}
        if every
        else {}
    )


def _numbered(path: Path, number: int, count: int) -> Path:
    """answer.png for one query; answer-1.png, answer-2.png for several."""
    return path if count == 1 else path.with_stem(f"{path.stem}-{number:0{len(str(count))}}")


def _save(hits: Hits, path: Path) -> None:
    hits.save(path)
    print(f"wrote {path}", file=sys.stderr)
