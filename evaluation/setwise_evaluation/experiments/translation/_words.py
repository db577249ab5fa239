"""What the numbers say, in plain sentences; every figure in them is computed."""

from __future__ import annotations

from setwise_evaluation.experiments.translation._detect import difference
from setwise_evaluation.experiments.translation._study import KERNELS, MATCHINGS, Translation
from setwise_evaluation.report import style
from setwise_evaluation.retrieval import Estimate

__all__ = ["at_overlap", "others", "semantic_above"]

_OTHERS = [name for name in MATCHINGS if name not in ("semantic", "spatio-semantic")]


def at_overlap(study: Translation, overlap: float) -> str:
    """Top-1 of all similarities in the cosine at one overlap."""
    found = {name: study.detections[overlap, name, "cosine"] for name in MATCHINGS}
    n = len(found["semantic"].ranks)
    shares = [f"{_label(name)} {100.0 * one.top1.value:.1f} %" for name, one in reversed(found.items())]
    apart = difference(found["semantic"], found["spatio-semantic"], "top1")
    return (
        f"At an overlap of {overlap:g} the shifted crop of the same image is the most similar of {n} shifted crops for "
        f"this share of the images (cosine): {', '.join(shares)}. Semantic less spatio-semantic: {apart:+.3f}."
    )


def semantic_above(study: Translation) -> str:
    """Where semantic similarity finds more twins than spatio-semantic similarity, kernel by kernel."""
    parts = []
    for kernel in KERNELS:
        groups = _sorted_out(study, "spatio-semantic", kernel)
        parts.append(f"{KERNELS[kernel]}: {_groups(groups)}")
    return (
        "Semantic against spatio-semantic similarity by the share of twins found first, with paired 95 % intervals of "
        f"the difference over images. {'; '.join(parts)}."
    )


def others(study: Translation) -> str:
    """Where pooling, MaxSim and Chamfer are as good as semantic similarity, or better."""
    parts = []
    for name in _OTHERS:
        kernels = []
        for kernel in KERNELS:
            groups = _sorted_out(study, name, kernel)
            equal = [f"as good at {_list(groups['no different'])}"] if groups["no different"] else []
            better = [f"better at {_list(groups['below'])}"] if groups["below"] else []
            if equal or better:
                kernels.append(f"{KERNELS[kernel]}: {', '.join(better + equal)}")
        parts.append(f"{_label(name)}: {'; '.join(kernels) if kernels else 'nowhere'}")
    return (
        "Where the others find as many twins as semantic similarity (the paired interval holds 0) or more (it lies on "
        f"their side), by overlap. {'. '.join(parts)}."
    )


def _sorted_out(study: Translation, name: str, kernel: str) -> dict[str, list[float]]:
    """Overlaps at which semantic similarity is above, below or not different from another one."""
    groups: dict[str, list[float]] = {"above": [], "no different": [], "below": []}
    for overlap in study.overlaps:
        ours = study.detections[overlap, "semantic", kernel]
        groups[_side(difference(ours, study.detections[overlap, name, kernel], "top1"))].append(overlap)
    return groups


def _side(apart: Estimate) -> str:
    return "above" if apart.low > 0.0 else "below" if apart.high < 0.0 else "no different"


def _groups(groups: dict[str, list[float]]) -> str:
    return ", ".join(f"{side} at overlap {_list(overlaps)}" for side, overlaps in groups.items() if overlaps)


def _list(overlaps: list[float]) -> str:
    return ", ".join(f"{overlap:g}" for overlap in overlaps)


def _label(name: str) -> str:
    return style.SIMILARITIES[name].label
