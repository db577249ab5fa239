"""Metadata travels without loss, and what cannot is told with its name."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import setwise
from setwise._metadata import metadata_message, parse_metadata

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@given(st.dictionaries(st.text(min_size=1), SCALARS | st.lists(SCALARS)))
def test_there_and_back(metadata: dict[str, Any]) -> None:
    again = parse_metadata(metadata_message(metadata))
    assert again == metadata
    assert repr(sorted(again.items())) == repr(sorted(metadata.items())), "True is not 1, and 1.0 is not 1"


def test_numpy_values_and_tuples_are_plain_ones() -> None:
    metadata = {"a": np.float32(0.5), "b": np.int16(3), "c": (1, np.True_), "d": np.arange(3), "e": np.str_("x")}
    assert parse_metadata(metadata_message(metadata)) == {"a": 0.5, "b": 3, "c": [1, True], "d": [0, 1, 2], "e": "x"}
    assert metadata_message(None) == {}


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ([("a", 1)], "metadata is a list"),
        ({1: 2}, "has the name 1"),
        ({"": 2}, "names are text that is not empty"),
        ({"a": {"b": 1}}, r"metadata 'a' is \{'b': 1\}"),
        ({"a": [1, [2]]}, r"metadata 'a', element 1 is \[2\]"),
        ({"a": float("nan")}, "metadata 'a' is nan"),
        ({"a": 2**64}, "an int of 64 bits"),
        ({"a": b"x"}, "metadata 'a' is b'x'"),
        ({"a": "\ud800"}, "metadata 'a' is"),
        ({"a": datetime.date(2020, 1, 1)}, r"dates as text, with \.isoformat\(\)"),
        ({"a": np.zeros((2, 2))}, "metadata 'a' is array"),
    ],
)
def test_anything_else_is_told(metadata: Any, says: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=says) as caught:
        metadata_message(metadata)
    assert caught.value.field == "metadata"
