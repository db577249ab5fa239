"""`setwise evaluate probabilities`: from pictures to figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setwise_evaluation.report import Output

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what this experiment has beside --out, --seed and --threads."""
    add = parser.add_argument
    add("--images", type=Path, metavar="DIR", help="folder of images (default: composed scenes, see evaluation/README)")
    add("--count", type=int, default=500, metavar="N", help="images at most (default 500)")
    add("--crops", action="store_true", help="of each composed scene only its front-most object: one thing a picture")
    add("--model", nargs="+", default=["efficientnet-lite0"], metavar="NAME", help="networks, one after the other")
    add("--image-size", type=int, metavar="PX", help="side of the square that the network sees")
    add("--weights", type=Path, metavar="FILE", help="local file of tensors for the network, if there is only one")
    add("--download", action="store_true", help="let torchvision or timm fetch published weights")
    add("--resamples", type=int, default=1000, metavar="N", help="bootstrap resamples of images (default 1000)")


def run(args: argparse.Namespace) -> int:
    """Do it for every model and write args.out/probabilities. Returns 0."""
    from setwise_engine.errors import InvalidInput
    from setwise_evaluation.report import Output

    if args.weights is not None and len(args.model) > 1:
        raise InvalidInput(f"--weights is one network's; --model names {len(args.model)}", field="--weights")
    if args.crops and args.images is not None:
        raise InvalidInput("--crops cuts things out of composed scenes, not of --images; give one", field="--crops")
    with Output(
        args.out / "probabilities",
        experiment="probabilities",
        title="Class probabilities: similarity against the network's own predictions",
        settings=_settings(args),
        seed=args.seed,
    ) as output:
        _fill(output, args)
    print((args.out / "probabilities" / "correlations.md").read_text(encoding="utf-8"))
    return 0


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    names = ("count", "crops", "model", "image_size", "weights", "resamples")
    source = args.images or "composed scenes, split instance-database"
    return {"images": source} | {name: getattr(args, name) for name in names}


def _fill(output: Output, args: argparse.Namespace) -> None:
    from setwise_evaluation.experiments.probabilities._one_model import one_model
    from setwise_evaluation.experiments.probabilities._pictures import Scenes, files_digest, folder_images
    from setwise_evaluation.experiments.probabilities._words import CAVEAT

    images: Any
    if args.images is None:
        images = Scenes(args.count, args.seed, single=args.crops)
    else:
        images = folder_images(args.images, args.count, args.seed)
    _introduce(output, args, len(images))
    output.text(CAVEAT)
    rows = [row for model in args.model for row in one_model(output, args, model, images)]
    output.table(
        "correlations",
        header=["model", "kernel", "similarity", "Pearson", "semantic less it", "Spearman", "semantic less it (rank)"],
        rows=rows,
        caption="Correlation of similarity with negative Jensen-Shannon divergence over all pairs of images, 95 % "
        "bootstrap intervals over images; and how far semantic similarity is above it, paired over the same images.",
    )
    output.input("images", sha256=files_digest(images) if args.images else images.digest())


def _introduce(output: Output, args: argparse.Namespace, count: int) -> None:
    source = "images of a folder" if args.images else "composed scenes of two to five things each"
    if args.crops:
        source = "pictures of one thing each (parts of others may show at the edge), cut out of composed scenes"
    output.text(
        f"{count:,} {source}, {count * (count - 1) // 2:,} pairs. For each network, one forward pass gives an image's "
        "tokens and its class probabilities. Two images' predictions are compared by the Jensen-Shannon divergence "
        "(0 bits: the same; 1 bit: no class in common), their tokens by every similarity; the correlation tells which "
        "similarity agrees best with what the network predicts. RBF has the paper's sigma, the root of the median "
        "matched squared distance, each similarity its own. MaxSim goes from the earlier to the later image. Intervals "
        f"are over {args.resamples:,} resamples of images, pairs of an image with itself left out."
    )
