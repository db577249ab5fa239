"""The tables of the translation experiment: a row a similarity and kernel, a column an overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from setwise_evaluation.experiments.translation._detect import difference
from setwise_evaluation.experiments.translation._study import KERNELS, NAMES, Translation
from setwise_evaluation.report import Output, style

__all__ = ["write_tables"]

_MEASURES = {
    "top1": "Share of images whose shifted twin is the most similar of all shifted crops (top-1), by overlap.",
    "auc": "Area under the ROC curve: the chance that a twin's similarity exceeds an unrelated pair's, by overlap.",
}


def write_tables(output: Output, studies: Mapping[str, Translation]) -> None:
    """Top-1, area under ROC, paired differences, and all measures of every model."""
    overlaps = next(iter(studies.values())).overlaps
    columns = ["network", "kernel", "similarity", *(f"{overlap:g}" for overlap in overlaps)]
    for measure, caption in _MEASURES.items():
        output.table(measure, header=columns, rows=_by_overlap(studies, measure), caption=caption)
    output.table(
        "differences",
        header=[*columns[:2], "semantic less", *columns[3:]],
        rows=_differences(studies),
        caption="Top-1 of semantic similarity less that of each other, by overlap; paired intervals over images.",
    )
    header = ["network", "overlap", "kernel", "similarity", "top-1", "MRR", "ROC area", "mean rank", "median rank"]
    output.table("scores", header=header, rows=_everything(studies), caption="All measures; MRR: mean of 1 / rank.")


def _by_overlap(studies: Mapping[str, Translation], measure: str) -> list[list[Any]]:
    return [
        [
            model,
            KERNELS[kernel],
            _label(name),
            *(getattr(one, measure) for one in _along(study, name, kernel)),
        ]
        for model, study in studies.items()
        for kernel in KERNELS
        for name in NAMES
    ]


def _differences(studies: Mapping[str, Translation]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for model, study in studies.items():
        for kernel in KERNELS:
            ours = _along(study, "semantic", kernel)
            for name in NAMES:
                if name != "semantic":
                    pairs = zip(ours, _along(study, name, kernel), strict=True)
                    rows.append(
                        [
                            model,
                            KERNELS[kernel],
                            _label(name),
                            *(difference(*pair, "top1") for pair in pairs),
                        ]
                    )
    return rows


def _everything(studies: Mapping[str, Translation]) -> list[list[Any]]:
    return [
        [model, f"{overlap:g}", KERNELS[kernel], _label(name), one.top1, one.mrr, one.auc, *_places(one.ranks)]
        for model, study in studies.items()
        for (overlap, name, kernel), one in study.detections.items()
    ]


def _places(ranks: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    return float(ranks.mean()), float(np.median(ranks))


def _along(study: Translation, name: str, kernel: str) -> Sequence[Any]:
    return [study.detections[overlap, name, kernel] for overlap in study.overlaps]


def _label(name: str) -> str:
    return style.SIMILARITIES[name].label
