"""What the numbers say, in plain sentences; every figure in them is computed."""

from __future__ import annotations

from collections.abc import Sequence

from setwise_evaluation.experiments.translation._detect import difference
from setwise_evaluation.experiments.translation._study import KERNELS, NAMES, Translation
from setwise_evaluation.report import style
from setwise_evaluation.retrieval import Estimate

__all__ = ["against_semantic", "at_overlap"]


_SIDES = {
    "fewer": "finds fewer twins at an overlap of",
    "more": "finds more twins at",
    "neither": "is not shown to differ at",
}


def at_overlap(study: Translation, overlap: float) -> str:
    """Top-1 of all similarities in the cosine at one overlap."""
    found = {name: study.detections[overlap, name, "cosine"] for name in NAMES}
    n = len(found["semantic"].ranks)
    shares = [f"{_label(name)} {100.0 * one.top1.value:.1f} %" for name, one in reversed(list(found.items()))]
    apart = difference(found["semantic"], found["spatio-semantic"], "top1")
    return (
        f"At an overlap of {overlap:g} the shifted crop of the same image is the most similar of {n} shifted crops for "
        f"this share of the images (cosine): {', '.join(shares)}. Semantic less spatio-semantic: {apart:+.3f}."
    )


def against_semantic(study: Translation, name: str) -> str:
    """Where another similarity finds fewer twins than the semantic one, where more, and where neither is shown."""
    found: dict[str, dict[float, list[str]]] = {}
    for overlap in study.overlaps:
        for kernel in KERNELS:
            ours, theirs = (study.detections[overlap, one, kernel] for one in ("semantic", name))
            side = _side(difference(theirs, ours, "top1"))
            found.setdefault(side, {}).setdefault(overlap, []).append(KERNELS[kernel])
    parts = [f"{words} {_places(found[side])}" for side, words in _SIDES.items() if side in found]
    label = _label(name)
    return f"{label[0].upper()}{label[1:]} similarity {'; '.join(parts)}."


def _side(apart: Estimate) -> str:
    return "more" if apart.low > 0.0 else "fewer" if apart.high < 0.0 else "neither"


def _places(kernels: dict[float, list[str]]) -> str:
    """Overlaps, and behind each group of them the kernels in which it is so."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for overlap, names in kernels.items():
        groups.setdefault(tuple(names), []).append(f"{overlap:g}")
    return ", ".join(f"{_and(overlaps)} ({_kernels(names)})" for names, overlaps in groups.items())


def _kernels(names: tuple[str, ...]) -> str:
    return "all kernels" if len(names) == len(KERNELS) else _and(names)


def _and(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _label(name: str) -> str:
    return style.SIMILARITIES[name].label
