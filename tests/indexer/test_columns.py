"""A CSV column is of one type, and only what JSON calls a number is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_indexer._columns import typed_columns


def column(*cells: str) -> list[Any]:
    return [row.get("x") for row in typed_columns(["x"], [[cell] for cell in cells])]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_come_back_as_they_were(values: list[int]) -> None:
    assert column(*map(str, values)) == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_come_back_as_they_were(values: list[float]) -> None:
    assert column(*map(repr, values)) == values


@pytest.mark.parametrize(
    "cell", ["007", "+1", "1.", ".5", "0x10", "1_000", " 1", "nan", "inf", "true", "1e999", "\uff11"]
)
def test_what_only_looks_like_a_number_keeps_the_column_text(cell: str) -> None:
    assert column("1", cell) == ["1", cell]


def test_empty_cells_say_nothing() -> None:
    assert column("1", "", "2") == [1, None, 2]
    assert column("", "") == [None, None]
