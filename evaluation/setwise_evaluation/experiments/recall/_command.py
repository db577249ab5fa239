"""`setwise evaluate recall`: a collection, queries, and which setting to use."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from setwise_engine.collection import Collection
    from setwise_evaluation.experiments.recall._types import Query, RecallStudy

__all__ = ["configure", "run"]

_TITLE = "Recall: how much of the exact answer the coarse stage keeps"
_SILENT_SECONDS = 5.0
_CATALOG = "catalog.sqlite"  # a folder with it is a collection


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what this experiment has beside --out, --seed and --threads."""
    add = parser.add_argument
    add("collection", type=Path, metavar="COLLECTION", help="the collection's folder")
    add("--queries", type=Path, metavar="DIR", help="folder of images, or a collection (default: COLLECTION itself)")
    add("--sample", type=int, default=100, metavar="N", help="ask with at most so many images (default 100)")
    add("-k", "--k", type=int, default=10, metavar="N", help="hits of an answer (default 10)")
    add("--recall", type=float, default=0.99, metavar="SHARE", help="the wanted recall (default 0.99)")
    add("--kernel", default="cosine", help="cosine (default), inner_product or rbf")
    add("--candidates", type=int, nargs="+", metavar="K", help="numbers of candidates (default: 10 to 1000)")
    add("--coarse", nargs="+", metavar="KIND", help="coarse vectors (default: every kind; the collection's own always)")
    add("--index-factory", nargs="+", metavar="TEXT", help="FAISS types beside the exact order (default: by size)")
    add("--resamples", type=int, default=10_000, metavar="N", help="bootstrap samples of queries (default 10000)")
    add("--weights", metavar="FILE", help="the network's weights, where the collection was made with some")


def run(args: argparse.Namespace) -> int:
    """Study, write args.out/recall and print which setting to use. Returns 0."""
    from setwise_engine.collection import Collection
    from setwise_evaluation.experiments.recall._tell import tell
    from setwise_evaluation.report import Output

    names = ("sample", "k", "recall", "kernel", "candidates", "coarse", "index_factory", "resamples")
    settings = {name: getattr(args, name) for name in names}
    settings |= {"collection": args.collection.name, "queries": args.queries.name if args.queries else None}
    with (
        Collection.open(args.collection, read_only=True) as collection,
        Output(args.out / "recall", experiment="recall", title=_TITLE, settings=settings, seed=args.seed) as output,
    ):
        study = _study(args, collection, output)
        tell(output, study)
    _print(study)
    return 0


def _study(args: argparse.Namespace, collection: Collection, output: Any) -> RecallStudy:
    from setwise_engine.matching import Kernel
    from setwise_evaluation.experiments.recall._study import recall_study

    with _Bars() as bars:
        queries = _queries(args, collection, bars)
        if queries is not None:
            output.input("queries", sha256=_digest(queries))
        return recall_study(
            collection,
            queries,
            k=args.k,
            recall=args.recall,
            sample=args.sample,
            kernel=_kernel(args.kernel, Kernel),
            counts=args.candidates,
            kinds=args.coarse,
            factories=args.index_factory,
            seed=args.seed,
            resamples=args.resamples,
            threads=args.threads,
            progress=bars,
        )


def _queries(args: argparse.Namespace, collection: Collection, bars: _Bars) -> list[Query] | None:
    """None for the collection's own images."""
    from setwise_engine.collection import Collection
    from setwise_engine.errors import NotFound
    from setwise_evaluation.experiments.recall._queries import collection_queries, folder_queries

    if args.queries is None:
        return None
    if (args.queries / _CATALOG).exists():
        with Collection.open(args.queries, read_only=True) as other:
            same = other.uuid == collection.uuid
            return None if same else collection_queries(other, collection, args.sample, args.seed)
    if not args.queries.is_dir():
        raise NotFound(f"there is no folder {args.queries}; name one of images, or a collection", field="--queries")
    return folder_queries(
        args.queries,
        collection,
        args.sample,
        args.seed,
        weights=args.weights,
        progress=lambda done, total: bars("query images", done, total),
    )


def _kernel(name: str, kernels: Any) -> Any:
    from setwise_engine.errors import InvalidInput

    known = [kernel for kernel in kernels if kernel != kernels.CONTAINMENT]
    if name not in known:
        raise InvalidInput(f"kernel is {name!r}; ask for one of {', '.join(known)}", field="--kernel")
    return kernels(name)


def _digest(queries: Sequence[Query]) -> str:
    digest = hashlib.sha256()
    for query in queries:
        digest.update(f"{query.name}\n{query.features.tokens.shape}\n".encode() + query.features.tokens.tobytes())
    return digest.hexdigest()


def _print(study: RecallStudy) -> None:
    """The recall of every setting and which to use, on standard output."""
    from setwise_evaluation.experiments.recall._tell import default_text

    width = max(len(f"{curve.setting.coarse}, {curve.setting.name}") for curve in study.curves)
    print(f"Share of the exact top {study.k} among the first K, {study.images:,} images, {len(study.queries)} queries:")
    print(f"{'K':<{width}} {''.join(f'{count:>7}' for count in study.counts)}  coarse ms")
    for curve in study.curves:
        name = f"{curve.setting.coarse}, {curve.setting.name}"
        shares = "".join(f"{one.value:>7.3f}" for one in curve.recall)
        print(f"{name:<{width}} {shares} {curve.coarse_ms:>10.2f}")
    print("", *study.notes, default_text(study.default, study.k), "", *study.advice.text, sep="\n")


class _Bars:
    """Tells on standard error how far a run is: a bar for each stage on a terminal, else a line every few seconds."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._told = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if stage != self._stage:
            self._close()
            self._stage, self._bar = stage, tqdm(total=total, desc=stage, disable=None, leave=False)
        self._bar.update(done - self._bar.n)
        if self._bar.disable and time.monotonic() - self._told >= _SILENT_SECONDS:
            print(f"{stage}: {done:,} of {total:,}", file=sys.stderr, flush=True)
            self._told = time.monotonic()

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *problem: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
