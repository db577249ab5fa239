"""`setwise evaluate translation`: from pictures to figures."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from setwise_evaluation.experiments.translation._crops import Box, checked_overlaps, crops

if TYPE_CHECKING:
    from PIL import Image

    from setwise_engine.features import Extractor
    from setwise_evaluation.experiments.translation._study import Tokens, Translation
    from setwise_evaluation.report import Output

__all__ = ["configure", "run"]

_TITLE = "Translation: crops of one image, shifted against each other"
_OVERLAPS = (1.0, 0.875, 0.75, 0.5, 0.25)
_HALF = 0.5
_EXAMPLES = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what this experiment has beside --out, --seed and --threads."""
    add = parser.add_argument
    add("--images", type=Path, metavar="FOLDER", help="images to crop (default: composed scenes, evaluation/README.md)")
    add("--count", type=int, default=200, metavar="N", help="images at most (default 200)")
    add("--model", nargs="+", default=["efficientnet-lite0"], metavar="NAME", help="networks, one after the other")
    add("--image-size", type=int, metavar="PX", help="side of the square that the network sees")
    add("--overlaps", type=float, nargs="+", metavar="SHARE", help="of the crops' sides (default 1 .875 .75 .5 .25)")
    add("--shift", type=int, nargs="+", metavar="PX", help="shifts in pixels that the network sees, not overlaps")
    add("--resamples", type=int, default=2_000, metavar="N", help="bootstrap samples of images (default 2000)")


def run(args: argparse.Namespace) -> int:
    """Do it for every model, write args.out/translation and print the table of top-1. Returns 0."""
    from setwise_evaluation.experiments.translation._tables import write_tables
    from setwise_evaluation.experiments.translation._tell import tell
    from setwise_evaluation.report import Output

    _check(args)
    folder = args.out / "translation"
    settings = _settings(args)
    with Output(folder, experiment="translation", title=_TITLE, settings=settings, seed=args.seed) as output:
        images = _pictures(output, args)
        studies = {model: _study(output, args, model, images) for model in dict.fromkeys(args.model)}
        overlaps = next(iter(studies.values())).overlaps
        shown = min(overlaps, key=lambda overlap: abs(overlap - _HALF))
        tell(output, studies, shown, images[:_EXAMPLES], _boxes(images[:_EXAMPLES], overlaps, args.seed))
        write_tables(output, studies)
    print((folder / "top1.md").read_text(encoding="utf-8"), end="")
    return 0


def _check(args: argparse.Namespace) -> None:
    from setwise_engine.errors import InvalidInput

    if args.shift and (args.overlaps or len(args.model) > 1):
        raise InvalidInput("--shift is for one --model and stands in place of --overlaps", field="--shift")
    if args.count < 2 or args.resamples < 1:
        raise InvalidInput(
            f"--count {args.count}, --resamples {args.resamples}: give at least 2 images and 1 sample", field="--count"
        )
    if args.overlaps:
        checked_overlaps(args.overlaps)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    source = args.images.name if args.images else "composed scenes, split instance-database"
    overlaps = None if args.shift else args.overlaps or _OVERLAPS
    names = ("count", "model", "image_size", "shift", "resamples")
    return {"images": source, "overlaps": overlaps} | {name: getattr(args, name) for name in names}


def _pictures(output: Output, args: argparse.Namespace) -> list[Image.Image]:
    from setwise_evaluation.experiments.translation._pictures import compose_scenes, digest, read_folder

    began = time.perf_counter()
    images = read_folder(args.images, args.count, args.seed) if args.images else compose_scenes(args.count, args.seed)
    output.timing("images", time.perf_counter() - began)
    output.input("pixels of all images", sha256=digest(images))
    output.result("images", len(images))
    return images


def _study(output: Output, args: argparse.Namespace, model: str, images: Sequence[Image.Image]) -> Translation:
    """One network on all images."""
    from setwise_engine.features import load_extractor
    from setwise_evaluation.experiments.translation._study import translation

    extractor = load_extractor(model, image_size=args.image_size)
    info = extractor.info
    output.input(f"weights of {model}", sha256=info.weights)
    numbers = {"image_size": info.image_size, "tokens": info.tokens, "dims": info.dims}
    output.result(f"network {model}", {"fingerprint": info.fingerprint} | numbers)
    shares = [1.0 - shift / info.image_size for shift in args.shift or ()] or args.overlaps or _OVERLAPS
    overlaps = checked_overlaps(shares)
    boxes = _boxes(images, overlaps, args.seed)
    crop = _Crops(extractor, images, boxes)
    began = time.perf_counter()
    study = translation(
        crop.tokens(0),
        ((overlap, crop.tokens(place)) for place, overlap in enumerate(overlaps, 1)),
        seed=args.seed,
        resamples=args.resamples,
        threads=args.threads,
        progress=lambda overlap: print(f"{model}: overlap {overlap:g}", file=sys.stderr),
    )
    output.timing(f"{model}, similarities and bootstrap", time.perf_counter() - began - crop.seconds)
    output.timing(f"{model}, tokens", crop.seconds)
    return study


def _boxes(images: Sequence[Image.Image], overlaps: Sequence[float], seed: int) -> list[list[Box]]:
    return [crops(image.size, overlaps, f"setwise translation/{seed}/{row}") for row, image in enumerate(images)]


class _Crops:
    """Tokens of all images' crops, one kind of crop at a time; `seconds` is what that took."""

    def __init__(self, extractor: Extractor, images: Sequence[Image.Image], boxes: Sequence[Sequence[Box]]) -> None:
        self._extractor, self._images, self._boxes = extractor, images, boxes
        self._first: Tokens | None = None
        self.seconds = 0.0

    def tokens(self, place: int) -> Tokens:
        """(n, t, d) float32: of the first crops (place 0), or of those shifted to an overlap."""
        from setwise_evaluation.activations import activations

        if self._first is not None and all(boxes[place] == boxes[0] for boxes in self._boxes):
            return self._first
        began = time.perf_counter()
        pictures = [image.crop(boxes[place]) for image, boxes in zip(self._images, self._boxes, strict=True)]
        tokens = activations(pictures, model=self._extractor).tokens
        self.seconds += time.perf_counter() - began
        if place == 0:
            self._first = tokens
        return tokens
