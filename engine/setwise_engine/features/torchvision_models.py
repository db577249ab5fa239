"""Any torchvision classification network by name: `torchvision:resnet50`, `torchvision:vit_b_16`."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from setwise_engine.errors import InvalidInput, NotFound, Unavailable
from setwise_engine.features._extractor import Extractor, Request
from setwise_engine.features._network import (
    IMAGENET,
    Normalisation,
    TorchExtractor,
    as_map,
    size_within_limit,
)
from setwise_engine.features._registry import register
from setwise_engine.features._weights import is_file_name, load_strictly, read_tensors

__all__ = ["load_torchvision"]

# Their published weights expect these, which a plain constructor leaves out.
_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"init_weights": False, "transform_input": True},
    "inception_v3": {"init_weights": False, "transform_input": True},
}
_HEADS = ("classifier", "head", "heads", "fc")
_POOLING = (nn.AdaptiveAvgPool2d, nn.AvgPool2d)


@register("torchvision:")
def load_torchvision(request: Request) -> Extractor:
    """The last feature map before pooling, or the patch tokens of a ViT without its class token.

    The default image size is that of the weights, made smaller where it would give more than 256 tokens.
    """
    models = _zoo()
    if request.variant not in models.list_models(module=models):
        raise NotFound(
            f"torchvision has no classification model {request.variant!r}; "
            "torchvision.models.list_models() lists its models",
            field="model",
        )
    published = _published(request)
    native, normalisation = _preprocessing(published)
    vit = request.variant.startswith("vit_")
    stride = int(request.variant.rpartition("_")[2]) if vit else 32
    size = request.image_size or size_within_limit(native, stride)
    if vit and size % stride:
        raise InvalidInput(
            f"image size {size} is not a multiple of {stride}, as {request.name} needs", field="image_size"
        )
    tensors, origin = _tensors(request, published)
    options = {"image_size": size} if vit else _OPTIONS.get(request.variant, {})
    network: nn.Module = models.get_model(request.variant, weights=None, **options)
    load_strictly(network, _fitted(tensors, request.variant, size, stride), name=request.name, origin=origin)
    tap = _patch_tokens(network, size // stride) if vit else _last_map(network.eval(), size, request.name)
    return TorchExtractor(
        request,
        network,
        tap.map,
        image_size=size,
        normalisation=normalisation,
        tokens="patch tokens after the encoder" if vit else "last feature map before pooling",
        with_logits=tap.map_and_logits,
    )


def _zoo() -> Any:
    import torchvision

    return torchvision.models


def _published(request: Request) -> Any:
    """The enum entry asked for by name, or the default one."""
    known = _zoo().get_model_weights(request.variant)
    if request.weights is None or is_file_name(request.weights):
        return known.DEFAULT
    name = str(request.weights).rpartition(".")[2]
    if name not in known.__members__:
        raise NotFound(
            f"{request.weights} is neither a file nor one of torchvision's weights of {request.variant}: "
            f"{', '.join(known.__members__)}",
            field="weights",
        )
    return known[name]


def _preprocessing(published: Any) -> tuple[int, Normalisation]:
    preset = published.transforms()
    mean, std = getattr(preset, "mean", IMAGENET.mean), getattr(preset, "std", IMAGENET.std)
    return int(preset.crop_size[0]), Normalisation(tuple(mean), tuple(std))


def _tensors(request: Request, published: Any) -> tuple[Mapping[str, Tensor], str]:
    if request.weights is not None and is_file_name(request.weights):
        return read_tensors(Path(request.weights)), str(request.weights)
    try:
        tensors = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise Unavailable(
            f"the weights of {request.name} cannot be fetched from {published.url} ({error}); "
            "give a local file of tensors with --weights FILE",
            field="weights",
        ) from error
    return tensors, str(published.url)


def _fitted(tensors: Mapping[str, Tensor], variant: str, size: int, stride: int) -> Mapping[str, Tensor]:
    """Tensors under today's names (DenseNet's file keeps old ones), a ViT's position embedding at the image size."""
    if variant.startswith("densenet"):
        return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", key): tensors[key] for key in tensors}
    if variant.startswith("vit_") and "encoder.pos_embedding" in tensors:
        from torchvision.models.vision_transformer import interpolate_embeddings

        return interpolate_embeddings(size, stride, OrderedDict(tensors))
    return tensors


def _patch_tokens(network: nn.Module, side: int) -> _Tap:
    return _Tap(network, network.get_submodule("encoder"), lambda output: as_map(output[:, 1:], side))


def _last_map(network: nn.Module, size: int, name: str) -> _Tap:
    """The output of the last module that gives a map, pooling and the classifier left aside."""
    found: list[nn.Module] = []

    def keep(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            found.append(module)

    body = [
        module
        for path, module in network.named_modules()
        if path and path.partition(".")[0] not in _HEADS and not isinstance(module, _POOLING)
    ]
    hooks = [module.register_forward_hook(keep) for module in body]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError) as error:
        raise InvalidInput(f"{name} cannot take images of {size}x{size} pixels: {error}", field="image_size") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise InvalidInput(f"{name} gives no map of features at {size}x{size} pixels", field="image_size")
    return _Tap(network, found[-1], lambda output: output.permute(0, 2, 3, 1))


class _Reached(Exception):
    """Carries a module's output out of the network; what would follow is not computed."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


class _Tap:
    """What one module of a network gives, with or without what the network makes of it.

    Nothing that was seen is shared between threads: an extractor may be called from several at once.
    """

    def __init__(self, network: nn.Module, module: nn.Module, to_map: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self._to_map = to_map
        self._pass = threading.local()
        module.register_forward_hook(self._see)

    def map(self, images: Tensor) -> Tensor:
        """The map alone; the network is left as soon as the module has given it."""
        self._pass.seen = None
        try:
            self._network(images)
        except _Reached as reached:
            return self._to_map(reached.output)
        raise AssertionError("the network no longer runs the module it ran when it was loaded")

    def map_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The map and the logits of one whole pass."""
        self._pass.seen = []
        logits: Tensor = self._network(images)
        return self._to_map(self._pass.seen[0]), logits

    def _see(self, _: nn.Module, __: object, output: Tensor) -> None:
        if self._pass.seen is None:
            raise _Reached(output)
        self._pass.seen.append(output.clone())  # DenseNet's next step overwrites it
