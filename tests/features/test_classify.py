"""Tokens and logits from one forward pass, of every family of networks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision

from setwise_engine.errors import InvalidInput
from setwise_engine.features import Classifier, Extractor, load_extractor

zoo: Any = torchvision.models
MAKERS = {
    "timm": lambda name: timm.create_model(name, pretrained=False),
    "torchvision": lambda name: zoo.get_model(name, weights=None),
}


def saved(folder: Path, model: str) -> tuple[Path, Any]:
    """A file of random weights of a network, and the network itself, which no code of ours has touched."""
    family, _, name = model.partition(":")
    torch.manual_seed(0)
    make: Any = MAKERS[family]
    network = make(name).eval()
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth", network


def classifier(model: str, **options: Any) -> Classifier:
    loaded = load_extractor(model, device="cpu", **options)
    assert isinstance(loaded, Classifier)
    return loaded


def some_pixels(side: int, count: int = 2) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def normalised(pixels: Any, mean: Any, std: Any) -> torch.Tensor:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("model", ["timm:test_resnet", "timm:test_vit", "timm:test_convnext"])
def test_timms_own_logits(tmp_path: Path, model: str) -> None:
    weights, network = saved(tmp_path, model)
    loaded, pixels = classifier(model, weights=weights), some_pixels(160)
    tokens, logits = loaded.classify(pixels)
    config = network.pretrained_cfg
    with torch.inference_mode():
        expected = network(normalised(pixels, config["mean"], config["std"])).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-3)
    np.testing.assert_allclose(tokens, loaded.extract(pixels), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*init_weights.*")
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", "densenet121", "shufflenet_v2_x0_5"])
def test_torchvisions_own_logits_and_a_map_that_later_layers_have_not_touched(tmp_path: Path, name: str) -> None:
    """DenseNet rectifies its last map in place, after it was read."""
    weights, network = saved(tmp_path, f"torchvision:{name}")
    loaded, pixels = classifier(f"torchvision:{name}", weights=weights, image_size=96), some_pixels(96)
    tokens, logits = loaded.classify(pixels)
    with torch.inference_mode():
        expected = network(normalised(pixels, *IMAGENET)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-3)
    np.testing.assert_allclose(tokens, loaded.extract(pixels), atol=1e-5)


def test_a_torchvision_vit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vit_b_32 made small; all the code is torchvision's own."""
    from torchvision.models import vision_transformer

    whole = vision_transformer._vision_transformer
    small = {"num_layers": 1, "mlp_dim": 64}
    monkeypatch.setattr(vision_transformer, "_vision_transformer", lambda **options: whole(**(options | small)))
    weights, network = saved(tmp_path, "torchvision:vit_b_32")
    loaded, pixels = classifier("torchvision:vit_b_32", weights=weights), some_pixels(224)
    tokens, logits = loaded.classify(pixels)
    assert (tokens.shape, logits.shape) == ((2, 49, 768), (2, 1000))
    with torch.inference_mode():
        np.testing.assert_allclose(logits, network(normalised(pixels, *IMAGENET)).numpy(), atol=1e-3)
    np.testing.assert_allclose(tokens, loaded.extract(pixels), atol=1e-5)


def test_the_default_networks_logits_are_linear_in_the_mean_token(extractor: Extractor) -> None:
    """Hence mean pooling is favoured wherever similarity is held against this network's predictions."""
    assert isinstance(extractor, Classifier)
    pixels = some_pixels(320, 3)
    tokens, logits = extractor.classify(pixels)
    np.testing.assert_allclose(tokens, extractor.extract(pixels), atol=1e-5)
    pooled = np.c_[tokens.mean(axis=1), np.ones(3)]
    head: Any = extractor._network.classifier  # type: ignore[attr-defined]  # no public way to the weights
    np.testing.assert_allclose(logits, pooled @ np.c_[head.weight.numpy(), head.bias.numpy()].T, atol=1e-3)


def test_nothing_to_classify(tmp_path: Path) -> None:
    weights, _ = saved(tmp_path, "timm:test_resnet")
    tokens, logits = classifier("timm:test_resnet", weights=weights).classify(some_pixels(160, 0))
    assert (tokens.shape, logits.shape) == ((0, 25, 96), (0, 1000))


def test_several_threads_do_not_see_each_others_maps(tmp_path: Path) -> None:
    name = "torchvision:mobilenet_v3_small"
    weights, _ = saved(tmp_path, name)
    loaded = classifier(name, weights=weights, image_size=64)
    batches = [some_pixels(64, 1) + np.uint8(step) for step in range(12)]
    expected = [loaded.classify(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        both = list(pool.map(loaded.classify, batches))
        alone = list(pool.map(loaded.extract, batches))
    for one, (tokens, _), other in zip(expected, both, alone, strict=True):
        np.testing.assert_allclose(tokens, one, atol=1e-4)
        np.testing.assert_allclose(other, one, atol=1e-4)


def test_a_network_without_a_classifier(tmp_path: Path) -> None:
    """DINOv2, EVA-02 and other networks come as bodies only."""
    weights, _ = saved(tmp_path, "timm:eva02_tiny_patch14_224")
    loaded = classifier("timm:eva02_tiny_patch14_224", weights=weights)
    with pytest.raises(InvalidInput, match="eva02_tiny_patch14_224 has no classifier; choose a network that has one"):
        loaded.classify(some_pixels(224))


def test_other_arrays_are_refused(extractor: Extractor) -> None:
    assert isinstance(extractor, Classifier)
    with pytest.raises(InvalidInput, match=r"efficientnet-lite0 takes uint8 of shape \(b, 320, 320, 3\)"):
        extractor.classify(np.zeros((1, 64, 64, 3), dtype=np.uint8))
