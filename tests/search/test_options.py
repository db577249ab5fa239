"""Options that make no sense are refused, naming the field."""

import math

import pytest

from setwise_engine.errors import InvalidInput
from setwise_engine.search import Options, default_candidates


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("k", {"k": 0}),
        ("k", {"k": -3}),
        ("candidates", {"k": 10, "candidates": 9}),
        ("candidates", {"k": 1, "candidates": 0}),
        ("candidates", {"candidates": 50, "exhaustive": True}),
        ("min_score", {"min_score": math.nan}),
        ("min_score", {"min_score": math.inf}),
    ],
)
def test_senseless_options_are_refused_naming_the_field(field: str, options: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=field) as caught:
        Options(**options)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_candidates_default_to_many_times_k() -> None:
    for k in (1, 10, 100, 1000):
        assert default_candidates(k) >= max(k, 100)
        assert default_candidates(k + 1) >= default_candidates(k)
