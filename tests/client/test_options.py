"""Arguments are checked where they are given."""

from __future__ import annotations

import math
from typing import Any

import pytest

import setwise
from setwise._options import Options, check_timeout
from setwise_proto.v1 import types_pb2


def test_defaults_ask_for_ten_hits_with_metadata_and_nothing_else() -> None:
    message = Options().message()
    assert (message.k, message.kernel, message.metadata.all) == (10, types_pb2.KERNEL_UNSPECIFIED, True)
    assert not (message.include_scores or message.include_matches or message.include_thumbnail)
    assert not (message.HasField("candidates") or message.HasField("min_score") or message.HasField("exhaustive"))


def test_everything_can_be_asked_for() -> None:
    message = Options(3, 50, setwise.Kernel.RBF, 0.0, ["a", "b"], True, True, True, False, True).message()
    assert message.HasField("exhaustive") and not message.exhaustive and message.include_proof
    assert (message.k, message.candidates, message.kernel, message.min_score) == (3, 50, types_pb2.KERNEL_RBF, 0.0)
    assert message.HasField("min_score")
    assert list(message.metadata.fields) == ["a", "b"]
    assert message.include_scores and message.include_matches and message.include_thumbnail


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"k": 0}, "k"),
        ({"k": -1}, "k"),
        ({"k": True}, "k"),
        ({"k": 2.5}, "k"),
        ({"k": 2**32}, "k"),
        ({"candidates": 0}, "candidates"),
        ({"kernel": "euclid"}, "kernel"),
        ({"min_score": "high"}, "min_score"),
        ({"min_score": math.nan}, "min_score"),
        ({"metadata": "name"}, "metadata"),
        ({"metadata": [1]}, "metadata"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=f"{field} is ") as caught:
        Options(**arguments).message()
    assert caught.value.field == field


def test_timeouts() -> None:
    assert check_timeout(None) is None
    assert check_timeout(math.inf) is None
    assert check_timeout(3) == 3.0
    for wrong in (0, -1, math.nan, "soon"):
        with pytest.raises(setwise.InvalidArgumentError, match="timeout is"):
            check_timeout(wrong)


@pytest.mark.parametrize("name", ["exhaustive", "proof"])
def test_flags_are_true_or_false(name: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=f"{name} is 'no'; give True or False"):
        Options(**{name: "no"}).message()  # type: ignore[arg-type]
