"""setwise rsm: the representational similarity matrix of images."""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from setwise_evaluation._threads import cores
from setwise_evaluation.commands._pictures import Pictures, is_folder_of_images, pictures_in

if TYPE_CHECKING:
    from tqdm import tqdm

    from setwise_engine.features import Extractor
    from setwise_evaluation.report import Output
    from setwise_evaluation.rsm import Rsm

__all__ = ["HELP", "configure", "main", "run"]

HELP = "compare all images with all: a similarity matrix, its figure and its numbers"

_DESCRIPTION = """
Matches the tokens of every image with those of every other and writes the matrix in each kernel to DIR/rsm, with a
figure, a table and a JSON; DIR/report.html shows them. Matched sums are kept in DIR/rsm-store: stop it whenever you
like, the same command again goes on where it was, and another kernel costs no second matching. Activations of a folder
of images are held in memory and not kept: for many images index them first, or save the activations as .npy.
"""
_NAME = "rsm"
_KERNELS = ("cosine", "inner_product", "rbf")
_MATCHINGS = ("exact", "none", "greedy", "topk-greedy", "batch-optimal", "sinkhorn", "maxsim", "chamfer")
_OPTIONS = {"window": "batch-optimal", "top": "topk-greedy", "regularisation": "sinkhorn", "iterations": "sinkhorn"}


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
    add(
        "--name", type=_name, default=_NAME, help="of the folder in DIR (default: rsm): another beside it in one report"
    )
    add("--kernel", action="append", choices=_KERNELS, help="may be repeated (default: cosine)")
    add("--sigma", type=float, metavar="S", help="of rbf (default: the root of the median matched squared distance)")
    add("--matching", choices=_MATCHINGS, default="exact", help="how tokens are paired (default: exact)")
    add("--window", type=int, metavar="N", help="batch-optimal: tokens a window")
    add("--top", type=int, metavar="N", help="topk-greedy: tokens matched optimally")
    add("--regularisation", type=float, metavar="E", help="sinkhorn: entropy weight")
    add("--iterations", type=int, metavar="N", help="sinkhorn: rounds")
    add("--threads", type=int, default=cores(), metavar="N", help="threads (default: one a core)")
    add("--tile", type=int, metavar="N", help="images a side of a tile (default: about 32 MiB of tokens)")
    group = parser.add_argument_group("for folders of images")
    group.add_argument("--model", default="efficientnet-lite0", help="network (default: efficientnet-lite0)")
    group.add_argument("--image-size", type=int, metavar="PX", help="side of the square that the network sees")
    group.add_argument("--weights", metavar="FILE", help="the network's weights")
    group.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")


def _name(text: str) -> str:
    """A name for folders. Raises ArgumentTypeError for any other, which argparse tells."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name; use a-z, 0-9, '-' and '_'")
    return text


def run(args: argparse.Namespace) -> int:
    """Compute, write, and say where. Returns 0, or 130 after an interrupt."""
    from setwise_evaluation.report import Output

    _check(args)
    extractor = _extractor(args)
    title = "Representational similarity matrix" + (f": {args.name}" if args.name != _NAME else "")
    try:
        with Output(args.out / args.name, experiment="rsm", title=title, settings=_settings(args, extractor)) as output:
            matrix = _computed(output, args, extractor)
            _write(output, matrix, args)
    except KeyboardInterrupt:
        print(f"setwise rsm: stopped; finished tiles are kept in {_store(args)}. ", end="", file=sys.stderr)
        print("Run the same command again and it goes on.", file=sys.stderr)
        return 130
    print(f"{matrix.shape[0]:,} x {matrix.shape[1]:,} images: {args.out / args.name}, {args.out / 'report.html'}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises InvalidInput for an option of another matching: it would not count."""
    from setwise_engine.errors import InvalidInput

    for option, matching in _OPTIONS.items():
        if getattr(args, option) is not None and args.matching != matching:
            message = f"--{option} is of matching {matching}, not {args.matching}; leave it out, or change --matching"
            raise InvalidInput(message, field=f"--{option}")


def _computed(output: Output, args: argparse.Namespace, extractor: Extractor | None) -> Rsm:
    """The matrix; its inputs and its times go into the output."""
    began = time.perf_counter()
    given = [_pictures(source, extractor) for source in (args.source, args.against) if source is not None]
    output.timing("images and network", time.perf_counter() - began)
    began = time.perf_counter()
    matrix = _matrix(args, given)
    output.timing("matching", time.perf_counter() - began)
    _write_inputs(output, matrix, args, extractor, given)
    return matrix


def _settings(args: argparse.Namespace, extractor: Extractor | None) -> dict[str, Any]:
    """What the same numbers need again: of the network only where one was used, its image size as it was."""
    settings = {name: getattr(args, name) for name in ("source", "against", "matching", "sigma", *_OPTIONS, "tile")}
    settings["kernel"] = _kernels(args)
    if extractor is not None:
        settings |= {"model": extractor.info.name, "image_size": extractor.info.image_size}
        settings |= {"weights": args.weights, "device": args.device}
    return settings


def _kernels(args: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys(args.kernel or ["cosine"]))


def _store(args: argparse.Namespace) -> Path:
    path: Path = args.out / f"{args.name}-store"
    return path


def _extractor(args: argparse.Namespace) -> Extractor | None:
    """The network, where a folder of images asks for one."""
    if not any(source is not None and is_folder_of_images(source) for source in (args.source, args.against)):
        return None
    from setwise_engine.features import load_extractor

    return load_extractor(args.model, image_size=args.image_size, weights=args.weights, device=args.device)


def _pictures(source: Path, extractor: Extractor | None) -> Pictures:
    from tqdm import tqdm

    with tqdm(desc="images", unit=" images", disable=None if is_folder_of_images(source) else True) as bar:
        return pictures_in(source, extractor, functools.partial(_show, bar))


def _matrix(args: argparse.Namespace, given: Sequence[Pictures]) -> Rsm:
    from tqdm import tqdm

    from setwise_engine.errors import Incompatible
    from setwise_evaluation.matchers import MatchingOptions
    from setwise_evaluation.rsm import rsm

    options = MatchingOptions(**{name: value for name in _OPTIONS if (value := getattr(args, name)) is not None})
    columns = given[1] if len(given) > 1 else Pictures(None)
    with tqdm(desc="matching", unit=" pairs", unit_scale=True, disable=None) as bar:
        try:
            return rsm(
                given[0].source,
                columns.source,
                kernel=_kernels(args)[0],
                matching=args.matching,
                sigma=args.sigma,
                threads=args.threads,
                progress=functools.partial(_show, bar),
                store=_store(args),
                options=options,
                tile=args.tile,
                row_ids=given[0].ids,
                column_ids=columns.ids,
            )
        except Incompatible as error:
            raise Incompatible(f"{error}; --name keeps several matrices in one --out", field="--name") from error


def _show(bar: tqdm[NoReturn], done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def _write_inputs(
    output: Output, matrix: Rsm, args: argparse.Namespace, extractor: Extractor | None, given: Sequence[Pictures]
) -> None:
    """Hashes of what was compared, the network, and what was left out."""
    output.input(args.source.name, sha256=matrix.row_fingerprint)
    if args.against is not None:
        output.input(f"against {args.against.name}", sha256=matrix.column_fingerprint)
    if extractor is not None:
        info = extractor.info
        output.input(f"weights of {info.name}", sha256=info.weights)
        output.result("network", {"fingerprint": info.fingerprint, "tokens": info.tokens, "dims": info.dims})
    left_out = [id for pictures in given for id in pictures.left_out]
    output.result("left out", left_out)
    if left_out:
        output.text(f"{len(left_out)} files could not be read and are left out; results.json names them.")


def _write(output: Output, matrix: Rsm, args: argparse.Namespace) -> None:
    """The matrix in every kernel, its figures, and one table."""
    from setwise_evaluation.rsm import heat_map, summarise

    names = (args.source.name, (args.against or args.source).name)
    output.text(_said(matrix))
    rows = []
    for kernel in _kernels(args):
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
