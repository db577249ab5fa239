"""Values as JSON holds them, and as people read them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["Interval", "json_text", "plain", "shown"]


@runtime_checkable
class Interval(Protocol):
    """A value and the ends of its interval, as `setwise_evaluation.retrieval.Estimate` has them."""

    @property
    def value(self) -> float: ...  # the estimate
    @property
    def low(self) -> float: ...  # lower end
    @property
    def high(self) -> float: ...  # upper end


def plain(value: Any) -> Any:  # noqa: PLR0911 - a kind a line
    """`value` as JSON can hold it: numpy's types become Python's, mappings get string keys, paths their last part.

    Numbers that are not finite become null, since JSON has none; an interval becomes {"value", "low", "high"}.
    Raises TypeError for anything else.
    """
    match value:
        case None | bool() | int():
            return value
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case Enum():
            return plain(value.value)
        case str():
            return Path(value).name if Path(value).is_absolute() else value
        case float():
            return value if math.isfinite(value) else None
        case Path():
            return value.name
        case Interval():
            return {name: plain(getattr(value, name)) for name in ("value", "low", "high")}
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case set() | frozenset():
            return plain(sorted(value))
        case Sequence():
            return [plain(item) for item in value]
    raise TypeError(f"a report cannot hold a {type(value).__name__}; give numbers, text, lists and mappings of these")


def json_text(value: Any) -> str:
    """`value` as JSON: keys sorted, two spaces of indent, one line break at the end."""
    return json.dumps(plain(value), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def shown(value: Any) -> str:
    """`value` for people: three digits, an interval as `0.357 [0.331, 0.383]`, "-" for nothing."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, Interval):
        low, high = value.low, value.high
        spec = _spec(max(abs(value.value), abs(low), abs(high)))
        return f"{_number(value.value, spec)} [{_number(low, spec)}, {_number(high, spec)}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value, _spec(abs(value)))
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)


def _spec(size: float) -> str:
    """Three decimals up to 1, so that 1.000 stands below 0.998; then fewer, so that three digits remain."""
    if 0.0 < size < 5e-4 or size >= 1e7:
        return ".2e"
    return ",.3f" if size < 1 + 5e-4 else ",.2f" if size < 10 else ",.1f" if size < 100 else ",.0f"


def _number(value: float, spec: str) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    return f"{value:z{spec}}"
