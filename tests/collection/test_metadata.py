"""What metadata and ids may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.collection import check_id, check_metadata
from setwise_engine.errors import InvalidInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
METADATA = st.dictionaries(TEXT.filter(bool), SCALARS | st.lists(SCALARS, max_size=4), max_size=5)


@given(METADATA)
def test_scalars_and_lists_of_scalars_survive(metadata: dict[str, Any]) -> None:
    assert json.loads(check_metadata(metadata, "a")) == metadata


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"x": float("nan")}, "'x' of image 'a' is nan"),
        ({"x": [1, float("inf")]}, "is inf"),
        ({"x": 2**63}, "beyond 64 bits"),
        ({"x": {"y": 1}}, "holds a dict"),
        ({"x": [[1]]}, "holds a list"),
        ({"x": b"1"}, "holds a bytes"),
        ({"x": "\ud800"}, "lone surrogate"),
        ({"\ud800": 1}, "key"),
        ({"": 1}, "must be text"),
        ({1: 1}, "key 1 of image 'a'"),
        ({"x": "y" * (1 << 20)}, "1048584 bytes"),
    ],
)
def test_anything_else_is_refused_by_name(metadata: dict[Any, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        check_metadata(metadata, "a")
    assert caught.value.field == "metadata"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=1000))
def test_an_id_is_text_of_any_script(id: str) -> None:
    assert check_id(id) == id


def test_an_id_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidInput, match="of type int"):
        check_id(7)  # type: ignore[arg-type]  # callers without a type checker
