"""Filters over images' metadata: what they are, what they mean, and how SQLite answers them."""

from setwise_engine.filters._evaluate import Images, evaluate
from setwise_engine.filters._kinds import Scalar, flatten
from setwise_engine.filters._matches import matches
from setwise_engine.filters._types import (
    MAX_DEPTH,
    And,
    AnyOf,
    Contains,
    Equals,
    Exists,
    Filter,
    Not,
    Or,
    Range,
)

__all__ = [
    "MAX_DEPTH",
    "And",
    "AnyOf",
    "Contains",
    "Equals",
    "Exists",
    "Filter",
    "Images",
    "Not",
    "Or",
    "Range",
    "Scalar",
    "evaluate",
    "flatten",
    "matches",
]
