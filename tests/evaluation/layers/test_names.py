"""Names and patterns of layers."""

from __future__ import annotations

import pytest
from torch import nn

from setwise_engine.errors import InvalidInput, NotFound
from setwise_evaluation.layers._names import matches, resolve


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("blocks.0", "blocks.0", True),
        ("blocks.*", "blocks.0", True),
        ("blocks.*", "blocks.0.1", False),
        ("blocks.*.1", "blocks.0.1", True),
        ("blocks.**", "blocks.0.1", True),
        ("**.1", "blocks.0.1", True),
        ("conv*", "conv_head", True),
        ("blocks.0", "blocksx0", False),
        ("layer[12]", "layer1", False),
    ],
)
def test_one_star_stays_within_a_step(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_layers_come_once_and_in_the_models_order(convolutions: nn.Module) -> None:
    assert list(resolve(convolutions, ["head", "blocks.*", "blocks.0"])) == ["blocks.0", "blocks.1", "head"]
    assert list(resolve(convolutions, "blocks.*.2")) == ["blocks.0.2", "blocks.1.2"]


def test_a_module_with_two_names_goes_by_either() -> None:
    shared = nn.ReLU()
    network = nn.ModuleDict({"one": shared, "two": shared})
    assert list(resolve(network, "two")) == ["two"]


def test_unknown_names_bring_the_closest(convolutions: nn.Module) -> None:
    with pytest.raises(NotFound, match=r"Sequential has no layer 'block\.0'; did you mean blocks\.0"):
        resolve(convolutions, ["head", "block.0"])
    with pytest.raises(NotFound, match=r"no layer 'zzz\*'; layer_names\(model, images\) lists them"):
        resolve(convolutions, "zzz*")
    with pytest.raises(InvalidInput, match="no layers are named"):
        resolve(convolutions, [])
