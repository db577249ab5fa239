"""Small RSMs with known relations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@pytest.fixture
def linear() -> Callable[..., Matrix]:
    """linear(seed, n, d): the linear kernel of n random vectors of d numbers."""

    def make(seed: int, n: int = 12, d: int = 5) -> Matrix:
        features = np.random.default_rng(seed).standard_normal((n, d))
        return features @ features.T

    return make


@pytest.fixture
def related(linear: Callable[..., Matrix]) -> tuple[Matrix, Matrix]:
    """Two RSMs over 12 images that agree in part."""
    shared = linear(0)
    return shared + linear(1), shared + linear(2)
