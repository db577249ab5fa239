"""Fitting an encoder to a sample: principal directions, the common one dropped, and a fixed random rotation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.encoder._encoder import Encoder
from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.matching import affinity, optimal_pairs

__all__ = ["fit_encoder"]

Floats = NDArray[np.floating[Any]]
Half = NDArray[np.float16]

_COARSE_DIMS = 64
_SIGMA_SETS = 64


def fit_encoder(sets: Sequence[Floats], *, model: str, dims: int | None = 256, drop: int = 1, seed: int = 0) -> Encoder:
    """Fit an encoder to sample sets of shape (n, D), float32 or float16; their sizes n may differ.

    model: fingerprint of the network they come from, empty for ready-made sets.
    dims: numbers in an encoded token, reduced to what the sample's rank allows; None keeps tokens as they are.
    drop: how many leading principal directions to leave out; the first is what all tokens share.
    seed: of the random rotation, which spreads the variance evenly over the d numbers and changes no inner product.
    Memory is O(D^2) beyond the sample. Raises InvalidInput for an empty or constant sample and FeatureError for sets of
    unequal D or with numbers that are not finite.
    """
    dims_in = _common_dims(sets)
    if dims is not None and (dims < 1 or drop < 0):
        raise InvalidInput(f"dims must be at least 1 and drop at least 0, not {dims} and {drop}", field="dims")
    mean, projection = (None, None) if dims is None else _principal(sets, dims_in, dims, drop, seed)
    width = dims_in if projection is None else projection.shape[1]
    blank = Encoder(
        model, dims_in, width, mean, projection, 1.0, np.eye(width, min(width, _COARSE_DIMS), dtype=np.float32)
    )
    basis = _coarse_basis(blank, sets)
    chosen = np.unique(np.linspace(0, len(sets) - 1, _SIGMA_SETS).round().astype(int))
    sigma = _sigma([blank.encode(sets[index]) for index in chosen])
    return Encoder(model, dims_in, width, mean, projection, sigma, basis)


def _common_dims(sets: Sequence[Floats]) -> int:
    if len(sets) == 0 or not any(len(tokens) for tokens in sets):
        raise InvalidInput("an encoder cannot be fitted to no tokens; give at least one image")
    dims = sets[0].shape[-1]
    for tokens in sets:
        if tokens.ndim != 2 or tokens.shape[1] != dims:
            raise FeatureError(
                f"the sample mixes sets of {dims} numbers a token with one of shape {tokens.shape}", field="tokens"
            )
        if not np.isfinite(tokens).all():
            raise FeatureError("the sample holds NaN or infinity; every number must be finite", field="tokens")
    return int(dims)


def _principal(
    sets: Sequence[Floats], dims_in: int, dims: int, drop: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (D,) and rotated principal directions (D, d), d <= dims."""
    mean, covariance = _moments(sets, dims_in)
    values, directions = _sorted_eigen(covariance)
    rank = int(np.sum(values > values[0] * dims_in * np.finfo(np.float32).eps)) if values[0] > 0 else 0
    if rank == 0:
        raise InvalidInput("all tokens of the sample are equal; give more images, or choose dims=none", field="dims")
    first = min(drop, rank - 1)
    chosen = directions[:, first : min(first + dims, rank)]
    return mean.astype(np.float32), (chosen @ _rotation(chosen.shape[1], seed)).astype(np.float32)


def _moments(sets: Sequence[Floats], dims_in: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance, one set in memory as float64 at a time; shifted by the first token against cancellation."""
    count = 0
    shift = next(tokens[0] for tokens in sets if len(tokens)).astype(np.float64)
    total = np.zeros(dims_in)
    products = np.zeros((dims_in, dims_in))
    for tokens in sets:
        shifted = tokens.astype(np.float64) - shift
        count += len(shifted)
        total += shifted.sum(axis=0)
        products += shifted.T @ shifted
    mean = total / count
    return mean + shift, products / count - np.outer(mean, mean)


def _sorted_eigen(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, falling, and eigenvectors as columns, each signed so that its largest entry is positive."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    return values, vectors * np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def _rotation(dims: int, seed: int) -> NDArray[np.float64]:
    """A random orthogonal matrix, uniform by Haar's measure (Mezzadri 2007: QR with the signs of R's diagonal)."""
    gaussian = np.random.default_rng(seed).standard_normal((dims, dims))
    q, r = np.linalg.qr(gaussian)
    return np.asarray(q * np.sign(np.diag(r)), dtype=np.float64)


def _coarse_basis(encoder: Encoder, sets: Sequence[Floats]) -> NDArray[np.float32]:
    products = np.zeros((encoder.dims, encoder.dims))
    for tokens in sets:
        encoded = encoder.encode(tokens).astype(np.float64)
        products += encoded.T @ encoded
    _, directions = _sorted_eigen(products)
    return np.asarray(directions[:, : min(_COARSE_DIMS, encoder.dims)], dtype=np.float32)


def _sigma(sets: Sequence[Half]) -> float:
    """Root of the median squared matched distance; for a single image (or equal ones) that of two unrelated sets."""
    distances = [_squared_distance(q, x) for q, x in combinations(sets, 2)]
    middle = float(np.median(distances)) if distances else 0.0
    unrelated = 2.0 * float(np.median([_square(tokens) for tokens in sets]))
    return math.sqrt(middle or unrelated or 1.0)


def _squared_distance(q: Half, x: Half) -> float:
    """||Q||^2 + ||X||^2 - 2 L, not below 0: what the RBF score divides by 2 sigma^2 (Wald et al., NeurIPS 2024)."""
    A = affinity(q, x)
    matched = float(A[optimal_pairs(A)].sum())
    return max(0.0, _square(q) + _square(x) - 2.0 * matched)


def _square(tokens: Half) -> float:
    return float(np.square(tokens.astype(np.float64)).sum())
