"""setwise rsm: the representational similarity matrix of images."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

    from setwise_evaluation.report import Output
    from setwise_evaluation.rsm import Rsm

__all__ = ["HELP", "configure", "main", "run"]

HELP = "compare all images with all: a similarity matrix, its figure and its numbers"

_DESCRIPTION = """
Matches the tokens of every image with those of every other and writes the matrix in each kernel to DIR/rsm, with a
figure, a table and a JSON; DIR/report.html shows them. Matched sums are kept in DIR/rsm-store: stop it whenever you
like, the same command again goes on where it was, and another kernel costs no second matching.
"""
_KERNELS = ("cosine", "inner_product", "rbf")
_MATCHINGS = ("exact", "none", "greedy", "topk-greedy", "batch-optimal", "sinkhorn", "maxsim", "chamfer")
_OPTIONS = ("window", "top", "regularisation", "iterations")


def main(words: Sequence[str]) -> int:
    """Run `setwise rsm WORDS`, and have the report say so. Returns what `run` does."""
    parser = argparse.ArgumentParser(prog="setwise rsm", allow_abbrev=False)
    configure(parser)
    args = parser.parse_args(words)
    from setwise_evaluation.report import made_by

    with made_by(["setwise", "rsm", *words]):
        return run(args)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise rsm`."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    source = "collection's folder, .npy or .npz of activations (n, c, h, w) or (n, t, d), or folder of images"
    add("source", metavar="SOURCE", type=Path, help=source)
    add("--against", metavar="SOURCE", type=Path, help="compare with these images instead of with each other")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the matrix, figure, table and report.html")
    add("--kernel", action="append", choices=_KERNELS, help="may be repeated (default: cosine)")
    add("--sigma", type=float, metavar="S", help="of rbf (default: the root of the median matched squared distance)")
    add("--matching", choices=_MATCHINGS, default="exact", help="how tokens are paired (default: exact)")
    add("--window", type=int, metavar="N", help="batch-optimal: tokens a window")
    add("--top", type=int, metavar="N", help="topk-greedy: tokens matched optimally")
    add("--regularisation", type=float, metavar="E", help="sinkhorn: entropy weight")
    add("--iterations", type=int, metavar="N", help="sinkhorn: rounds")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="threads (default: one a core)")
    add("--tile", type=int, metavar="N", help="images a side of a tile (default: about 32 MiB of tokens)")
    group = parser.add_argument_group("for folders of images")
    group.add_argument("--model", default="efficientnet-lite0", help="network (default: efficientnet-lite0)")
    group.add_argument("--image-size", type=int, metavar="PX", help="side of the square that the network sees")
    group.add_argument("--weights", metavar="FILE", help="the network's weights")
    group.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")


def run(args: argparse.Namespace) -> int:
    """Compute, write, and say where. Returns 0, or 130 after an interrupt."""
    try:
        matrix = _matrix(args)
    except KeyboardInterrupt:
        print(f"setwise rsm: stopped; finished tiles are kept in {_store(args)}. ", end="", file=sys.stderr)
        print("Run the same command again and it goes on.", file=sys.stderr)
        return 130
    from setwise_evaluation.report import Output

    settings = {name: getattr(args, name) for name in ("source", "against", "matching", "sigma", *_OPTIONS)}
    title = "Representational similarity matrix"
    with Output(args.out / "rsm", experiment="rsm", title=title, settings=settings) as output:
        _write(output, matrix, args)
    print(f"{matrix.shape[0]:,} x {matrix.shape[1]:,} images: {args.out / 'rsm'}, {args.out / 'report.html'}")
    return 0


def _store(args: argparse.Namespace) -> Path:
    path: Path = args.out / "rsm-store"
    return path


def _matrix(args: argparse.Namespace) -> Rsm:
    from tqdm import tqdm

    from setwise_evaluation.matchers import MatchingOptions
    from setwise_evaluation.rsm import rsm

    options = MatchingOptions(**{name: value for name in _OPTIONS if (value := getattr(args, name)) is not None})
    rows, row_ids = _images(args.source, args)
    columns, column_ids = (None, None) if args.against is None else _images(args.against, args)
    with tqdm(desc="matching", unit=" pairs", unit_scale=True, disable=None) as bar:
        return rsm(
            rows,
            columns,
            kernel=(args.kernel or ["cosine"])[0],
            matching=args.matching,
            sigma=args.sigma,
            threads=args.threads,
            progress=functools.partial(_show, bar),
            store=_store(args),
            options=options,
            tile=args.tile,
            row_ids=row_ids,
            column_ids=column_ids,
        )


def _show(bar: tqdm[NoReturn], done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def _images(source: Path, args: argparse.Namespace) -> tuple[Any, list[str] | None]:
    """What `rsm` takes for a source, and the ids where it does not bring them."""
    if not source.is_dir() or (source / "catalog.sqlite").exists():
        return source, None
    from tqdm import tqdm

    from setwise_engine.errors import InvalidInput
    from setwise_evaluation.activations import activations
    from setwise_evaluation.labels import IMAGE_SUFFIXES

    found = {path.relative_to(source).as_posix(): path for path in source.rglob("*")}
    ids = sorted((id for id in found if found[id].suffix.lower() in IMAGE_SUFFIXES), key=str.encode)
    if not ids:
        raise InvalidInput(f"{source} is no collection and holds no images; give a folder that does", field="SOURCE")
    with tqdm(desc="images", unit=" images", disable=None) as bar:
        made = activations(
            [found[id] for id in ids],
            model=args.model,
            image_size=args.image_size,
            weights=args.weights,
            device=args.device,
            progress=functools.partial(_show, bar),
        )
    return made, ids


def _write(output: Output, matrix: Rsm, args: argparse.Namespace) -> None:
    """The matrix in every kernel, its figures, and one table."""
    from setwise_evaluation.rsm import heat_map, summarise

    kernels = list(dict.fromkeys(args.kernel or ["cosine"]))
    names = (args.source.name, (args.against or args.source).name)
    output.input(names[0], sha256=matrix.row_fingerprint)
    if args.against is not None:
        output.input(f"against {names[1]}", sha256=matrix.column_fingerprint)
    output.text(_said(matrix))
    rows = []
    for kernel in kernels:
        summary = summarise(matrix, kernel, args.sigma)
        output.file(f"rsm-{kernel}.npy", functools.partial(matrix.write, kernel=kernel, sigma=args.sigma))
        figure, caption = heat_map(matrix, kernel, args.sigma, names=names)
        output.figure(f"rsm-{kernel}", figure, caption=caption)
        rows.append([kernel, summary.sigma, summary.pairs, summary.mean, summary.spread, summary.least, summary.most])
    header = ["kernel", "sigma", "pairs", "mean", "standard deviation", "smallest", "largest"]
    output.table("summary", header=header, rows=rows, caption="Similarities of different images, each pair once.")
    output.result("summary", [dict(zip(header, row, strict=True)) for row in rows])
    output.result("shape", list(matrix.shape))
    output.result("largest certified gap as a share of |Q| |X|", matrix.largest_gap())
    if matrix.row_ids is not None or matrix.column_ids is not None:
        ids = {"rows": matrix.row_ids, "columns": matrix.column_ids}
        output.file("ids.json", lambda path: bool(path.write_text(json.dumps(ids, ensure_ascii=False), "utf-8")))


def _said(matrix: Rsm) -> str:
    gap = matrix.largest_gap()
    if gap is None:
        return f"Matching {matrix.matching}: its sums bound no one-to-one matching, so no gap is certified."
    return (
        f"Matching {matrix.matching}: no one-to-one matching of any pair has a cosine higher by more than {gap:.1e}, "
        "by the prices of every pair. Kernels are readings of the same matched sums."
    )
