"""Tables: every digit in CSV, three in Markdown."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.errors import InvalidInput
from setwise_evaluation.report._plain import json_text, shown
from setwise_evaluation.report._tables import csv_text, markdown_text
from setwise_evaluation.retrieval import Estimate


def test_an_interval_takes_three_columns_of_csv_and_one_of_markdown() -> None:
    header, rows = ["what", "F1@1"], [["a|b", Estimate(0.3571, 0.331, 0.383)], ["c", None]]
    assert csv_text(header, rows) == "what,F1@1,F1@1 low,F1@1 high\na|b,0.3571,0.331,0.383\nc,,,\n"
    assert markdown_text(header, rows) == (
        "| what | F1@1 |\n| --- | --: |\n| a\\|b | 0.357 [0.331, 0.383] |\n| c | - |\n"
    )


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_csv_gives_back_the_same_numbers(values: list[float]) -> None:
    text = csv_text(["x"], [[np.float64(value)] for value in values])
    assert [float(row[0]) for row in list(csv.reader(io.StringIO(text)))[1:]] == values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.35712, "0.357"),
        (1.0, "1.000"),
        (-0.5, "-0.500"),
        (1.23456, "1.23"),
        (12.3456, "12.3"),
        (1234.56, "1,235"),
        (0.000123456, "1.23e-04"),
        (123456789.0, "1.23e+08"),
        (0.0, "0.000"),
        (12345, "12,345"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.500"),
        (math.nan, "-"),
        (math.inf, "∞"),
        (None, "-"),
        (True, "yes"),
        ("text", "text"),
        (Estimate(12.5, 9.25, 13.0), "12.5 [9.2, 13.0]"),
        (Estimate(2e-18, -0.1, 0.1), "0.000 [-0.100, 0.100]"),
        (Estimate(-1e-5, -0.1, 0.1), "0.000 [-0.100, 0.100]"),
        (Estimate(2e-5, 1e-5, 3e-5), "2.00e-05 [1.00e-05, 3.00e-05]"),
    ],
)
def test_people_read_three_digits(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_row_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput, match="row 1 has 3 cells and the header 2"):
        csv_text(["a", "b"], [[1, 2], [1, 2, 3]])


def test_json_holds_no_nan_and_sorts_its_keys() -> None:
    assert json_text({"b": math.nan, "a": np.arange(2), "c": {"z": {2, 1}, "y": (True,)}}) == (
        '{\n  "a": [\n    0,\n    1\n  ],\n  "b": null,\n  "c": {\n    "y": [\n      true\n    ],\n'
        '    "z": [\n      1,\n      2\n    ]\n  }\n}\n'
    )
