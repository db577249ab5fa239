"""torchvision's networks by name; random weights in small files stand for those that cannot be fetched here."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from setwise_engine.errors import InvalidInput, NotFound, Unavailable
from setwise_engine.features import load_extractor

models: Any = torchvision.models
get_model = models.get_model


def saved(folder: Path, name: str, **options: Any) -> Path:
    """A file of random weights of the network `name`."""
    torch.manual_seed(0)
    path = folder / f"{name}.pth"
    torch.save(get_model(name, weights=None, **options).state_dict(), path)
    return path


def some_pixels(side: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "side", "grid", "dims"),
    [
        ("resnet18", 224, (7, 7), 512),
        ("mobilenet_v3_small", 224, (7, 7), 576),
        ("shufflenet_v2_x0_5", 224, (7, 7), 1024),
        ("squeezenet1_1", 224, (13, 13), 512),
        ("densenet121", 224, (7, 7), 1024),
        ("regnet_y_400mf", 224, (7, 7), 440),
    ],
)
def test_convolutional_networks_give_their_last_map(
    tmp_path: Path, name: str, side: int, grid: tuple[int, int], dims: int
) -> None:
    extractor = load_extractor(f"torchvision:{name}", weights=saved(tmp_path, name), device="cpu")
    assert (extractor.info.image_size, extractor.info.grid, extractor.info.dims) == (side, grid, dims)
    assert extractor.extract(some_pixels(side)).shape == (2, grid[0] * grid[1], dims)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:torch.meshgrid")  # torchvision 0.20's maxvit_t on torch 2.5
@pytest.mark.parametrize(
    ("name", "side", "grid", "dims"),
    [
        ("resnet50", 224, (7, 7), 2048),
        ("vit_b_16", 224, (14, 14), 768),
        ("swin_v2_t", 256, (8, 8), 768),
        ("maxvit_t", 224, (7, 7), 512),
        ("convnext_tiny", 224, (7, 7), 768),
        ("efficientnet_v2_s", 384, (12, 12), 1280),
        ("vgg16", 224, (7, 7), 512),
    ],
)
def test_larger_networks(tmp_path: Path, name: str, side: int, grid: tuple[int, int], dims: int) -> None:
    test_convolutional_networks_give_their_last_map(tmp_path, name, side, grid, dims)


@pytest.mark.parametrize("name", ["googlenet", pytest.param("inception_v3", marks=pytest.mark.slow)])
def test_networks_that_were_trained_on_another_scaling_keep_it(tmp_path: Path, name: str) -> None:
    extractor = load_extractor(f"torchvision:{name}", weights=saved(tmp_path, name, init_weights=False), device="cpu")
    assert extractor._network.transform_input  # type: ignore[attr-defined]  # no public trace of it


def test_tokens_of_a_resnet_are_what_its_pooling_averages(tmp_path: Path) -> None:
    weights = saved(tmp_path, "resnet18")
    network = get_model("resnet18", weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    pixels = some_pixels(224)
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        images = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]
        ).view(3, 1, 1)
        logits = network.eval()(images).numpy()
    tokens = load_extractor("torchvision:resnet18", weights=weights, device="cpu").extract(pixels)
    head: Any = network.fc
    found = tokens.mean(axis=1) @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    np.testing.assert_allclose(found, logits, rtol=1e-3, atol=1e-2)


def test_patch_tokens_of_a_vit_leave_out_the_class_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vit_b_32 made small: two layers of its twelve, to keep the test short; all the code is torchvision's own."""
    from torchvision.models import vision_transformer

    whole = vision_transformer._vision_transformer
    monkeypatch.setattr(
        vision_transformer,
        "_vision_transformer",
        lambda **options: whole(**(options | {"num_layers": 2, "mlp_dim": 256})),
    )
    weights = saved(tmp_path, "vit_b_32")
    network = get_model("vit_b_32", weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    extractor = load_extractor("torchvision:vit_b_32", weights=weights, device="cpu")
    assert (extractor.info.image_size, extractor.info.grid, extractor.info.dims) == (224, (7, 7), 768)
    pixels = np.zeros((1, 224, 224, 3), dtype=np.uint8)
    pixels[:, 32:64, 64:96] = 255  # the patch of row 1, column 2
    tokens = extractor.extract(pixels)[0]
    plain = extractor.extract(np.zeros_like(pixels))[0]
    assert np.linalg.norm(tokens - plain, axis=1).argmax() == 1 * 7 + 2
    larger = load_extractor("torchvision:vit_b_32", weights=weights, image_size=320, device="cpu")
    assert larger.info.grid == (10, 10)
    with pytest.raises(InvalidInput, match="image size 100 is not a multiple of 32, as torchvision:vit_b_32 needs"):
        load_extractor("torchvision:vit_b_32", weights=weights, image_size=100)


SMALL = "torchvision:mobilenet_v3_small"


class TestWeights:
    def test_file_types_and_wrappings_of_equal_tensors_are_one_model(self, tmp_path: Path) -> None:
        path = saved(tmp_path, "mobilenet_v3_small")
        tensors = torch.load(path, weights_only=True)
        save_file(tensors, tmp_path / "w.safetensors")
        torch.save({"state_dict": {f"module.{key}": value for key, value in tensors.items()}}, tmp_path / "w.pt")
        files = [path, tmp_path / "w.safetensors", tmp_path / "w.pt"]
        infos = {load_extractor(SMALL, weights=file, device="cpu").info for file in files}
        assert len(infos) == 1

    def test_other_weights_are_another_model(self, tmp_path: Path) -> None:
        path = saved(tmp_path, "mobilenet_v3_small")
        tensors = torch.load(path, weights_only=True)
        tensors["features.0.0.weight"] += 1
        torch.save(tensors, tmp_path / "other.pth")
        a, b = (load_extractor(SMALL, weights=w, device="cpu").info for w in (path, tmp_path / "other.pth"))
        assert a.fingerprint != b.fingerprint

    def test_weights_of_another_network_and_partial_ones(self, tmp_path: Path) -> None:
        path = saved(tmp_path, "mobilenet_v3_small")
        with pytest.raises(
            InvalidInput,
            match=r"mobilenet_v3_small\.pth do not fit the model torchvision:mobilenet_v3_large: .*Missing key",
        ):
            load_extractor("torchvision:mobilenet_v3_large", weights=path)
        tensors = torch.load(path, weights_only=True)
        del tensors["features.0.0.weight"]
        torch.save(tensors, path)
        with pytest.raises(
            InvalidInput, match=r"do not fit the model torchvision:mobilenet_v3_small: .*features\.0\.0\.weight"
        ):
            load_extractor(SMALL, weights=path)

    @pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 broken"])
    def test_files_that_hold_no_tensors(self, tmp_path: Path, content: bytes) -> None:
        for name in ("bad.pth", "bad.safetensors"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(InvalidInput, match=f"{name} is not a file of plain tensors"):
                load_extractor("torchvision:resnet18", weights=tmp_path / name)

    def test_code_in_a_weights_file_is_never_run(self, tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (tmp_path / "ran",))

        torch.save({"conv1.weight": Attack()}, tmp_path / "attack.pth")
        with pytest.raises(InvalidInput, match=r"attack\.pth is not a file of plain tensors"):
            load_extractor("torchvision:resnet18", weights=tmp_path / "attack.pth")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("content", [{}, {"epoch": 3}, torch.zeros(3)])
    def test_a_file_without_a_state_dict(self, tmp_path: Path, content: object) -> None:
        torch.save(content, tmp_path / "odd.pth")
        with pytest.raises(InvalidInput, match=r"odd\.pth holds no state dict of tensors"):
            load_extractor("torchvision:resnet18", weights=tmp_path / "odd.pth")

    def test_published_weights_are_asked_for_by_name(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        asked = []

        def offline(request: Any, *_: object, **__: object) -> None:
            asked.append(request.full_url)
            raise URLError("no network")

        monkeypatch.setattr(urllib.request, "urlopen", offline)
        monkeypatch.setattr(torch.hub, "urlopen", offline)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        for name in (None, "DEFAULT", "IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V1"):
            with pytest.raises(Unavailable, match=r"cannot be fetched from https://.* with --weights FILE"):
                load_extractor("torchvision:resnet50", weights=name)
        assert [url.rpartition("/")[2] for url in asked] == [
            "resnet50-11ad3fa6.pth",
            "resnet50-11ad3fa6.pth",
            "resnet50-0676ba61.pth",
            "resnet50-0676ba61.pth",
        ]

    def test_fetched_weights_are_loaded(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """What was fetched before lies in torch's cache; its name carries a hash that is not checked again."""
        cache = tmp_path / "hub" / "checkpoints"
        cache.mkdir(parents=True)
        path = saved(cache, "mobilenet_v3_small").rename(cache / "mobilenet_v3_small-047dcff4.pth")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        fetched = load_extractor(SMALL, device="cpu")
        assert fetched.info == load_extractor(SMALL, weights=path, device="cpu").info

    def test_unknown_names(self) -> None:
        with pytest.raises(NotFound, match=r"V9 is neither a file nor one of .* resnet18: IMAGENET1K_V1"):
            load_extractor("torchvision:resnet18", weights="V9")
        with pytest.raises(NotFound, match="torchvision has no classification model 'resnet19'"):
            load_extractor("torchvision:resnet19")


def test_an_image_size_that_leaves_no_map(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"torchvision:densenet121 (cannot take|gives no map)"):
        load_extractor("torchvision:densenet121", weights=saved(tmp_path, "densenet121"), image_size=8)
