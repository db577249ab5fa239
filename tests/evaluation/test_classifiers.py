"""Tokens and class probabilities of images: real weights for Lite0, random ones of small networks for the families."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import timm
import torch
import torchvision
from PIL import Image

from setwise_engine.errors import ImageError, InvalidInput, NotFound, Unavailable
from setwise_engine.feature_set import Grid
from setwise_engine.features import Classifier, ModelInfo
from setwise_evaluation.activations import activations
from setwise_evaluation.classifiers import classify, load_classifier, softmax


@pytest.fixture(scope="module")
def lite0() -> Classifier:
    """The real default network, at the least size at which it knows the demo's photos."""
    return load_classifier(image_size=224, device="cpu")


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 70, 3), dtype=np.uint8))


def test_a_cat_is_a_cat(photos: list[Path]) -> None:
    cat = next(path for path in photos if path.stem == "cat")
    found = classify([cat], image_size=224, device="cpu")
    assert (found.tokens.shape, found.grid, found.model) == ((1, 49, 1280), (7, 7), "efficientnet-lite0")
    assert found.probabilities.shape == (1, 1000)
    assert "cat" in found.classes[int(found.probabilities[0].argmax())]


def test_tokens_are_those_of_activations_and_probabilities_follow_from_them(
    photos: list[Path], lite0: Classifier
) -> None:
    """Lite0's classifier is linear in the mean token."""
    found = classify(photos[:3], model=lite0, batch=2)
    raw = activations(photos[:3], model=lite0, batch=2)
    np.testing.assert_allclose(found.tokens, raw.tokens, atol=1e-5)
    assert (found.fingerprint, found.kept) == (raw.fingerprint, (0, 1, 2))
    head: Any = lite0._network.classifier  # type: ignore[attr-defined]  # no public way to the weights
    logits = found.tokens.astype(np.float64).mean(axis=1) @ head.weight.numpy().T + head.bias.numpy()
    np.testing.assert_allclose(found.probabilities, scipy.special.softmax(logits, axis=1), atol=1e-5)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert found.probabilities.dtype == np.float64


def test_what_cannot_be_decoded_is_named_or_left_out(lite0: Classifier) -> None:
    with pytest.raises(ImageError, match="image number 1"):
        classify([picture(), b"no"], model=lite0)
    found = classify([picture(), b"no"], model=lite0, on_error="leave-out")
    assert (found.probabilities.shape[0], found.kept, found.left_out[0].index) == (1, (0,), 1)
    with pytest.raises(InvalidInput, match="there are no images to classify"):
        classify([], model=lite0)


class TestOtherNetworks:
    """Any classifier of torchvision or timm, from a local file."""

    def saved(self, folder: Path, model: str) -> Path:
        family, _, name = model.partition(":")
        torch.manual_seed(0)
        zoo: Any = torchvision.models if family == "torchvision" else timm
        network = zoo.get_model(name, weights=None) if family == "torchvision" else zoo.create_model(name)
        torch.save(network.state_dict(), folder / "weights.pth")
        return folder / "weights.pth"

    @pytest.mark.parametrize(
        ("model", "tokens"),
        [
            ("timm:test_vit", (2, 100, 64)),
            ("timm:test_resnet", (2, 25, 96)),
            ("torchvision:mobilenet_v3_small", (2, 49, 576)),
        ],
    )
    def test_from_a_local_file(self, tmp_path: Path, model: str, tokens: tuple[int, int, int]) -> None:
        found = classify([picture(0), picture(1)], model=model, weights=self.saved(tmp_path, model), device="cpu")
        assert (found.tokens.shape, found.probabilities.shape) == (tokens, (2, 1000))
        assert found.fingerprint.startswith(model)
        assert found.classes[:2] == ("0", "1"), "what a file of one's own was trained on is not known"

    def test_class_names_of_ones_own(self, tmp_path: Path) -> None:
        weights = self.saved(tmp_path, "timm:test_resnet")
        names = [f"class {number}" for number in range(1000)]
        found = classify([picture()], model="timm:test_resnet", weights=weights, classes=names, device="cpu")
        assert found.classes == tuple(names)
        with pytest.raises(InvalidInput, match="2 class names were given for 1000 classes"):
            classify([picture()], model="timm:test_resnet", weights=weights, classes=["cat", "dog"], device="cpu")

    @pytest.mark.parametrize("weights", [None, "IMAGENET1K_V1"])
    def test_nothing_is_fetched_unless_allowed(self, weights: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unavailable, match=r"torchvision:resnet50 needs a file of weights.* with --download"):
            load_classifier("torchvision:resnet50", weights=weights)
        monkeypatch.setattr("setwise_evaluation.classifiers.load_extractor", self.refuse)
        with pytest.raises(NotFound, match="asked for torchvision:resnet50"):
            load_classifier("torchvision:resnet50", weights=weights, download=True)

    @staticmethod
    def refuse(name: str, **_: object) -> Any:
        raise NotFound(f"asked for {name}")

    def test_networks_without_a_classifier(self, tmp_path: Path) -> None:
        weights = self.saved(tmp_path, "timm:eva02_tiny_patch14_224")
        with pytest.raises(InvalidInput, match="eva02_tiny_patch14_224 has no classifier"):
            load_classifier("timm:eva02_tiny_patch14_224", weights=weights, device="cpu")

    def test_extractors_that_cannot_classify(self) -> None:
        class MeanColour:
            info = ModelInfo("mean-colour", 8, Grid(1, 1), 3, "", "mean-colour@8:0")

            def extract(self, pixels: Any) -> Any:
                return pixels.mean(axis=(1, 2))[:, None].astype(np.float32)

        with pytest.raises(InvalidInput, match="mean-colour has no classifier"):
            classify([picture()], model=MeanColour())


def test_softmax_of_large_logits() -> None:
    """A shift changes nothing, and nothing overflows."""
    logits = np.random.default_rng(0).normal(0.0, 50.0, (3, 7)).astype(np.float32)
    np.testing.assert_allclose(softmax(logits), scipy.special.softmax(logits.astype(np.float64), axis=1))
    np.testing.assert_allclose(softmax(logits + np.float32(1024)), softmax(logits), rtol=1e-3)
    np.testing.assert_array_equal(softmax(np.array([[1e6, 0.0], [0.0, 0.0]])), [[1.0, 0.0], [0.5, 0.5]])
