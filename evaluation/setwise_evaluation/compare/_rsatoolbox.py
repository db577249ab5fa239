"""RSMs as RDMs of rsatoolbox, for all that it can do and this package does not."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_evaluation.compare._inputs import Vector, as_rsms, ids_of

__all__ = ["to_rsatoolbox"]

_MEASURES = {
    "cosine": "1 - cosine",
    "rbf": "1 - rbf",
    "inner_product": "squared distance, |Q|^2 + |X|^2 - 2 L",
}


def to_rsatoolbox(
    rsms: ArrayLike | Mapping[str, ArrayLike],
    *,
    kernel: str | None = None,
    ids: Sequence[str] | None = None,
    descriptors: Mapping[str, object] | None = None,
) -> Any:
    """An `rsatoolbox.rdm.RDMs` of one RSM (n, n), or of several by name.

    kernel: "cosine", "rbf" or "inner_product", which an `Rsm` knows itself. Dissimilarities, float64:

        cosine, rbf      1 - similarity
        inner_product    |Q|^2 + |X|^2 - 2 L, the squared distance of the matched tokens, clamped at 0

    with the squared norms an `Rsm` holds, or for a plain array its diagonal: L(Q, Q) = |Q|^2 where the matching of a
    set with itself is the identity (exact, none, greedy; not sinkhorn). Correlations of cosine and rbf RDMs equal
    those of the RSMs (both signs turn); those of squared distances differ from those of inner products: norms come in.

    Descriptors: `kernel` and yours; each RDM has its `name` and, where all RSMs tell, its `matching` and the `sigma` of
    rbf; each image its `id` (from `ids` or the Rsm's) beside rsatoolbox's `index`.

    Source: rsatoolbox, Nili et al. 2014 and Schuett et al., eLife 12:e82566, 2023. Raises Unavailable without
    the package, InvalidInput as `correlate` does, for an unknown kernel, RSMs of different kernels, and a wrong number
    of ids.
    """
    toolbox = _toolbox()
    named = dict(rsms) if isinstance(rsms, Mapping) else {"rsm": rsms}
    if not named:
        raise InvalidInput("there are no RSMs to export; give at least one", field="rsms")
    measure = _one_kernel(named, kernel)
    matrices = as_rsms(list(named.values()), list(named))
    stack = np.stack(
        [_dissimilarity(m, measure, _squares(rsm, m)) for m, rsm in zip(matrices, named.values(), strict=True)]
    )
    patterns = _ids(ids, named, len(matrices[0]))
    return toolbox.RDMs(
        stack,
        dissimilarity_measure=_MEASURES[measure],
        descriptors={"kernel": measure, **(descriptors or {})},
        rdm_descriptors={"name": list(named), **_settings(list(named.values()), measure)},
        pattern_descriptors={"id": patterns} if patterns else {},
    )


def _toolbox() -> Any:
    try:
        return importlib.import_module("rsatoolbox.rdm")
    except ImportError as error:
        raise Unavailable("rsatoolbox is not installed; pip install rsatoolbox brings it") from error


def _one_kernel(named: Mapping[str, ArrayLike], kernel: str | None) -> str:
    """The kernel that all RSMs have, as they say themselves or as the caller says."""
    known = {name: str(own) for name, rsm in named.items() if (own := getattr(rsm, "kernel", None)) is not None}
    for name, own in known.items():
        if own != (kernel := kernel or own):
            raise InvalidInput(f"{name} has the kernel {own}, not {kernel}; export RSMs of one kernel", field="kernel")
    if kernel not in _MEASURES:
        raise InvalidInput(f"kernel is {kernel!r}; say which of {', '.join(_MEASURES)} the RSMs hold", field="kernel")
    return kernel


def _settings(rsms: Sequence[object], kernel: str) -> dict[str, list[object]]:
    """How the RSMs were made, one value each, where all of them tell."""
    if not all(hasattr(rsm, "matching") for rsm in rsms):
        return {}
    found: dict[str, list[object]] = {"matching": [str(rsm.matching) for rsm in rsms]}  # type: ignore[attr-defined]
    if kernel == "rbf":
        found["sigma"] = [rsm.sigma or rsm.median_sigma() for rsm in rsms]  # type: ignore[attr-defined]
    return found


def _squares(rsm: object, matrix: Vector) -> Vector:
    """|Q|^2 of each image, (n,): an Rsm's own, else the diagonal."""
    return np.asarray(getattr(rsm, "row_squares", np.diag(matrix)), dtype=np.float64)


def _dissimilarity(matrix: Vector, kernel: str, squares: Vector) -> Vector:
    if kernel == "inner_product":
        away = np.maximum(squares[:, None] + squares[None, :] - 2 * matrix, 0.0)
    else:
        away = 1.0 - matrix
    np.fill_diagonal(away, 0.0)
    return away


def _ids(ids: Sequence[str] | None, named: Mapping[str, ArrayLike], n: int) -> list[str]:
    """One id an image, or none at all where nobody knows them."""
    own = [found for rsm in named.values() if (found := ids_of(rsm)) is not None]
    chosen = list(ids) if ids is not None else list(own[0]) if own else []
    if chosen and len(chosen) != n:
        raise InvalidInput(f"{len(chosen)} ids for {n} images; give one an image", field="ids")
    return chosen
