"""The model is as it was, whatever happens; outputs are tensors or are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_evaluation.layers._hooks import as_tensor, hooked, undisturbed


def test_training_flags_come_back_one_by_one(convolutions: nn.Module) -> None:
    convolutions.train()
    frozen = convolutions.get_submodule("blocks.0.1").eval()
    with pytest.raises(RuntimeError, match="midway"), undisturbed(convolutions):
        assert not any(module.training for module in convolutions.modules())
        assert not torch.is_grad_enabled()
        raise RuntimeError("midway")
    assert torch.is_grad_enabled()
    assert [module for module in convolutions.modules() if not module.training] == [frozen]


def test_hooks_go_with_the_context(convolutions: nn.Module, images: Tensor) -> None:
    seen: list[str] = []
    with hooked(dict(convolutions.named_modules()), lambda name, _: seen.append(name)):
        convolutions(images)
    assert seen[-1] == ""
    assert not any(module._forward_hooks for module in convolutions.modules())


@pytest.mark.filterwarnings("ignore:`torch.jit:")
def test_torchscript_takes_no_hooks(convolutions: nn.Module, images: Tensor) -> None:
    traced = torch.jit.trace(convolutions.eval(), images)
    with pytest.raises(InvalidInput, match="blocks is TorchScript; give the module"), hooked({"blocks": traced}, print):
        pass


def test_a_tuple_gives_its_first_item_and_select_any_other() -> None:
    one, other = torch.zeros(2, 3, 4), torch.ones(2, 5)
    assert as_tensor("x", (one, other), 2, None) is one
    assert as_tensor("x", {"tokens": one}, 2, lambda _, output: output["tokens"]) is one  # type: ignore[index]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"tokens": 1, "mask": 2}, "layer x gives a dict with keys tokens, mask; choose its tensor with select="),
        (None, "layer x gives a NoneType"),
        ((), "layer x gives a tuple"),
        (torch.zeros(2, 3, dtype=torch.int64), r"layer x gives torch.int64"),
        (torch.zeros(16, 4, 8), r"layer x gives \(16, 4, 8\) for 2 images"),
        (torch.zeros(2), r"layer x gives \(2,\) for 2 images"),
    ],
)
def test_what_is_no_activation_is_named(output: object, words: str) -> None:
    with pytest.raises(FeatureError, match=words):
        as_tensor("x", output, 2, None)
