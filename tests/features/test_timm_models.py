"""timm's networks by name; its tiny test networks and random weights stand for those that cannot be fetched here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from setwise_engine.errors import InvalidInput, NotFound, Unavailable
from setwise_engine.features import load_extractor


def saved(folder: Path, name: str) -> Path:
    """A file of random weights of the network `name`; skips where this timm, an old one, does not know it."""
    if not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "side", "grid", "dims"),
    [
        ("test_resnet", 160, (5, 5), 96),
        ("test_convnext", 160, (5, 5), 64),
        ("test_efficientnet", 160, (5, 5), 256),
        ("test_maxvit", 160, (5, 5), 128),
        ("test_mambaout", 160, (5, 5), 64),
        ("test_vit", 160, (10, 10), 64),
        ("test_vit3", 160, (10, 10), 96),
        ("vit_tiny_patch16_224", 224, (14, 14), 192),
        ("deit_tiny_distilled_patch16_224", 224, (14, 14), 192),
    ],
)
def test_maps_and_token_lists_alike(tmp_path: Path, name: str, side: int, grid: tuple[int, int], dims: int) -> None:
    extractor = load_extractor(f"timm:{name}", weights=saved(tmp_path, name), device="cpu")
    assert (extractor.info.image_size, extractor.info.grid, extractor.info.dims) == (side, grid, dims)
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    assert extractor.extract(pixels).shape == (2, grid[0] * grid[1], dims)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"])
def test_dinov2_sees_16x16_patches_at_its_default_size(tmp_path: Path, name: str) -> None:
    """Its own 518 pixels would give 1369 tokens; class and register tokens are left out."""
    extractor = load_extractor(f"timm:{name}", weights=saved(tmp_path, name), device="cpu")
    assert (extractor.info.image_size, extractor.info.grid, extractor.info.dims) == (224, (16, 16), 384)


@pytest.mark.slow
def test_maps_with_channels_last(tmp_path: Path) -> None:
    name = "swin_tiny_patch4_window7_224"
    extractor = load_extractor(f"timm:{name}", weights=saved(tmp_path, name), device="cpu")
    assert (extractor.info.grid, extractor.info.dims) == ((7, 7), 768)


def test_tokens_are_timms_own_without_prefix_tokens_and_with_its_preprocessing(tmp_path: Path) -> None:
    weights = saved(tmp_path, "test_vit")
    network: Any = timm.create_model("test_vit", pretrained=False, checkpoint_path=str(weights)).eval()
    pixels = np.random.default_rng(1).integers(0, 256, (1, 160, 160, 3), dtype=np.uint8)
    assert network.pretrained_cfg["mean"] == (0.5, 0.5, 0.5)
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected = network.forward_features(images)[:, network.num_prefix_tokens :].numpy()
    tokens = load_extractor("timm:test_vit", weights=weights, device="cpu").extract(pixels)
    np.testing.assert_allclose(tokens, expected, atol=1e-4)


@pytest.mark.parametrize(("name", "side", "grid"), [("test_vit", 224, (14, 14)), ("test_resnet", 96, (3, 3))])
def test_other_image_sizes(tmp_path: Path, name: str, side: int, grid: tuple[int, int]) -> None:
    extractor = load_extractor(f"timm:{name}", weights=saved(tmp_path, name), image_size=side, device="cpu")
    assert extractor.info.grid == grid


def test_an_image_size_the_network_cannot_take(tmp_path: Path) -> None:
    weights = saved(tmp_path, "test_vit")
    with pytest.raises(InvalidInput, match="timm:test_vit cannot take images of 100x100 pixels"):
        load_extractor("timm:test_vit", weights=weights, image_size=100)


def test_a_network_without_one_map_of_tokens(tmp_path: Path) -> None:
    weights = tmp_path / "coat_tiny.pth"
    torch.save(timm.create_model("coat_tiny", pretrained=False).state_dict(), weights)
    with pytest.raises(InvalidInput, match=r"^timm:coat_tiny gives no square map of tokens; choose another network"):
        load_extractor("timm:coat_tiny", weights=weights)


def test_weights_of_another_network(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"test_vit\.safetensors do not fit the model timm:test_resnet"):
        load_extractor("timm:test_resnet", weights=saved(tmp_path, "test_vit"))


@pytest.mark.parametrize("name", ["resnet51", "hf-hub:someone/resnet", "../resnet18"])
def test_unknown_networks(name: str) -> None:
    with pytest.raises(NotFound, match=f"timm has no model '{name}'"):
        load_extractor(f"timm:{name}")


def test_published_weights_are_chosen_by_tag_and_not_by_weights() -> None:
    with pytest.raises(NotFound, match=r"IMAGENET is no weights file; .* chosen by the model's tag"):
        load_extractor("timm:test_vit", weights="IMAGENET")


def test_without_a_network_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match=r"timm:test_vit cannot be fetched here .* give a local file"):
        load_extractor("timm:test_vit")
