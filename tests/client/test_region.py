"""Regions are checked where they are given, and travel as boxes or bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import setwise
from setwise._region import region_message


def test_no_region_is_the_whole_picture() -> None:
    assert region_message(None) is None


@pytest.mark.parametrize("box", [(1, 2, 30, 40.5), [1.0, 2, 30, 40.5], np.array([1, 2, 30, 40.5])])
def test_four_numbers_are_a_box(box: Any) -> None:
    message = region_message(box)
    assert message is not None
    assert (message.box.left, message.box.top, message.box.right, message.box.bottom) == (1, 2, 30, 40.5)


def test_an_array_of_bool_is_a_mask() -> None:
    mask = np.random.default_rng(0).random((5, 7)) > 0.5
    message = region_message(mask)
    assert message is not None
    assert (message.mask.rows, message.mask.columns) == (5, 7)
    bits = np.unpackbits(np.frombuffer(message.mask.bits, np.uint8), count=35)
    assert np.array_equal(bits.reshape(5, 7) == 1, mask)


@pytest.mark.parametrize(
    "wrong",
    [
        (1, 2, 3),
        (0, 0, 0, 5),
        (5, 0, 1, 5),
        (0, 0, float("inf"), 5),
        "left",
        7,
        np.zeros((4, 5), np.bool_),
        np.ones((4, 5), np.uint8),
        np.ones((4, 5, 3), np.bool_),
    ],
)
def test_anything_else_is_refused_naming_the_argument(wrong: Any) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match="region_b is") as caught:
        region_message(wrong, "region_b")
    assert caught.value.field == "region_b"


def test_several_queries_have_as_many_regions(local: setwise.Client) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match="1 regions for 2 queries"):
        local.search_many([setwise.Id("cat.jpg"), setwise.Id("brick.jpg")], regions=[None])
    outcomes = local.search_many(
        [setwise.Id("cat.jpg"), setwise.Id("cat.jpg"), setwise.Id("cat.jpg")],
        k=1,
        regions=[None, (0, 0, 50, 50), (1e6, 0, 2e6, 10)],
    )
    assert [outcome.kernel for outcome in outcomes[:2] if isinstance(outcome, setwise.Hits)] == [
        "cosine",
        "containment",
    ]
    assert isinstance(outcomes[2], setwise.InvalidArgumentError) and outcomes[2].field == "queries[2].region"
