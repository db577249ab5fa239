"""One network on all images: its part of the report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from setwise_evaluation._threads import so_many

if TYPE_CHECKING:
    from setwise_evaluation._images import ImageSource
    from setwise_evaluation.classifiers import Classified
    from setwise_evaluation.experiments.probabilities._study import Agreement
    from setwise_evaluation.report import Output

__all__ = ["one_model"]


def one_model(output: Output, args: argparse.Namespace, model: str, images: Sequence[ImageSource]) -> list[list[Any]]:
    """The figures, sentences and results of a model; returns its rows of the table."""
    from setwise_evaluation.experiments.probabilities._figures import dots, pairs
    from setwise_evaluation.experiments.probabilities._words import against_spatio_semantic, as_good_or_better

    seen = _classified(output, args, model, images)
    found = _study(output, args, model, seen)
    _say("")
    short = model.replace(":", "-").replace("/", "-").lower()
    output.text(against_spatio_semantic(model, found))
    output.text(as_good_or_better(model, found))
    output.figure(
        f"pairs-{short}",
        pairs(found),
        caption=f"{model}: every pair of images, by cosine similarity of their tokens and by how alike their "
        "predictions are; spatio-semantic (tokens at the same position) beside semantic (tokens matched).",
    )
    output.figure(
        f"correlations-{short}",
        dots(found),
        caption=f"{model}: correlation of similarity with negative divergence, by kernel (columns) and method (rows).",
    )
    output.result(model, _results(seen, found))
    return _rows(model, found)


def _classified(output: Output, args: argparse.Namespace, model: str, images: Sequence[ImageSource]) -> Classified:
    import torch

    from setwise_evaluation.classifiers import classify, load_classifier

    began = time.perf_counter()
    # torch's threads split its sums, hence decide the last digits.
    with so_many(args.threads, torch.get_num_threads, torch.set_num_threads):
        network = load_classifier(model, image_size=args.image_size, weights=args.weights, download=args.download)
        seen = classify(images, model=network, progress=lambda done, all_: _say(f"{model}: {done} of {all_} images"))
    output.input(f"weights of {model}", sha256=network.info.weights)
    output.timing(f"forward passes, {model}", time.perf_counter() - began)
    return seen


def _study(output: Output, args: argparse.Namespace, model: str, seen: Classified) -> Agreement:
    from setwise_evaluation.divergence import jensen_shannon_matrix
    from setwise_evaluation.experiments.probabilities._study import agreement, similarities

    divergence = jensen_shannon_matrix(seen.probabilities)
    began = time.perf_counter()
    rsms = similarities(
        seen.tokens,
        threads=args.threads,
        progress=lambda name, done, all_: _say(f"{model}: {name}, {done} of {all_} pairs"),
    )
    output.timing(f"similarities, {model}", time.perf_counter() - began)
    began = time.perf_counter()
    found = agreement(
        rsms,
        divergence,
        resamples=args.resamples,
        seed=args.seed,
        progress=lambda done, all_: _say(f"{model}: {done} of {all_} correlations"),
    )
    output.timing(f"correlations, {model}", time.perf_counter() - began)
    return found


def _rows(model: str, found: Agreement) -> list[list[Any]]:
    from setwise_evaluation.experiments.probabilities._figures import kernel_label
    from setwise_evaluation.report import style

    rows = []
    for name, kernel in found.values:
        cells = [
            cell
            for method in ("pearson", "spearman")
            for cell in (found.correlations[method, name, kernel], found.differences.get((method, name, kernel)))
        ]
        rows.append([model, kernel_label(kernel), style.SIMILARITIES[name].label, *cells])
    return rows


def _results(seen: Classified, found: Agreement) -> dict[str, Any]:
    import numpy as np

    upper = found.divergence[np.triu_indices(len(found.divergence), 1)]
    return {
        "fingerprint": seen.fingerprint,
        "grid": seen.grid,
        "classes": len(seen.classes),
        "sigmas": found.sigmas,
        "without an RBF": found.left_out,
        "divergence in bits": {"median": float(np.median(upper)), "least": upper.min(), "greatest": upper.max()},
        "correlations": {" / ".join(key): one for key, one in found.correlations.items()},
        "semantic less": {" / ".join(key): one for key, one in found.differences.items()},
    }


def _say(text: str) -> None:
    """Progress: over itself on a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
