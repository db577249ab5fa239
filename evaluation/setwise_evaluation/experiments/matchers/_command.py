"""`setwise evaluate matchers`: from pictures to tables, figures and a verdict."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from setwise_evaluation.experiments.matchers._quality import Quality
    from setwise_evaluation.experiments.matchers._times import Cost
    from setwise_evaluation.report import Output

__all__ = ["configure", "run"]

_TITLE = "Matchers: exact matching against its approximations"
_SIZES = (224, 320, 448, 512, 1024, 1536, 2048)
_TOKENS, _FEWEST = 16_384, 4  # tokens of all images of a size, at most; but so many images at least


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what this experiment has beside --out, --seed and --threads."""
    add = parser.add_argument
    add("--images", type=Path, metavar="FOLDER", help="images to use (default: composed scenes, evaluation/README.md)")
    add("--count", type=int, default=40, metavar="N", help="images at most, fewer of large sizes (default 40)")
    add("--model", default="efficientnet-lite0", metavar="NAME", help="network (default efficientnet-lite0)")
    add("--sizes", type=int, nargs="+", default=list(_SIZES), metavar="PX",
        help="sides of the square that the network sees (default 224 to 2048: 49 to 4096 tokens)")  # fmt: skip
    add(
        "--no-times",
        action="store_true",
        help="quality only: then every run with as many --threads writes the same bytes",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, write args.out/matchers and print the verdict. Returns 0."""
    from setwise_evaluation.experiments.matchers._tell import tell
    from setwise_evaluation.report import Output

    _check(args)
    names = ("count", "model", "sizes", "no_times")
    settings = {"images": args.images.name if args.images else "composed scenes, split instance-database"}
    settings |= {name: getattr(args, name) for name in names}
    with Output(
        args.out / "matchers", experiment="matchers", title=_TITLE, settings=settings, seed=args.seed
    ) as output:
        found, costs = _measured(output, args)
        statements = tell(output, found, costs)
    print("\n".join(statements))
    return 0


def _check(args: argparse.Namespace) -> None:
    from setwise_engine.errors import InvalidInput

    if args.count < 2:
        raise InvalidInput(f"--count is {args.count}; give at least 2 images", field="--count")


def _measured(output: Output, args: argparse.Namespace) -> tuple[list[Quality], list[Cost]]:
    from setwise_evaluation.experiments.matchers._quality import quality
    from setwise_evaluation.experiments.matchers._times import times

    images = _pictures(output, args)
    found: list[Quality] = []
    costs: list[Cost] = []
    for size in sorted(set(args.sizes)):
        tokens = _tokens(output, args, images, size)
        say = _Saying(f"{tokens.shape[1]} tokens")
        began = time.perf_counter()
        found += quality(tokens, threads=args.threads, progress=say)
        output.timing(f"quality, {tokens.shape[1]} tokens", time.perf_counter() - began)
        if not args.no_times:
            costs += times(tokens, costs, progress=say)
    for one in costs:
        output.timing(f"{one.matcher}, {one.tokens} tokens, matching", one.matching)
    return found, costs


def _pictures(output: Output, args: argparse.Namespace) -> list[Image.Image]:
    from setwise_evaluation.experiments.translation._pictures import compose_scenes, digest, read_folder

    images = read_folder(args.images, args.count, args.seed) if args.images else compose_scenes(args.count, args.seed)
    output.input("pixels of all images", sha256=digest(images))
    return images


def _tokens(output: Output, args: argparse.Namespace, images: Sequence[Image.Image], size: int) -> NDArray[np.float32]:
    """Of as many images as the size allows."""
    from setwise_engine.features import load_extractor
    from setwise_evaluation.activations import activations

    extractor = load_extractor(args.model, image_size=size)
    if size == min(args.sizes):
        output.input(f"weights of {args.model}", sha256=extractor.info.weights)
    count = min(len(images), max(_FEWEST, _TOKENS // extractor.info.tokens))
    print(f"{extractor.info.tokens} tokens: {count} images", file=sys.stderr)
    began = time.perf_counter()
    tokens = activations(images[:count], model=extractor, batch=1).tokens
    output.timing(f"tokens, {size} pixels", time.perf_counter() - began)
    return tokens


class _Saying:
    """Progress on stderr, a line a matcher."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __call__(self, name: Any) -> None:
        print(f"{self._what}: {name}", file=sys.stderr)
