"""Feature sets and plain arrays of tokens as the matching takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.errors import FeatureError
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching._types import Half

__all__ = ["as_set", "half"]


def as_set(tokens: FeatureSet | ArrayLike) -> FeatureSet:
    """A feature set as it is, or one of tokens alone: (n, d) float16 or float32. Raises FeatureError as it does."""
    return tokens if isinstance(tokens, FeatureSet) else FeatureSet(np.asarray(tokens))


def half(features: FeatureSet) -> Half:
    """Tokens as float16, (n, d). Raises FeatureError when one is too large for it."""
    tokens = features.tokens
    if tokens.dtype == np.float16:
        return tokens
    with np.errstate(over="ignore"):
        rounded: Half = tokens.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise FeatureError(
            f"a token holds {np.abs(tokens).max():g}, beyond float16's 65504; scale the tokens down", field="tokens"
        )
    return rounded
