"""Activations of layers: the right numbers, in the right shapes, from an untouched model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from setwise_engine.errors import AlreadyExists, FeatureError, InvalidInput, Unavailable
from setwise_evaluation.layers import features_of, layer_names


def snapshot(model: nn.Module) -> list[Any]:
    """Everything of a model that a forward pass could leave changed."""
    modules = list(model.modules())
    return [
        [(module.training, len(module._forward_hooks), len(module._forward_pre_hooks)) for module in modules],
        [tensor.clone() for tensor in model.state_dict().values()],
        [parameter.requires_grad for parameter in model.parameters()],
        torch.is_grad_enabled(),
    ]


def unchanged(before: list[Any], after: list[Any]) -> bool:
    same_tensors = all(torch.equal(*two) for two in zip(before[1], after[1], strict=True))
    return same_tensors and [before[0], *before[2:]] == [after[0], *after[2:]]


def test_a_layer_gives_what_it_gave_before_the_next_wrote_over_it(convolutions: nn.Module, images: Tensor) -> None:
    found = features_of(convolutions, images, ["blocks.0.1", "blocks.0.2"], batch=2)
    convolutions.eval()
    with torch.no_grad():
        before = convolutions.get_submodule("blocks.0.1")(convolutions.get_submodule("blocks.0.0")(images))
    assert found["blocks.0.1"] == pytest.approx(before.numpy(), abs=1e-5)
    assert found["blocks.0.2"] == pytest.approx(before.clamp(min=0).numpy(), abs=1e-5)
    assert found["blocks.0.1"].min() < 0


def test_maps_tokens_and_vectors(convolutions: nn.Module, transformer: nn.Module, images: Tensor) -> None:
    maps = features_of(convolutions, images, ["blocks.*", "head"])
    assert {name: array.shape for name, array in maps.items()} == {
        "blocks.0": (5, 6, 8, 8),
        "blocks.1": (5, 6, 8, 8),
        "head": (5, 1, 4),
    }
    assert all(array.dtype == np.float32 for array in maps.values())
    tokens = features_of(transformer, images, ["attention", "embed"], prefix_tokens=1)
    assert {name: array.shape for name, array in tokens.items()} == {"embed": (5, 8, 2, 2), "attention": (5, 4, 8)}


def test_class_tokens_are_dropped_in_front_by_pattern(transformer: nn.Module, images: Tensor) -> None:
    whole = features_of(transformer, images, "attention")["attention"]
    assert whole.shape == (5, 5, 8)
    dropped = features_of(transformer, images, "attention", prefix_tokens={"att*": 1, "**": 0})["attention"]
    assert np.array_equal(dropped, whole[:, 1:])
    with pytest.raises(InvalidInput, match="prefix_tokens is 5, but layer attention has 5 tokens"):
        features_of(transformer, images, "attention", prefix_tokens=5)


def test_the_batch_changes_nothing_but_the_last_digits(convolutions: nn.Module, images: Tensor) -> None:
    one = features_of(convolutions, images, "blocks.1", batch=1)["blocks.1"]
    batches = (images[start : start + 2].numpy() for start in range(0, 5, 2))
    assert features_of(convolutions, batches, "blocks.1")["blocks.1"] == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(convolutions: nn.Module, images: Tensor, training: bool) -> None:
    convolutions.train(training)
    convolutions.get_submodule("blocks.1.1").train(not training)
    before = snapshot(convolutions)
    features_of(convolutions, images, "**")
    layer_names(convolutions, images)
    assert unchanged(before, snapshot(convolutions))


def test_it_is_left_so_on_errors_too(convolutions: nn.Module, images: Tensor, tmp_path: Path) -> None:
    before = snapshot(convolutions.train())
    wrong = [images[:2], images[2:, :2]]
    with pytest.raises(RuntimeError, match="channels"):
        features_of(convolutions, wrong, "blocks.*", store=tmp_path)
    with pytest.raises(FeatureError, match="gives a int"):
        features_of(convolutions, images, "blocks.0", select=lambda *_: 1)
    assert unchanged(before, snapshot(convolutions))
    assert list(tmp_path.iterdir()) == []


def test_modules_called_twice_or_never_are_named(images: Tensor, transformer: nn.Module) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(self.pool(x))

    with pytest.raises(FeatureError, match="layer pool is called more than once in a pass; say calls='first'"):
        features_of(Twice(), images, "pool")
    assert features_of(Twice(), images, "pool", calls="first")["pool"].shape == (5, 3, 4, 4)
    assert features_of(Twice(), images, "pool", calls="last")["pool"].shape == (5, 3, 2, 2)
    with pytest.raises(InvalidInput, match="calls is 'all'"):
        features_of(Twice(), images, "pool", calls="all")  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match="spare took no part in the forward pass"):
        features_of(transformer, images, ["head", "spare"])


def test_channels_last_are_refused_until_told(convolutions: nn.Module, images: Tensor) -> None:
    """timm's Swin and its like say so; a shape alone would not tell."""
    convolutions.output_fmt = "NHWC"  # type: ignore[assignment]
    with pytest.raises(FeatureError, match=r"layer blocks is of a network with channels last; .*permute\(0, 3, 1, 2\)"):
        features_of(convolutions, images, "blocks")
    moved = features_of(convolutions, images, "blocks", select=lambda _, output: output.permute(0, 3, 1, 2))
    assert moved["blocks"].shape == (5, 8, 6, 8)
    assert features_of(convolutions, images, "head")["head"].shape == (5, 1, 4)


def test_large_sets_go_to_files(convolutions: nn.Module, images: Tensor, tmp_path: Path) -> None:
    held = features_of(convolutions, images, "blocks.*")
    seen: list[tuple[int, int | None]] = []
    store = tmp_path / "new" / "folder"
    found = features_of(
        convolutions, images, "blocks.*", batch=2, store=store, progress=lambda *done: seen.append(done)
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert sorted(path.name for path in store.iterdir()) == ["blocks.0.npy", "blocks.1.npy"]
    for name, array in found.items():
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        assert array == pytest.approx(held[name], abs=1e-4)
    with pytest.raises(AlreadyExists, match=r"blocks\.0\.npy is there already"):
        features_of(convolutions, images, "blocks.0", store=store)


def test_what_takes_no_hooks_or_no_such_images_is_told(convolutions: nn.Module, images: Tensor, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the model is a function; give a torch"):
        features_of(lambda x: x, images, "**")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"does not take images of uint8 .* preprocess them as it wants"):
        features_of(convolutions, images.to(torch.uint8), "head")
    with pytest.raises(InvalidInput, match="does not take images of uint8"):
        layer_names(convolutions, images.to(torch.uint8))
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"file cannot be made a folder \(File exists\)"):
        features_of(convolutions, images, "head", store=tmp_path / "file")
    wrong = images.clone()
    wrong[3, 0, 1, 1] = torch.nan
    with pytest.raises(InvalidInput, match="image number 3 holds NaN or infinity"):
        features_of(convolutions, wrong, "head", batch=2, store=tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())


def test_no_images_are_no_features(convolutions: nn.Module, images: Tensor) -> None:
    with pytest.raises(InvalidInput, match="there are no images"):
        features_of(convolutions, images[:0], "head")
    with pytest.raises(InvalidInput, match="there are no images"):
        layer_names(convolutions, [])


def test_layers_with_several_tokens_are_listed(convolutions: nn.Module, transformer: nn.Module, images: Tensor) -> None:
    assert list(layer_names(convolutions, images)) == [
        "blocks.0.0",
        "blocks.0.1",
        "blocks.0.2",
        "blocks.0",
        "blocks.1.0",
        "blocks.1.1",
        "blocks.1.2",
        "blocks.1",
        "blocks",
    ]
    assert layer_names(transformer, images) == {"embed": (8, 2, 2), "attention": (5, 8)}


def test_a_real_network_of_timm() -> None:
    import timm

    vit = timm.create_model("test_vit", pretrained=False)
    images = np.random.default_rng(0).random((2, *vit.pretrained_cfg["input_size"]))
    found = features_of(vit, images, "blocks.*", prefix_tokens=vit.num_prefix_tokens)
    places = vit.patch_embed.num_patches
    assert {array.shape for array in found.values()} == {(2, places, vit.embed_dim)}
    assert len(found) == len(vit.blocks)
