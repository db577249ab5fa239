"""`setwise evaluate retrieval`: from images and labels to figures."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setwise_engine.features import Extractor
    from setwise_evaluation.experiments.retrieval._types import Case, Retrieval, Side
    from setwise_evaluation.labels import Labelled
    from setwise_evaluation.report import Output
    from setwise_evaluation.rsm import Rsm

__all__ = ["configure", "run"]

_TITLE = "Retrieval: do the first hits show what the query shows?"
_PROTOCOLS = ("instance", "category", "counting")
_KS = (1, 5, 10, 20, 50)
_SCENES = 1000
_METHOD = """
Every image is a set of tokens. For each query all images are ranked by each similarity, and the labels of the first
hits are compared with the query's. F1 of a hit is 2 |Q and H| / (|Q| + |H|) over labels (with their numbers, where it
says counted); F1@k is its mean over the first k hits. P@k and AP (average precision) take a hit for relevant when it
shares a label; graded AP weighs hits by their F1. Intervals: 95 %, from resampled queries. In the rbf kernel images are
ranked by their distance, whatever sigma is: |Q|^2 + |X|^2 - 2 L, in which differences of norms count, as they do not in
the cosine. Equal scores go by the ids.
"""
_CAPTION = (
    "on the left, mean F1 of the first k hits in the cosine kernel; on the right, every similarity in every kernel "
    "with its 95 % interval over queries. Dotted: what a random order expects."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what this experiment has beside --out, --seed and --threads."""
    add = parser.add_argument_group("which images").add_argument
    add("--database", type=Path, metavar="DIR", help="collection or folder of images (default: composed scenes)")
    add("--queries", type=Path, metavar="DIR", help="collection or folder (default: the database, less the query)")
    add("--labels", type=Path, metavar="PATH", help="COCO, LVIS, EgoObjects, Cityscapes, folders, JSON Lines or CSV")
    add("--query-labels", type=Path, metavar="PATH", help="labels of the queries, where they are not in --labels")
    add(
        "--labels-format",
        metavar="NAME",
        help="coco, lvis, egoobjects, cityscapes, folders, lines (default: found out)",
    )
    add("--label-kind", metavar="NAME", help="categories, instances, all-classes, or a field of JSON Lines")
    add("--min-share", type=float, default=0.0, metavar="X", help="least share of a label image's pixels (default 0)")
    add("--counted", action="store_true", help="numbers of labels matter: F1 over counted labels")
    add("--protocol", nargs="+", default=list(_PROTOCOLS), choices=_PROTOCOLS, help="composed scenes (default: all)")
    add("--count", type=int, metavar="N", help="images at most (default: all; 1000 scenes)")
    add("--query-count", type=int, default=300, metavar="N", help="queries at most (default 300)")
    add = parser.add_argument_group("how").add_argument
    add("--model", nargs="+", default=["efficientnet-lite0"], metavar="NAME", help="networks, for folders and scenes")
    add("--image-size", type=int, metavar="PX", help="side of the square that the network sees")
    add("--weights", metavar="FILE", help="the network's weights")
    add("--k", type=int, nargs="+", default=_KS, metavar="N", help=f"numbers of hits to look at (default: {_KS})")
    add("--resamples", type=int, default=10_000, metavar="N", help="bootstrap samples of queries (default 10000)")
    add("--work", type=Path, metavar="DIR", help="keeps scenes, tokens and finished tiles, from which a run goes on")


def run(args: argparse.Namespace) -> int:
    """Do it for every network and data set, write args.out/retrieval and print the scores. Returns 0."""
    from setwise_evaluation.experiments.retrieval._figures import draw
    from setwise_evaluation.report import Output

    folder = args.out / "retrieval"
    said = {"experiment": "retrieval", "title": _TITLE, "settings": _settings(args), "seed": args.seed}
    slugs: list[str] = []
    with ExitStack() as stack, Output(folder, **said) as output:
        work = args.work or Path(stack.enter_context(TemporaryDirectory()))
        output.text(_METHOD)
        labels = None if args.database is None else _labels(args)  # before a network is loaded for nothing
        for extractor in _extractors(args, output):
            network = extractor.info.name if extractor else "encoded tokens"
            studies = []
            for case in _cases(args, labels, stack, work, extractor):
                slugs.append(_slug(f"{case.name}-{network}"))
                studies.append((case.name, _study(output, args, case, network)))
            output.figure(f"retrieval-{_slug(network)}", draw(studies), caption=f"{network}: {_CAPTION}")
    for slug in slugs:
        print((folder / f"{slug}-scores.md").read_text(encoding="utf-8"))
    return 0


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    both = ("query_count", "model", "image_size", "k", "resamples")
    if args.database is None:
        return {"images": "composed scenes", "protocols": args.protocol, "count": args.count or _SCENES} | {
            name: getattr(args, name) for name in both
        }
    own = ("database", "queries", "labels", "query_labels", "labels_format", "label_kind", "min_share", "counted")
    return {name: getattr(args, name) for name in (*own, "count", *both)}


def _extractors(args: argparse.Namespace, output: Output) -> Iterator[Extractor | None]:
    """Every network that is asked for; none for a collection, whose tokens are there."""
    from setwise_engine.features import load_extractor
    from setwise_evaluation.experiments.retrieval._places import is_collection

    if args.database is not None and is_collection(args.database):
        yield None
        return
    for model in args.model:
        extractor = load_extractor(model, image_size=args.image_size, weights=args.weights)
        info = extractor.info
        output.input(f"weights of {info.name}", sha256=info.weights)
        numbers = {
            "fingerprint": info.fingerprint,
            "image_size": info.image_size,
            "tokens": info.tokens,
            "dims": info.dims,
        }
        output.result(f"model {info.name}", numbers)
        yield extractor


def _cases(
    args: argparse.Namespace,
    labels: tuple[Labelled, Labelled] | None,
    stack: ExitStack,
    work: Path,
    extractor: Extractor | None,
) -> Iterator[Case]:
    from setwise_evaluation.experiments.retrieval._places import Asked, place_case
    from setwise_evaluation.experiments.retrieval._scenes import scene_case

    if labels is not None:
        asked = Asked(args.count, args.query_count, args.seed, args.counted, args.weights, _say)
        yield place_case(stack, (args.database, args.queries), labels, asked, extractor)
        return
    assert extractor is not None
    work.mkdir(parents=True, exist_ok=True)
    sizes = {"images": args.count or _SCENES, "queries": args.query_count, "seed": args.seed, "progress": _say}
    for protocol in args.protocol:
        yield scene_case(protocol, extractor, work, **sizes)


def _labels(args: argparse.Namespace) -> tuple[Labelled, Labelled]:
    """Labels of the database and of the queries. Raises InvalidInput when none were named."""
    from setwise_engine.errors import InvalidInput
    from setwise_evaluation.labels import read_labels

    if args.labels is None:
        raise InvalidInput("labels are missing; name their file or folder with --labels", field="--labels")
    how = {"format": args.labels_format, "kind": args.label_kind, "min_share": args.min_share}
    labels = read_labels(args.labels, **how)
    return labels, read_labels(args.query_labels, **how) if args.query_labels else labels


def _study(output: Output, args: argparse.Namespace, case: Case, network: str) -> Retrieval:
    """One data set and one network: matrices, measures, tables and sentences."""
    from setwise_evaluation.experiments.retrieval._similarities import matched_sums_of, readings
    from setwise_evaluation.experiments.retrieval._study import retrieval
    from setwise_evaluation.experiments.retrieval._tables import write_case
    from setwise_evaluation.experiments.retrieval._words import sentences

    title = f"{case.name}, {network}"
    began = time.perf_counter()
    database = None if case.leave_one_out and case.queries.ids == case.database.ids else case.database.tokens
    progress: Callable[[str, int, int], None] = lambda name, done, total: _say(f"{title}, {name}", done, total)  # noqa: E731
    store = args.work / "sums" / case.key if args.work else None
    sums = matched_sums_of(case.queries.tokens, database, threads=args.threads, progress=progress, store=store)
    output.timing(f"matrices, {title}", time.perf_counter() - began)
    study = retrieval(
        readings(sums),
        [_asked_of(labels, case) for labels in case.queries.labels],
        [_asked_of(labels, case) for labels in case.database.labels],
        query_ids=case.queries.ids,
        database_ids=case.database.ids,
        ks=args.k,
        leave_one_out=case.leave_one_out,
        seed=args.seed,
        resamples=args.resamples,
    )
    _inputs(output, case, sums, title)
    for paragraph in (f"{title}: {' '.join(case.said)}", *sentences(study)):
        output.text(paragraph)
    for reason in case.left_out:
        print(f"left out: {reason}", file=sys.stderr)
    write_case(output, _slug(f"{case.name}-{network}"), case, study, sums)
    return study


def _asked_of(labels: Any, case: Case) -> Any:
    return labels if case.counted else frozenset(labels)


def _inputs(output: Output, case: Case, sums: Any, title: str) -> None:
    """Hashes of the tokens, and of ids and labels as they were read."""
    matrix: Rsm = sums["semantic"]
    output.input(f"tokens of queries, {title}", sha256=matrix.row_fingerprint)
    output.input(f"tokens of images, {title}", sha256=matrix.column_fingerprint)
    for name, side in (("queries", case.queries), ("images", case.database)):
        output.input(f"labels of {name}, {title}", sha256=_digest(side))


def _digest(side: Side) -> str:
    lines = json.dumps([side.ids, [sorted(labels.items()) for labels in side.labels]])
    return hashlib.sha256(lines.encode()).hexdigest()


def _slug(title: str) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in title.lower())
    return plain.strip("-")


def _say(name: str, done: int, total: int) -> None:
    """Progress on stderr: one line, written over; the next thing gets the next line."""
    print(f"\r{name}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
