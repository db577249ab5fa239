"""What the numbers say, in plain sentences; every figure in them is computed."""

from __future__ import annotations

from setwise_evaluation.experiments.probabilities._figures import kernel_label
from setwise_evaluation.experiments.probabilities._study import KERNELS, MATCHINGS, METHODS, Agreement
from setwise_evaluation.report import style
from setwise_evaluation.retrieval import Estimate

__all__ = ["CAVEAT", "against_spatio_semantic", "as_good_or_better"]

CAVEAT = """Pooling is favoured by construction wherever a network classifies by one linear layer on its mean token, as
EfficientNet-Lite and most convolutional networks do: predictions are then a function of the pooled vector alone, and
two images with the same pooled vector have the same predictions, whatever their tokens. The comparison that says
something about matching is semantic against spatio-semantic similarity, which have the same tokens."""

_METHODS = {"pearson": "Pearson", "spearman": "Spearman"}


def against_spatio_semantic(model: str, found: Agreement) -> str:
    """Whether semantic similarity agrees better than spatio-semantic similarity, kernel by kernel."""
    parts = []
    for kernel in KERNELS:
        each = [
            f"{_METHODS[method]} {_pair(found, method, kernel.value)}, difference {apart:+.3f}"
            for method in METHODS
            if (apart := found.differences.get((method, "spatio-semantic", kernel.value))) is not None
        ]
        parts += [f"{kernel_label(kernel.value)}: {'; '.join(each)}"] if each else []
    missing = [f"{style.SIMILARITIES[name].label} has no RBF: {why}" for name, why in found.left_out.items()]
    return f"{model}, semantic against spatio-semantic. {'. '.join(parts + missing)}."


def as_good_or_better(model: str, found: Agreement) -> str:
    """Where the other similarities agree with the predictions as well as semantic similarity, or better."""
    parts = []
    for name in MATCHINGS:
        sides = {side: _where(found, name, side) for side in ("better", "as good")} if name != "semantic" else {}
        said = [f"{side} by {where}" for side, where in sides.items() if where]
        if said:
            parts.append(f"{style.SIMILARITIES[name].label}: {'; '.join(said)}")
    if not parts:
        return f"{model}: no other similarity is as good as the semantic one."
    return (
        f"{model}, where others agree with the predictions better than semantic similarity (the paired interval lies "
        f"on their side) or as well (it holds 0). {'. '.join(parts)}."
    )


def _pair(found: Agreement, method: str, kernel: str) -> str:
    ours, theirs = (found.correlations[method, name, kernel].value for name in ("semantic", "spatio-semantic"))
    return f"{ours:.3f} against {theirs:.3f}"


def _where(found: Agreement, name: str, side: str) -> str:
    """The kernels, method by method, in which the similarity is on that side of the semantic one."""
    parts = []
    for method in METHODS:
        sides = {kernel.value: found.differences.get((method, name, kernel.value)) for kernel in KERNELS}
        kernels = [kernel for kernel, apart in sides.items() if apart is not None and _side(apart) == side]
        if kernels:
            parts.append(f"{_METHODS[method]} ({', '.join(map(kernel_label, kernels))})")
    return ", ".join(parts)


def _side(apart: Estimate) -> str:
    return "worse" if apart.low > 0.0 else "better" if apart.high < 0.0 else "as good"
