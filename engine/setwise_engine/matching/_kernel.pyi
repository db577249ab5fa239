"""Native kernel of setwise_engine.matching."""

from typing import Annotated

import numpy
from numpy.typing import NDArray


def affinity(q: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]:
    """
    Exact inner products of two sets of float16 tokens, (n, d) and (m, d), rounded once: float64 (n, m).

    Raises ValueError when d differs, is more than 2**21, or a number is not finite.
    """
